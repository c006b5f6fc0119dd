import Foundation
import Qudo
import QudoSQLite
import TestSupport
import Testing

/// Several processes work on jobs with limits, rates and ordered keys, and are killed at random.
///
/// `QUDO_TORTURE_SECONDS` (3 by default) says for how long, `QUDO_TORTURE_SEED` repeats a run's choices.
@Suite struct LimitTortureTests {
  @Test("However many processes are killed, no limit, rate or order is passed, and no place is lost")
  func limits() async throws {
    let environment = ProcessInfo.processInfo.environment
    let seconds = environment["QUDO_TORTURE_SECONDS"].flatMap(Double.init) ?? 3
    let seed = environment["QUDO_TORTURE_SEED"].flatMap(UInt64.init) ?? UInt64.random(in: 0...9_999_999)
    let torture = try LimitTorture(seed: seed)
    try await torture.run(for: .seconds(seconds))
    let (ended, left) = try await torture.drain()
    let report = try torture.report()
    print("limit torture: seed \(seed), \(seconds) s, \(report)")

    #expect(report.runs > 50 && report.kills >= 5, "too little happened to show anything")
    // What never fills is never passed. In three seconds it may be that little meets.
    if seconds >= 10 {
      for limit in 1...3 {
        let isFull = LimitTorture.limits.contains { $0.1 == limit && report.most[$0.0] == limit }
        #expect(isFull, "nothing that admits \(limit) was ever full, seed \(seed)")
      }
      #expect(report.most["limited"] == 3, "seed \(seed)")
    }
    #expect(report.passed == [], "more ran at once than may, seed \(seed)")
    #expect(report.tooFast == [], "more began than the rate lets, seed \(seed)")
    #expect(report.overtaken == [], "a job of an ordered key began before an earlier one, seed \(seed)")
    #expect(torture.wrongRows == [], "seed \(seed)")
    #expect(left == [], "places were lost, or jobs left, seed \(seed)")
    let lost = report.acknowledged.subtracting(ended)
    #expect(lost == [], "acknowledged and never completed, seed \(seed)")
  }
}

private final class LimitTorture {
  /// How many may run at once of each kind and key.
  static let limits: [(String, Int)] =
    [("limited", 3)] + (0..<9).map { ("key-\($0)", $0 % 3 + 1) } + (0..<3).map { ("slow-\($0)", 2) }
  /// In how many microseconds each gains a token, and how many it has at most.
  private static let rates: [(String, spacing: Int64, burst: Int64)] =
    [("rated", 20_000, 4)] + (0..<3).map { ("slow-\($0)", 50_000, 2) }

