import CSQLite
import Foundation
import Qudo
@testable import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// Throttles of unique keys as rows of a file: what they leave behind, and what others do meanwhile.
@Suite struct ThrottleTests {
  let my: Harness
  var file: TemporaryFile { my.file }
  var clock: ManualClock { my.clock }
  var driver: SQLiteDriver { my.driver }

  init() throws { my = try Harness() }

  private func throttled(_ key: String, _ seconds: Int = 10) -> UniqueKey {
    UniqueKey(key, throttle: .seconds(seconds))
  }

  private func complete(_ limit: Int = 1000) async throws {
    let jobs = try await driver.claim(demand(limit)).jobs
    let results = try await driver.settle(jobs.map { Settlement($0.lease, .completed()) }, claiming: nil)
    #expect(results.results.allSatisfy { $0 == .settled() })
  }

  private func rests() throws -> [String] {
    try file.rows("SELECT key, throttle, ends IS NULL FROM qudo_rest ORDER BY job")
  }

  @Test("a throttle leaves no row, but the rest that the completion begins") func rowsGo() async throws {
    _ = try await driver.insert((0..<6).map { job("\($0)", unique: throttled("k\($0)")) })
    #expect(try rests().count == 6)
    let claimed = try await driver.claim(demand(4)).jobs
    let outcomes: [Settlement.Outcome] = [
      .failed(message: ""), .completed(replacements: [job("r", kind: "b")]), .aborted(message: ""),
      .completed(),
    ]
    _ = try await driver.settle(zip(claimed, outcomes).map { Settlement($0.lease, $1) }, claiming: nil)
    _ = try await driver.cancel([5], reason: nil)
    #expect(try rests() == ["k3|10000000|0", "k5|10000000|1"])
    clock.advance(by: .seconds(10))
    _ = try await driver.insert([job(unique: throttled("k3", 7))])
    #expect(try rests() == ["k5|10000000|1", "k3|7000000|1"])
  }

  @Test("each throttle is that of a live job, whatever the verbs do", arguments: [1, 2, 3])
  func throttlesAreOfJobs(seed: UInt64) async throws {
    var random = Seeded(seed: seed)
    var claimed: [ClaimedJob] = []
    for _ in 0..<200 {
      switch Int.random(in: 0..<7, using: &random) {
      case 0...2:
        let policies: [UniqueKey.Conflict] = [.reject, .keep, .overwrite]
        let throttle: Duration? =
          Bool.random(using: &random) ? .seconds(Int.random(in: 1...60, using: &random)) : nil
        let unique = UniqueKey(
          "u\(Int.random(in: 0..<9, using: &random))",
          onConflict: policies.randomElement(using: &random) ?? .reject, throttle: throttle)
        _ = try await driver.insert([job(unique: unique), job(expires: .after(.seconds(90)))])
      case 3: claimed += try await driver.claim(demand(3, maxExpiredLeases: 1)).jobs
      case 4:
        let outcomes: [Settlement.Outcome] = [
          .completed(), .completed(), .failed(message: ""), .retry(after: .seconds(1), message: ""),
          .released,
          .completed(replacements: [job(unique: UniqueKey("u1", throttle: .seconds(5)))]),
        ]
        let settlements = claimed.shuffled(using: &random).map {
          Settlement($0.lease, outcomes.randomElement(using: &random) ?? .completed())
        }
        _ = try await driver.settle(settlements, claiming: nil)
        claimed = []
      case 5:
        let ids = try await driver.jobs(matching: JobQuery(limit: 1000)).map(\.id)
        _ = try await driver.cancel(Array(ids.shuffled(using: &random).prefix(2)), reason: nil)
      default: clock.advance(by: .seconds(Int64.random(in: 1...40, using: &random)))
      }
      #expect(try file.rows(wrong) == [])
    }
  }

  /// The throttles of jobs that are gone, rests of live jobs, and live jobs whose key rests.
  private let wrong = """
    SELECT job, ends FROM qudo_rest AS r
      WHERE (ends IS NULL) <> EXISTS (SELECT 1 FROM qudo_job AS j WHERE j.id = r.job AND j.kind = r.kind AND j.unique_key = r.key)
    UNION ALL SELECT count(*), key FROM qudo_rest WHERE ends IS NOT NULL GROUP BY kind, key HAVING count(*) > 1
    """

  @Test("ended rests do not pile up, whether there are enqueues or not") func endedRestsGo() async throws {
    for round in 0..<20 {
      _ = try await driver.insert((0..<50).map { job(unique: throttled("\(round) \($0)", 1)) })
      try await complete()
      clock.advance(by: .seconds(2))
      #expect(try rests().count <= 100)
    }
    for _ in 0..<3 {
      clock.advance(by: .seconds(61))
      #expect(try await driver.claim(demand()).jobs.isEmpty)
    }
    #expect(try rests() == [])
  }

  @Test("a key with a long text, and one that looks like another, rest for themselves") func keys()
    async throws
  {
    let long = String(repeating: "k", count: 255)
    for key in [long, "\u{E9}", "e\u{301}", "k'"] {
      _ = try await driver.insert([job(unique: throttled(key))])
      try await complete()
    }
    #expect(try rests().count == 4)
    for (id, key) in zip([1, 2, 3, 4] as [Int64], [long, "\u{E9}", "e\u{301}", "k'"]) {
      #expect(try await driver.insert([job(unique: UniqueKey(key))]) == [.conflict(id)])
    }
  }

