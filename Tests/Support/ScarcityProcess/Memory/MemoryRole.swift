import CScarcity
import Evidence
import Foundation

/// Each request for memory of each scenario is refused, alone, as the first of a few, and as the first of all that follow; then some
/// are at random.
enum MemoryRole {
  /// The requests that are tried: all, if there is time for it; else some, others with another first seed.
  ///
  /// - Parameters:
  ///   - requests: about how many there are.
  ///   - last: how many of them are tried without time.
  ///   - body: refuses them from that one on; returns how many were.
  static func each(
    _ counts: [Int] = [1, 7, .max], about requests: Int, last: Int? = nil,
    _ body: (Scarcity) async throws -> Int
  ) async throws {
    let last = Evidence.seconds > 0 ? nil : last
    for count in counts where last == nil || count != 7 {
      let step = Evidence.seconds > 0 || last != nil ? 1 : max(1, requests / (count == 1 ? 30 : 8))
      var first = last.map { max(1, requests + 1 - $0) } ?? 1 + Int(Evidence.firstSeed % UInt64(step))
      while try await body(.requests(first: first, count: count)) > 0 { first += step }
    }
  }

  static func install() throws {
    guard scarcity_install() == 0 else { throw Broken("SQLite does not take the allocator") }
  }

  /// - Parameter name: of one scenario; nil for all.
  static func calls(in folder: String, only name: String? = nil) async throws -> String {
    try install()
    var all: [Rounds] = []
    for scenario in Scenario.all where name == nil || name == scenario.name {
      var rounds = try await Rounds(scenario, in: folder + "/\(all.count)")
      try await each(about: rounds.figures.requests, last: scenario.last) { try await rounds.round($0) }
      say("\(scenario.name): \(rounds.figures.requests) requests, \(rounds.figures.rounds) rounds")
      all.append(rounds)
    }
    for seed in Evidence.seeds(atLeast: 100) {
      let index = Int(seed % UInt64(all.count))
      if all[index].scenario.last != nil, Evidence.seconds == 0 { continue }
      _ = try await all[index].round(
        .random(seed: seed, permille: [1, 5, 20, 100, 500][Int(seed / UInt64(all.count)) % 5]))
    }
    return "\(all.count) scenarios, \(words(all.map(\.figures)))"
  }

  static func openings(in folder: String) async throws -> String {
    try install()
    var openings = try MemoryOpenings(in: folder + "/open")
    try await openings.run()
    say("opened")
    var joins = try MemoryJoins(in: folder + "/join")
    try await joins.run()
    say("joined")
    var groups = try MemoryGroups(in: folder + "/group")
    for seed in Evidence.seeds(atLeast: 60) { try await groups.round(seed: seed) }
    let large = try await MemoryLarge(in: folder + "/large").run()
    return """
      opening and closing: \(words([openings.figures])); in the application's transaction: \(words([joins.figures])); \
      24 callers at once: \(words([groups.figures])); \(large)
      """
  }

  private static func words(_ all: [Rounds.Figures]) -> String {
    func sum(_ path: KeyPath<Rounds.Figures, Int>) -> Int { all.reduce(0) { $0 + $1[keyPath: path] } }
    return """
      \(sum(\.rounds)) rounds, \(sum(\.refused)) requests refused, \(sum(\.threw)) calls threw outOfMemory, \(sum(\.unknown)) outcomeUnknown, \
      the others were done
      """
  }
}
