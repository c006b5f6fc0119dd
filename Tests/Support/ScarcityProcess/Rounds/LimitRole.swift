import Foundation
import Qudo
import QudoSQLite

/// Descriptors, or room for files, run out under each scenario, and under some that need more of them.
enum LimitRole {
  static func descriptors(in folder: String) async throws -> String {
    Descriptors.limit(to: 200)
    var openings = try DescriptorOpenings(in: folder + "/open")
    let opened = try await openings.run()
    var (rounds, threw) = (0, 0)
    for (number, scenario) in (Scenario.all + Scenario.large).enumerated() where scenario.last == nil {
      var one = try await Rounds(scenario, in: folder + "/\(number)")
      let open = Descriptors.count
      for count in 0...3 { _ = try await one.round(.descriptors(count)) }
      // Dispatch opens a few for itself, when it first needs them.
      guard Descriptors.count <= open + 4 else {
        throw Broken("\(scenario.name): descriptors were not given back")
      }
      rounds += one.figures.rounds
      threw += one.figures.threw
    }
    let boots = try await DescriptorOpenings.boots(in: folder + "/boot")
    return
      "\(opened); \(rounds) calls with 0 to 3 descriptors, \(threw) threw tooManyFiles, the others were done; \(boots)"
  }

  static func room(in folder: String) async throws -> String {
    var (rounds, threw, unknown) = (0, 0, 0)
    for (number, scenario) in Scenario.all.enumerated() where scenario.last == nil {
      var one = try await Rounds(scenario, in: folder + "/\(number)")
      // A page and its frame's head have 2,072 bytes.
      for bytes in [0, 1, 32, 33, 600, 2103, 2104, 2105, 4176, 6248, 9000, 12_464, 30_000, 100_000] {
        _ = try await one.round(.room(bytes))
      }
      rounds += one.figures.rounds
      threw += one.figures.threw
      unknown += one.figures.unknown
    }
    return
      "\(rounds) calls whose files may not grow, or only by so much: \(threw) threw diskFull, \(unknown) outcomeUnknown, the others were done"
  }
}