  @Test("a job that completes in the application's own transaction lets its key rest") func ownTransaction()
    async throws
  {
    _ = try await driver.insert([job("x", unique: throttled("k")), job("y", unique: throttled("l"))])
    let app = Application(try AppConnection(file.path))
    let handler = JobHandler("a") { context in
      try app.connection.run("BEGIN IMMEDIATE")
      try context.complete(in: app.connection.handle)
      try app.connection.run(context.text == "x" ? "COMMIT" : "ROLLBACK")
      if context.text == "y" { throw Abort("no") }
    }
    _ = try await my.worker([handler]).workUntilEmpty()
    #expect(try await driver.insert([job(unique: "k")]) == [.conflict(1)])
    #expect(try await driver.insert([job(unique: "l")]) == [.inserted(3)], "it was rolled back")
    #expect(try rests() == ["k|10000000|0"])
  }

  private final class Application: @unchecked Sendable {  // reason: one job at a time uses it
    let connection: AppConnection
    init(_ connection: AppConnection) { self.connection = connection }
  }

  @Test("statements note throttles and keep to rests as an enqueue does") func statements() async throws {
    let app = try AppConnection(file.path)
    func execute(_ jobs: [NewJob]) throws -> [Int32] {
      try app.run("BEGIN IMMEDIATE")
      let statements = try SQLiteEnqueueStatements(clock: clock).statements(for: jobs)
      let codes = statements.map { app.execute($0.sql, $0.values) }.filter { $0 != SQLITE_DONE }
      try app.run("COMMIT")
      return codes
    }
    #expect(try execute([job("1", unique: throttled("k"))]) == [])
    #expect(
      try execute([job("2", unique: UniqueKey("k", onConflict: .overwrite, throttle: .seconds(99)))]) == [])
    #expect(try rests() == ["k|10000000|1"])
    let running = try await driver.claim(demand())
    #expect(running.texts == ["2"])
    #expect(try execute([job("no", unique: throttled("k"))]) == [SQLITE_CONSTRAINT])
    #expect(try rests() == ["k|10000000|1"])
    let settlements = running.jobs.map { Settlement($0.lease, .completed()) }
    #expect(try await driver.settle(settlements, claiming: nil).results == [.settled()])
    for policy in [UniqueKey.Conflict.reject, .overwrite] {
      #expect(
        try execute([job("no", unique: UniqueKey("k", onConflict: policy)), job("other")]) == [
          SQLITE_CONSTRAINT
        ])
    }
    #expect(try execute([job("no", unique: UniqueKey("k", onConflict: .keep, throttle: .seconds(1)))]) == [])
    #expect(try await driver.claim(demand()).texts == ["other", "other"])
    #expect(try execute([job("b", kind: "b", unique: UniqueKey("k", onConflict: .keep))]) == [])
    clock.advance(by: .seconds(10))
    #expect(try execute([job("3", unique: throttled("k", 3))]) == [])
    #expect(try rests() == ["k|3000000|1"])
    #expect(try await driver.claim(demand()).texts == ["3"])
    for statement in try SQLiteEnqueueStatements(clock: clock).statements(for: [job(unique: throttled("k"))])
    {
      let plan = try app.rows("EXPLAIN QUERY PLAN \(statement.sql)")
      #expect(plan.allSatisfy { !$0.contains("SCAN qudo") && !$0.contains("TEMP B-TREE") }, "\(plan)")
    }
  }

  @Test("a program that knows no throttles leaves rows behind that harm nothing") func orphans() async throws
  {
    _ = try await driver.insert([job("1", unique: throttled("k"))])
    // As an older program completes it.
    try file.execute(
      "DELETE FROM qudo_ready; DELETE FROM qudo_job; UPDATE qudo_info SET value = 1 WHERE key = 'highest_id'")
    #expect(try await driver.insert([job("2", unique: throttled("k"))]) == [.inserted(2)])
    try await complete()
    #expect(try await driver.insert([job("3", unique: "k")]) == [.conflict(2)])
    #expect(try rests() == ["k|10000000|1", "k|10000000|0"])
    // And as it enqueues while the key rests.
    try file.execute(
      """
      INSERT INTO qudo_job(id, kind, rank, due, enqueued, attempt, lost, state, codec, unique_key, unique_scope, payload)
        VALUES (9, 1, 0, 0, 0, 1, 0, 0, 0, 'k', 0, x'');
      INSERT INTO qudo_ready(kind, rank, due, last, first) VALUES (1, 0, 0, 9, 9)
      """)
    #expect(try await driver.insert([job("3", unique: throttled("k"))]) == [.conflict(9)])
    try await complete()
    #expect(try await driver.insert([job("3", unique: throttled("k"))]) == [.conflict(2)])
  }

  @Test("jobs without a throttle run no statement of the table of rests") func unused() async throws {
    let key = UniqueKey("k", onConflict: .overwrite)
    _ = try await driver.insert(
      (0..<40).map { job("\($0)", unique: $0 % 2 == 0 ? UniqueKey("\($0)") : nil) } + [
        job(unique: key), job(unique: key),
      ])
    let jobs = try await driver.claim(demand(40)).jobs
    let outcomes: [Settlement.Outcome] = [
      .completed(), .failed(message: ""), .retry(after: .zero, message: ""),
    ]
    _ = try await driver.settle(
      jobs.enumerated().map { Settlement($1.lease, outcomes[$0 % 3]) }, claiming: demand(3))
    clock.advance(by: .seconds(61))
    _ = try await driver.claim(demand(1, "none"))
    let prepared = try await driver.writer.write(isDurable: true, isSmall: true) { transaction in
      transaction.connection.preparedSQL
    }
    // What the connection reads after another one's commit tells it that there are none.
    #expect(prepared.filter { $0.contains("qudo_rest") && !$0.hasPrefix("SELECT max(coalesce(") } == [])
  }
}
