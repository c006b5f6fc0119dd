import Foundation
import Qudo
import QudoSQLite
import QudoTesting
import TestSupport
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
    #expect(try torture.integrity() == ["ok"])
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
  private let victims: Victims
  /// The jobs that are in the logs, and those that are there more than once.
  private var ended: Set<String> = []
  private var twice: [String] = []

  init(seed: UInt64) throws { victims = try Victims(seed: seed) }

  func run(for duration: Duration) async throws {
    let driver = try victims.file.open()
    _ = try await driver.insert((0..<6).map { NewJob("held", payload: Payload("held-\($0)")) })
    await driver.close()
    try victims.start(Self.roles)
    let end = ContinuousClock.now + duration
    var kills: Int { victims.kills.count }
    // Until one that held a job was among the killed.
    while try ContinuousClock.now < end || kills < 10 || (kills < 1000 && report().rescues.isEmpty) {
      try await victims.killOne()
    }
    try await rescueLast()
    victims.killAll()
  }

  /// What was held by those that were killed last has begun again.
  private func rescueLast() async throws {
    let end = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < end, try !report().unrescued.isEmpty {
      try await Task.sleep(for: .milliseconds(10))
    }
  }

  /// A last worker, here, does what is left.
  func drain() async throws {
    let driver = try victims.file.open()
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
      .write(to: victims.file.folder.appendingPathComponent("last.log"), atomically: false, encoding: .utf8)
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
    let driver = try victims.file.open()
    let counts = try await driver.count()
    await driver.close()
    return counts
  }

  func integrity() throws -> [String] { try victims.file.rows("PRAGMA integrity_check") }

  func report() throws -> Report {
    var report = Report()
    report.kills = victims.kills.count(where: \.isFollowed)
    var acknowledged: Set<String> = []
    var orders = FileOrders()
    /// By job: when each token's claim had been answered.
    var claims: [String: [(token: String, time: UInt64)]] = [:]
    /// By held job: in which log it began, and when.
    var begins: [String: [(log: String, time: UInt64)]] = [:]
    var settles: [(job: String, token: String, time: UInt64)] = []
    for (log, lines) in try victims.logs() {
      for words in lines {
        switch words.first {
        case "ack": acknowledged.insert(words[1])
        case "run": report.runs += 1
        case "begin":
          begins[words[1], default: []].append((log, try #require(UInt64(words[2]))))
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
    for kill in victims.kills where kill.role == "hold" && kill.isFollowed {
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
