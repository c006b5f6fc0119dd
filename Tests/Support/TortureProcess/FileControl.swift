import Foundation
import Qudo
import QudoSQLite
import QudoTesting

/// A process that controls jobs of a file: `TortureProcess control DATABASE LOG SEED`. It cancels, changes, expires and recovers jobs,
/// its own and those of others, and pauses a kind or everything.
///
/// Each answer is written down with the machine's time since its boot, by which leases count: what a claim that began later does must
/// fit it.
struct FileControl {
  static let kinds: [Kind] = ["torture", "paused"]
  private let driver: SQLiteDriver
  private let log: LineLog
  private let name: String
  private var random: Seeded
  private let clock = SystemClock()
  /// Its newest jobs.
  private var own: [Int64] = []

  init(_ driver: SQLiteDriver, _ log: LineLog, _ random: Seeded, name: String) {
    (self.driver, self.log, self.name, self.random) = (driver, log, name, random)
  }

  mutating func run() async throws {
    for round in 0... {
      switch round == 0 ? 0 : Int.random(in: 0..<8, using: &random) {
      case 0, 1: try await enqueue(round)
      case 2: try await cancel()
      case 3: try await cancelMatching()
      case 4: try await change(round)
      case 5: try await expire(round)
      case 6: try await pause()
      default: try await recover()
      }
      try await Task.sleep(for: .milliseconds(Int.random(in: 0...10, using: &random)))
    }
  }

  private mutating func some(_ most: Int) -> [Int64] {
    Array(own.suffix(40).shuffled(using: &random).prefix(Int.random(in: 1...most, using: &random)))
  }

  private func tell(_ word: String, _ jobs: [Int64], _ more: String = "") {
    let now = clock.sinceBoot()
    log.write(jobs.map { "\(word) \($0) \(now)\(more)\n" }.joined())
  }

  private mutating func enqueue(_ round: Int) async throws {
    let jobs = (0..<Int.random(in: 3...12, using: &random)).map { number in
      NewJob(
        Self.kinds.randomElement(using: &random) ?? "torture", payload: Payload("\(name)-\(round)-\(number)"),
        priority: Int.random(in: -2...2, using: &random),
        due: Bool.random(using: &random)
          ? .now : .after(.milliseconds(Int.random(in: 0...200, using: &random))))
    }
    own += try await driver.insert(jobs).map(\.id)
    own.removeFirst(max(0, own.count - 200))
    log.write(jobs.map { "ack \(String(decoding: $0.payload.bytes, as: UTF8.self))\n" }.joined())
  }

  private mutating func cancel() async throws {
    let jobs = some(5)
    let results = try await driver.cancel(jobs, reason: nil)
    tell("cancelled", zip(jobs, results).filter { $0.1 == .cancelled }.map(\.0))
  }

  private mutating func cancelMatching() async throws {
    var filter = JobFilter(
      kinds: [Self.kinds.randomElement(using: &random) ?? "torture"], states: [.ready, .delayed])
    if Bool.random(using: &random) {
      filter.priority = 2...2
    } else {
      filter.payloadContains = Array("\(name)-".utf8)
    }
    let query = JobQuery(filter, limit: Int.random(in: 1...20, using: &random))
    let found = try await driver.cancel(matching: query, reason: "as others")
    tell("cancelled", found.filter { $0.result == .cancelled }.map(\.id))
  }

  private mutating func change(_ round: Int) async throws {
    _ = try await waiting(round)
    let delay = Duration.milliseconds(Int.random(in: 0...200, using: &random))
    let change = JobChange(
      priority: Int.random(in: -2...2, using: &random),
      due: Bool.random(using: &random) ? .now : .after(delay))
    let jobs = Array(Set(some(5) + own.suffix(1)))
    let results = try await driver.change(jobs, change)
    tell("moved", zip(jobs, results).filter { $0.1 == .changed }.map(\.0))
  }

  /// A new job that waits for so long that a verb meets it.
  private mutating func waiting(_ round: Int) async throws -> Int64 {
    let job = NewJob(
      Self.kinds.randomElement(using: &random) ?? "torture", payload: Payload("\(name)-\(round)-waits"),
      due: .after(.milliseconds(Int.random(in: 50...300, using: &random))))
    let id = try await driver.insert([job])[0].id
    log.write("ack \(String(decoding: job.payload.bytes, as: UTF8.self))\n")
    own.append(id)
    return id
  }

  private mutating func expire(_ round: Int) async throws {
    let job = try await waiting(round)
    let end = clock.now().wall.advanced(by: .milliseconds(Int.random(in: 1...300, using: &random)))
    guard try await driver.change([job], JobChange(expires: .at(end))) == [.changed] else { return }
    // By the same clock as the leases, and for a clock that is set meanwhile.
    let now = clock.now()
    tell("expires", [job], " \(now.sinceBoot + end.microseconds - now.wall.microseconds)")
  }

  private mutating func recover() async throws {
    let running = try await driver.jobs(matching: JobQuery(kinds: Self.kinds, states: [.running], limit: 20))
    let jobs = running.map(\.id).shuffled(using: &random).prefix(2)
    let results = try await driver.recover(Array(jobs))
    tell("recovered", zip(jobs, results).filter { $0.1 == .recovered }.map(\.0))
  }

  /// Pauses a kind for a moment, or everything. A pause ends by itself if this process dies.
  private mutating func pause() async throws {
    let kinds: [Kind]? = Int.random(in: 0..<4, using: &random) == 0 ? nil : ["paused"]
    try await driver.pause(kinds, until: .after(kinds == nil ? .milliseconds(300) : .seconds(2)), reason: nil)
    let begin = clock.sinceBoot()
    try await Task.sleep(for: .milliseconds(Int.random(in: 5...100, using: &random)))
    let end = clock.sinceBoot()
    // Unless the machine stood still for so long that the pause has ended by itself.
    if end - begin < 200_000 { log.write("paused \(kinds?.first?.name ?? "*") \(begin) \(end)\n") }
    _ = try await driver.resume(kinds)
  }
}