  struct Report: CustomStringConvertible {
    var kills = 0
    var runs = 0
    var acknowledged: Set<String> = []
    /// The most that ran at once.
    var most: [String: Int] = [:]
    var passed: [String] = []
    var tooFast: [String] = []
    var overtaken: [String] = []
    var description: String {
      "\(kills) kills, \(acknowledged.count) enqueues acknowledged, \(runs) runs, most at once \(most.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")); \(passed.count) limits passed, \(tooFast.count) rates passed, \(overtaken.count) overtaken"
    }
  }

  private static let roles = [
    "limit-enqueue", "limit-enqueue", "limit-work", "limit-work", "limit-work", "limit-work",
  ]
  private let victims: Victims
  /// What the tables had that they may not have.
  private(set) var wrongRows: [String] = []

  init(seed: UInt64) throws { victims = try Victims(seed: seed) }

  func run(for duration: Duration) async throws {
    await (try victims.file.open()).close()
    try victims.start(Self.roles)
    let end = ContinuousClock.now + duration
    while ContinuousClock.now < end || victims.kills.count < 5 {
      try await victims.killOne()
      try checkRows()
    }
    victims.killAll()
  }

  /// Whatever is committed at the time: no limit is passed, and while jobs of a key are held, it has as many admitted ones as it may.
  private func checkRows() throws {
    let admitted =
      Self.limits.dropFirst().map { "SELECT '\($0.0)' AS key, \($0.1) AS most" }.joined(
        separator: " UNION ALL ")
    wrongRows += try rows(
      """
      SELECT 'limited runs ' || running FROM (
        SELECT count(*) AS running FROM qudo_running AS r JOIN qudo_job AS j ON j.id BETWEEN r.first AND r.last
        WHERE j.kind = (SELECT id FROM qudo_kind WHERE name = 'limited'))
      WHERE running > \(Self.limits[0].1)
      UNION ALL
      SELECT l.key || ' admits ' || p.count FROM (\(admitted)) AS l
      JOIN (SELECT key, count(*) AS count FROM qudo_admitted GROUP BY key) AS p ON p.key = l.key WHERE p.count > l.most
      UNION ALL
      SELECT l.key || ' holds jobs and admits ' || (SELECT count(*) FROM qudo_admitted AS p WHERE p.key = l.key) FROM (\(admitted)) AS l
      WHERE EXISTS (SELECT 1 FROM qudo_held AS h WHERE h.key = l.key)
        AND (SELECT count(*) FROM qudo_admitted AS p WHERE p.key = l.key) < l.most
      """)
  }

  /// A last process does what is left.
  ///
  /// - Returns: What has completed, and what is left in the tables.
  func drain() async throws -> (ended: Set<String>, left: [String]) {
    try victims.run("limit-drain")
    let driver = try victims.file.open()
    var ended: Set<String> = []
    var query = LogQuery(oldestFirst: true, limit: 10_000)
    while true {
      let page = try await driver.statuses(query)
      for row in page where row.status == .completed {
        ended.insert(String(decoding: row.payload.bytes, as: UTF8.self))
      }
      guard let last = page.last else { break }
      query.after = last.id
    }
    await driver.close()
    let left = try ["job", "ready", "delayed", "running", "admitted", "held", "key"].flatMap { table in
      try rows("SELECT 'qudo_\(table) has ' || n FROM (SELECT count(*) AS n FROM qudo_\(table)) WHERE n > 0")
    }
    return (ended, left)
  }

  /// A process that was killed in its commit leaves work to the next reader, which others may do at the same time.
  private func rows(_ sql: String) throws -> [String] { try victims.file.rows(sql, waiting: 10_000) }

  func report() throws -> Report {
    var report = Report()
    report.kills = victims.kills.count(where: \.isFollowed)
    var events: [String: [(time: UInt64, change: Int)]] = [:]
    var begins: [String: [(time: UInt64, job: Int64)]] = [:]
    var claims: [String: [Int64]] = [:]
    for (log, lines) in try victims.logs() {
      // By job, when its run began.
      var running: [String: (owner: String, time: UInt64)] = [:]
      for words in lines {
        let owner = String(words[1].prefix { $0 != ":" })
        switch words[0] {
        case "ack": report.acknowledged.insert(words[1])
        case "claim": claims[owner, default: []].append(try #require(Int64(words[2])))
        case "begin":
          let time = try #require(UInt64(words[3]))
          report.runs += 1
          running[words[2]] = (owner, time)
          events[owner, default: []].append((time, 1))
          begins[owner, default: []].append((time, try #require(Int64(words[2]))))
        case "end":
          running[words[2]] = nil
          events[owner, default: []].append((try #require(UInt64(words[3])), -1))
        default: break
        }
      }
      // Another process may begin what a killed one ran, but not before the kill.
      for run in running.values {
        let kill = try #require(victims.kills.first { $0.log == log })
        events[run.owner, default: []].append((kill.time, -1))
      }
    }
    for (owner, limit) in Self.limits {
      var count = 0
      for event in (events[owner] ?? []).sorted(by: { ($0.time, $0.change) < ($1.time, $1.change) }) {
        count += event.change
        report.most[owner] = max(report.most[owner] ?? 0, count)
      }
      if let most = report.most[owner], most > limit { report.passed.append("\(owner): \(most) of \(limit)") }
      guard limit == 1 else { continue }
      let order = (begins[owner] ?? []).sorted { $0.time < $1.time }.map(\.job)
      for (earlier, later) in zip(order, order.dropFirst()) where later < earlier {
        report.overtaken.append("\(owner): job \(later) after \(earlier)")
      }
    }
    for (owner, spacing, burst) in Self.rates {
      // The bucket of the claims that are known: it holds at most `burst`, and each claim takes one.
      var (full, last) = (Int64.min, Int64.min)
      for claim in (claims[owner] ?? []).sorted() {
        full = max(full, claim) + spacing
        // A millisecond for the two clocks, that of the leases and that of the rates.
        if full - claim > spacing * burst + 1000 {
          report.tooFast.append("\(owner): at \(claim) after \(last)")
        }
        last = claim
      }
    }
    return report
  }
}
