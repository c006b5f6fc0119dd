import CSQLite
import Foundation
import ProcessSupport
import Qudo
import QudoSQLite
import QudoTesting
import Testing

/// Several processes enqueue, control and work on one file and are killed at random.
///
/// `QUDO_TORTURE_SECONDS` (3 by default) says for how long, `QUDO_TORTURE_SEED` repeats a run's choices.
@Suite struct TortureTests {
  @Test("Killed processes lose nothing acknowledged, and no stale settle takes effect")
  func killsLoseNothingAcknowledged() async throws {
    let environment = ProcessInfo.processInfo.environment
    let seconds = environment["QUDO_TORTURE_SECONDS"].flatMap(Double.init) ?? 3
    let seed = environment["QUDO_TORTURE_SEED"].flatMap(UInt64.init) ?? UInt64.random(in: 0...9_999_999)
    let torture = try Torture(seed: seed)
    try await torture.run(for: .seconds(seconds))
    try await torture.drain()
    let report = try torture.report()
    print("torture: seed \(seed), \(seconds) s, \(report)")

    #expect(report.acknowledged > 20, "too little happened to show anything")
    #expect(
      report.lost.isEmpty,
      "acknowledged and neither completed nor in the failure log, seed \(seed): \(report.lost.prefix(5))")
    #expect(report.twice.isEmpty, "ended more than once, seed \(seed): \(report.twice.prefix(5))")
    let disobedient = report.orders.disobedient()
    #expect(disobedient.isEmpty, "claimed all the same, seed \(seed): \(disobedient.prefix(5))")
    for verb in ["cancelled", "expires", "paused"] {
      #expect(report.orders.counts[verb, default: 0] > 0, "too little happened to show anything: \(verb)")
    }
    #expect(
      report.staleSettles.isEmpty,
      "settled after somebody else had the job, seed \(seed): \(report.staleSettles.prefix(5))")
    // The leases of what was held outlive the torture: only the death of their holders frees it.
    #expect(
      !report.rescues.isEmpty && report.unrescued.isEmpty,
      "held by a killed process and never begun again, seed \(seed): \(report.unrescued)")
    #expect(
      report.rescues.allSatisfy { $0 < 10 }, "begun again after \(report.rescues.max() ?? 0) s, seed \(seed)")
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
    /// Jobs that have ended more than once.
    var twice: [String] = []
    /// What the controllers were told, and all claims.
    var orders = FileOrders()
    /// How long after the kill of its holder each job began again, in seconds.
    var rescues: [Double] = []
    var unrescued: [String] = []

    private func percentile(_ share: Double) -> String {
      guard !rescues.isEmpty else { return "none" }
      return String(format: "%.1f ms", rescues.sorted()[Int(share * Double(rescues.count - 1))] * 1000)
    }

    private var verbs: String {
      orders.counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
    }

    var description: String {
      "\(rescues.count) jobs of killed holders began again, p50 \(percentile(0.5)), p99 \(percentile(0.99)), \(kills) kills, \(acknowledged) enqueues acknowledged, \(runs) runs, \(late) late settles refused, \(lost.count) lost, \(staleSettles.count) stale settles accepted; acknowledged: \(verbs)"
    }
  }

  private static let roles = [
    "enqueue", "enqueue", "work", "work", "control", "stale", "hold", "hold", "hold",
  ]
  private let folder: URL
  private var processes: [ChildProcess] = []
  private var random: Seeded
  private var started = 0
  private var logs: [String] = []
  private var lastLog: String { "\(started).log" }
  private var kills = 0
  /// The jobs that are in the logs, and those that are there more than once.
  private var ended: Set<String> = []
  private var twice: [String] = []
  /// Of holders: which log was theirs, and when.
  private var holderKills: [(log: String, time: UInt64)] = []
  private var database: String { folder.appendingPathComponent("torture.db").path }

  init(seed: UInt64) throws {
    random = Seeded(seed: seed)
    folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "qudo-torture-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
  }

  deinit {
    for process in processes where process.isRunning { process.kill(SIGKILL) }
    try? FileManager.default.removeItem(at: folder)
  }

  func run(for duration: Duration) async throws {
    let driver = try SQLiteDriver(path: database, durability: .normal)
    _ = try await driver.insert((0..<6).map { NewJob("held", payload: Payload("held-\($0)")) })
    await driver.close()
    for role in Self.roles {
      processes.append(try start(role))
      logs.append(lastLog)
    }
    let end = ContinuousClock.now + duration
    // Until one that held a job was among the killed.
    while try ContinuousClock.now < end || kills < 10 || (kills < 1000 && report().rescues.isEmpty) {
      try await Task.sleep(for: .milliseconds(Int.random(in: 20...300, using: &random)))
      let victim = Int.random(in: processes.indices, using: &random)
      try #require(processes[victim].isRunning, "a process ended by itself: \(Self.roles[victim])")
      if Self.roles[victim] == "hold" {
        holderKills.append((logs[victim], DispatchTime.now().uptimeNanoseconds))
      }
      stop(victim)
      kills += 1
      processes[victim] = try start(Self.roles[victim])
      logs[victim] = lastLog
    }
    try await rescueLast()
    for index in processes.indices { stop(index) }
  }

  /// What was held by those that were killed last has begun again.
  private func rescueLast() async throws {
    let end = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < end, try !report().unrescued.isEmpty {
      try await Task.sleep(for: .milliseconds(10))
    }
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
    policy.maxExpiredLeases = .max
    let held = JobHandler("held", policy: policy) { context in
      log.withLock { $0.append("run \(String(decoding: context.payload.bytes, as: UTF8.self))") }
    }
    policy.recordsStatus = true
    let others = (["torture", "paused"] as [Kind]).map { kind in
      JobHandler(kind, policy: policy) { context in
        log.withLock { $0.append("run \(String(decoding: context.payload.bytes, as: UTF8.self))") }
      }
    }
    _ = try await driver.resume(nil)
    // The logs are to show each end.
    let options = WorkerOptions(concurrency: 2, retention: nil)
    try await Worker(Queue(driver), handlers: others + [held], options: options).workUntilEmpty()
    try await readEnds(driver)
    await driver.close()
    try (log.withLock { $0 }.joined(separator: "\n") + "\n")
      .write(to: folder.appendingPathComponent("last.log"), atomically: false, encoding: .utf8)
  }

  private func readEnds(_ driver: SQLiteDriver) async throws {
    var query = LogQuery(oldestFirst: true, limit: 10_000)
    while true {
      let rows = try await driver.statuses(query)
      for row in rows where row.status == .completed { addEnd(row.payload) }
      guard let last = rows.last else { break }
      query.after = last.id
    }
    query.after = nil
    while true {
      let rows = try await driver.failures(query)
      for row in rows where row.isFinal { addEnd(row.payload) }
      guard let last = rows.last else { break }
      query.after = last.id
    }
  }

  private func addEnd(_ payload: Payload?) {
    let name = String(decoding: payload?.bytes ?? [], as: UTF8.self)
    if !ended.insert(name).inserted { twice.append(name) }
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
    var orders = FileOrders()
    /// By job: when each token's claim had been answered.
    var claims: [String: [(token: String, time: UInt64)]] = [:]
    /// By held job: in which log it began, and when.
    var begins: [String: [(log: String, time: UInt64)]] = [:]
    var settles: [(job: String, token: String, time: UInt64)] = []
    for file in try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    where file.pathExtension == "log" {
      let text = try String(contentsOf: file, encoding: .utf8)
      // A line that the kill cut off has no end.
      for line in text.split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
        let words = line.split(separator: " ").map(String.init)
        switch words.first {
        case "ack": acknowledged.insert(words[1])
        case "run": report.runs += 1
        case "begin":
          begins[words[1], default: []].append((file.lastPathComponent, try #require(UInt64(words[2]))))
        case "claim":
          claims[words[1], default: []].append((words[2], try #require(UInt64(words[3]))))
          try orders.addClaim(words)
        case "settle" where words[4] == "lost": report.late += 1
        case "settle": settles.append((words[1], words[2], try #require(UInt64(words[3]))))
        case "cancelled", "moved", "expires", "recovered", "paused": try orders.add(words)
        default: break
        }
      }
    }
    report.acknowledged = acknowledged.count
    report.lost = acknowledged.subtracting(ended).sorted()
    report.twice = twice
    report.orders = orders
    for kill in holderKills {
      for (job, begins) in begins {
        let sorted = begins.sorted { $0.time < $1.time }
        guard let last = sorted.last(where: { $0.time <= kill.time }), last.log == kill.log else { continue }
        // It may have begun again in the moment of the kill, if it was claimed before.
        guard let again = sorted.first(where: { $0.time > last.time && $0.log != kill.log }) else {
          report.unrescued.append(job)
          continue
        }
        report.rescues.append(Double(again.time) / 1e9 - Double(kill.time) / 1e9)
      }
    }
    for settle in settles {
      let own = claims[settle.job]?.first { $0.token == settle.token }?.time ?? 0
      let isStale =
        claims[settle.job]?.contains { $0.token != settle.token && $0.time > own && $0.time < settle.time }
        ?? false
      if isStale { report.staleSettles.append("job \(settle.job) token \(settle.token)") }
    }
    return report
  }
}
