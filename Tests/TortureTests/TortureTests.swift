import CSQLite
import Foundation
import ProcessSupport
import Qudo
import QudoSQLite
import QudoTesting
import Testing

/// Several processes enqueue and work on one file and are killed at random.
///
/// `QUDO_TORTURE_SECONDS` (3 by default) says for how long, `QUDO_TORTURE_SEED` repeats a run's choices.
@Suite struct TortureTests {
  @Test func nothingAcknowledgedIsLostAndNoStaleSettleTakesEffect() async throws {
    let environment = ProcessInfo.processInfo.environment
    let seconds = environment["QUDO_TORTURE_SECONDS"].flatMap(Double.init) ?? 3
    let seed = environment["QUDO_TORTURE_SEED"].flatMap(UInt64.init) ?? UInt64.random(in: 0...9_999_999)
    let torture = try Torture(seed: seed)
    try await torture.run(for: .seconds(seconds))
    try await torture.drain()
    let report = try torture.report()
    print("torture: seed \(seed), \(seconds) s, \(report)")

    #expect(report.acknowledged > 20, "too little happened to show anything")
    #expect(report.lost.isEmpty, "acknowledged and never run, seed \(seed): \(report.lost.prefix(5))")
    #expect(report.staleSettles.isEmpty, "settled after somebody else had the job, seed \(seed): \(report.staleSettles.prefix(5))")
    #expect(try torture.integrity() == "ok")
    #expect(try await torture.count() == [])
  }
}

private final class Torture {
  struct Report: CustomStringConvertible {
    var acknowledged = 0
    var runs = 0
    var kills = 0
    var late = 0
    var lost: [String] = []
    var staleSettles: [String] = []
    var description: String {
      "\(kills) kills, \(acknowledged) enqueues acknowledged, \(runs) runs, \(late) late settles refused, \(lost.count) lost, \(staleSettles.count) stale settles accepted"
    }
  }

  private static let roles = ["enqueue", "enqueue", "work", "work", "stale"]
  private let folder: URL
  private var processes: [ChildProcess] = []
  private var random: Seeded
  private var started = 0
  private var kills = 0
  private var database: String { folder.appendingPathComponent("torture.db").path }

  init(seed: UInt64) throws {
    random = Seeded(seed: seed)
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("qudo-torture-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
  }

  deinit {
    for process in processes where process.isRunning { process.kill(SIGKILL) }
    try? FileManager.default.removeItem(at: folder)
  }

  func run(for duration: Duration) async throws {
    for role in Self.roles { processes.append(try start(role)) }
    let end = ContinuousClock.now + duration
    while ContinuousClock.now < end || kills < 10 {
      try await Task.sleep(for: .milliseconds(Int.random(in: 20...300, using: &random)))
      let victim = Int.random(in: processes.indices, using: &random)
      try #require(processes[victim].isRunning, "a process ended by itself: \(Self.roles[victim])")
      stop(victim)
      kills += 1
      processes[victim] = try start(Self.roles[victim])
    }
    for index in processes.indices { stop(index) }
  }

  private func start(_ role: String) throws -> ChildProcess {
    started += 1
    let log = folder.appendingPathComponent("\(started).log").path
    return try ChildProcess(try built("TortureProcess").path, [role, database, log, "\(random.next() >> 1)"])
  }

  private func stop(_ index: Int) {
    processes[index].kill(SIGKILL)
    _ = processes[index].end(within: 60)
  }

  /// A last worker, here, does what is left.
  func drain() async throws {
    let driver = try SQLiteDriver(path: database, durability: .normal)
    let log = Locked<[String]>([])
    var policy = JobPolicy()
    policy.lostLimit = .max
    let ability = Ability("torture", policy: policy) { context in
      log.withLock { $0.append("run \(String(decoding: context.payload.bytes, as: UTF8.self))") }
    }
    try await Worker(Queue(driver), [ability], concurrency: 2).workUntilEmpty()
    await driver.close()
    try (log.withLock { $0 }.joined(separator: "\n") + "\n")
      .write(to: folder.appendingPathComponent("last.log"), atomically: false, encoding: .utf8)
  }

  func count() async throws -> [JobCount] {
    let driver = try SQLiteDriver(path: database)
    let counts = try await driver.count()
    await driver.close()
    return counts
  }

  func integrity() throws -> String {
    var handle: OpaquePointer?
    defer { sqlite3_close(handle) }
    try #require(sqlite3_open(database, &handle) == SQLITE_OK)
    var statement: OpaquePointer?
    defer { sqlite3_finalize(statement) }
    try #require(sqlite3_prepare_v2(handle, "PRAGMA integrity_check", -1, &statement, nil) == SQLITE_OK)
    try #require(sqlite3_step(statement) == SQLITE_ROW)
    return String(cString: sqlite3_column_text(statement, 0))
  }

  func report() throws -> Report {
    var report = Report()
    report.kills = kills
    var acknowledged: Set<String> = []
    var ran: Set<String> = []
    /// By job: when each token's claim had been answered.
    var claims: [String: [(token: String, time: UInt64)]] = [:]
    var settles: [(job: String, token: String, time: UInt64)] = []
    for file in try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil) where file.pathExtension == "log" {
      let text = try String(contentsOf: file, encoding: .utf8)
      // A line that the kill cut off has no end.
      for line in text.split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
        let words = line.split(separator: " ").map(String.init)
        switch words.first {
        case "ack": acknowledged.insert(words[1])
        case "run":
          ran.insert(words[1])
          report.runs += 1
        case "claim": claims[words[1], default: []].append((words[2], try #require(UInt64(words[3]))))
        case "settle" where words[4] == "lost": report.late += 1
        case "settle": settles.append((words[1], words[2], try #require(UInt64(words[3]))))
        default: break
        }
      }
    }
    report.acknowledged = acknowledged.count
    report.lost = acknowledged.subtracting(ran).sorted()
    for settle in settles {
      let own = claims[settle.job]?.first { $0.token == settle.token }?.time ?? 0
      let isStale = claims[settle.job]?.contains { $0.token != settle.token && $0.time > own && $0.time < settle.time } ?? false
      if isStale { report.staleSettles.append("job \(settle.job) token \(settle.token)") }
    }
    return report
  }
}
