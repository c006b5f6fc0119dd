import CSQLite
import Foundation
import Qudo
@testable import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// Concurrency keys as rows of a file: what they leave behind, and what other programs do to them.
@Suite struct ConcurrencyKeyTests {
  let file: TemporaryFile
  let clock = ManualClock()
  let driver: SQLiteDriver

  init() throws {
    file = try TemporaryFile()
    driver = try file.open(clock: clock)
  }

  private func keyed(_ text: String, _ key: ConcurrencyKey = "k", unique: UniqueKey? = nil, due: Due = .now)
    -> NewJob
  {
    var new = job(text, unique: unique, due: due)
    new.concurrencyKey = key
    return new
  }

  private func rows() throws -> [String] {
    try ["qudo_admitted", "qudo_held", "qudo_key"].flatMap { table in
      try file.rows("SELECT count(*) FROM \(table)")
    }
  }

  private func finish(_ jobs: [ClaimedJob]) async throws {
    _ = try await driver.settle(jobs.map { Settlement($0.lease, .completed()) }, claiming: nil)
  }

  @Test("keys are compared byte by byte, where Swift takes texts for equal") func bytes() {
    let keys: Set<ConcurrencyKey> = ["caf\u{E9}", "cafe\u{301}", "caf\u{E9}"]
    #expect(keys.count == 2 && ConcurrencyKey("a") != ConcurrencyKey("a", limit: 2))
    #expect(ConcurrencyKey("a") != ConcurrencyKey("a", afterFailure: .stop))
    #expect(ConcurrencyKey("a") != ConcurrencyKey("a", rate: RateLimit(1, per: .seconds(1))))
  }

  @Test("a key without jobs leaves no row") func rowsGo() async throws {
    for _ in 0..<3 {
      _ = try await driver.insert(
        (0..<300).map { keyed("\($0)", ConcurrencyKey("k\($0 % 100)", limit: 1 + $0 % 2)) })
      #expect(try rows().map { $0 != "0" } == [true, true, true])
      while case let jobs = try await driver.claim(demand(500)).jobs, !jobs.isEmpty { try await finish(jobs) }
      #expect(try rows() == ["0", "0", "0"])
    }
  }

  @Test("each place is that of a job, whatever the verbs do", arguments: [1, 2, 3])
  func places(seed: UInt64) async throws {
    var random = Seeded(seed: seed)
    var claimed: [ClaimedJob] = []
    for _ in 0..<300 {
      switch Int.random(in: 0..<10, using: &random) {
      case 0...2:
        let unique = UniqueKey("u\(Int.random(in: 0..<9, using: &random))", onConflict: .overwrite)
        let key = ConcurrencyKey(
          "k\(Int.random(in: 0..<3, using: &random))", limit: Int.random(in: 1...3, using: &random),
          rate: Bool.random(using: &random) ? RateLimit(2, per: .seconds(30)) : nil,
          afterFailure: Int.random(in: 0..<3, using: &random) == 0 ? .stop : .goOn)
        let due: Due = Bool.random(using: &random) ? .now : .after(.seconds(3))
        _ = try await driver.insert([
          keyed("", key, unique: Bool.random(using: &random) ? unique : nil, due: due), job(unique: unique),
        ])
      case 3: claimed += try await driver.claim(demand(2)).jobs
      case 4:
        let outcomes: [Settlement.Outcome] = [
          .completed(), .failed(message: ""), .retry(after: .seconds(1), message: ""), .released,
        ]
        let settlements = claimed.shuffled(using: &random).map {
          Settlement($0.lease, outcomes.randomElement(using: &random) ?? .completed())
        }
        _ = try await driver.settle(settlements, claiming: nil)
        claimed = []
      case 5:
        let ids = try await driver.jobs(matching: JobQuery(limit: 1000)).map(\.id)
        _ = try await driver.cancel(Array(ids.shuffled(using: &random).prefix(2)), reason: nil)
      case 6: clock.advance(by: .seconds(Int64.random(in: 1...40, using: &random)))
      case 7: _ = try await driver.resume(keys: ["k0", "k1"], of: "a")
      case 8:
        let failures = try await driver.keyStops(nil, after: 0, limit: 3).map(\.failure)
        _ = try await driver.replay(Array(failures.prefix(2)))
        _ = try await driver.resolve(Array(failures.suffix(1)))
      default: _ = try await driver.change(matching: JobQuery(limit: 2), JobChange(due: .now))
      }
      #expect(try file.rows(wrong) == [])
    }
  }

  /// The keys with a place of no job, with fewer places than the limit while jobs are held and it is not stopped, or without a job.
  private let wrong = """
    SELECT 'place', job FROM qudo_admitted AS p
      WHERE NOT EXISTS (SELECT 1 FROM qudo_job AS j WHERE j.id = p.job AND j.kind = p.kind AND j.concurrency_key = p.key)
    UNION ALL SELECT 'none', id FROM qudo_job AS j WHERE concurrency_key IS NOT NULL
      AND (SELECT count(*) FROM qudo_admitted AS p WHERE p.job = j.id) + (SELECT count(*) FROM qudo_held AS h WHERE h.id = j.id) <> 1
    UNION ALL SELECT 'room', h.id FROM qudo_held AS h WHERE
      (SELECT count(*) FROM qudo_admitted AS p WHERE p.kind = h.kind AND p.key = h.key)
      < coalesce((SELECT most FROM qudo_key AS l WHERE l.kind = h.kind AND l.key = h.key), 1)
      AND NOT EXISTS (SELECT 1 FROM qudo_stop AS s WHERE s.kind = h.kind AND s.key = h.key)
    UNION ALL SELECT 'limit', most FROM qudo_key AS l
      WHERE NOT EXISTS (SELECT 1 FROM qudo_admitted AS p WHERE p.kind = l.kind AND p.key = l.key)
      AND NOT EXISTS (SELECT 1 FROM qudo_held AS h WHERE h.kind = l.kind AND h.key = l.key)
    UNION ALL SELECT 'rate', l.most FROM qudo_key AS l
      WHERE l.rate IS NOT (SELECT r.rate FROM qudo_key_rate AS r WHERE r.kind = l.kind AND r.key = l.key)
    UNION ALL SELECT 'unused rate', r.full_at FROM qudo_key_rate AS r
      WHERE r.rate IS NOT NULL AND NOT EXISTS (SELECT 1 FROM qudo_key AS l WHERE l.kind = r.kind AND l.key = r.key)
    UNION ALL SELECT 'stop', s.failure FROM qudo_stop AS s
      WHERE NOT EXISTS (SELECT 1 FROM qudo_failure AS f WHERE f.id = s.failure AND f.job = s.job AND f.replayed_as IS NULL)
    """

  @Test("a connection learns that another one has brought keys") func twoConnections() async throws {
    let other = try file.open(clock: clock)
    _ = try await driver.insert([job("1")])
    // It knows that there are no keys.
    try await finish(try await driver.claim(demand()).jobs)
    _ = try await other.insert([keyed("2"), keyed("3")])
    try await finish(try await driver.claim(demand()).jobs)
    #expect(try await other.claim(demand()).texts == ["3"])
    #expect(try rows() == ["1", "0", "0"])
  }

  @Test("statements hold and admit as an enqueue does") func statements() async throws {
    let other = try TemporaryFile()
    let queue = try other.open(clock: clock)
    let app = try AppConnection(file.path)
    for jobs in [
      [keyed("1"), keyed("2"), keyed("3", due: .after(.seconds(9))), job("4"), keyed("5", "l")],
      [keyed("6", ConcurrencyKey("k", limit: 3))], [keyed("7", ConcurrencyKey("k", limit: 2)), keyed("8")],
      [
        keyed("a", ConcurrencyKey("k", afterFailure: .stop)),
        keyed("b", ConcurrencyKey("n", limit: 2, afterFailure: .stop)),
      ],
      [
        keyed("r1", ConcurrencyKey("r", limit: 3, rate: RateLimit(2, per: .seconds(60)))),
        keyed("r2", ConcurrencyKey("r", limit: 3, rate: RateLimit(1, per: .seconds(60), burst: 5))),
        keyed("r3", ConcurrencyKey("gone", rate: RateLimit(1, per: .seconds(1)))), keyed("r4", "gone"),
      ],
      [keyed("9", "m", unique: UniqueKey("u", onConflict: .keep))],
      [keyed("10", "m", unique: UniqueKey("u", onConflict: .keep))],
    ] {
      try app.run("BEGIN IMMEDIATE")
      for statement in try SQLiteEnqueueStatements(clock: clock).statements(for: jobs) {
        #expect(app.execute(statement.sql, statement.values) == SQLITE_DONE, "\(statement.sql)")
      }
      try app.run("COMMIT")
      _ = try await queue.insert(jobs)
      for table in ["qudo_job", "qudo_delayed", "qudo_admitted", "qudo_held", "qudo_key"] {
        let all = "SELECT * FROM \(table) ORDER BY 1, 2, 3"
        #expect(try file.rows(all) == other.rows(all), "\(table)")
      }
      let rates = "SELECT * FROM qudo_key_rate WHERE rate IS NOT NULL ORDER BY 1, 2"
      #expect(try file.rows(rates) == other.rows(rates))
      // A script writes a row for each job.
      let ready = """
        SELECT j.id FROM qudo_job AS j JOIN qudo_ready AS r
          ON r.kind = j.kind AND r.rank = j.rank AND r.due = j.due AND j.id BETWEEN r.first AND r.last ORDER BY 1
        """
      #expect(try file.rows(ready) == other.rows(ready))
    }
    #expect(try file.rows(wrong) == [])
    // What a script cannot do it refuses, and what it must not touch it leaves.
    let overwrite = UniqueKey("u", onConflict: .overwrite)
    #expect {
      try SQLiteEnqueueStatements().statements(for: [keyed("", unique: overwrite)])
    } throws: { ($0 as? QudoError)?.code == .invalidArgument }
    try app.run("BEGIN IMMEDIATE")
    let codes = try SQLiteEnqueueStatements(clock: clock).statements(for: [job("x", unique: overwrite)]).map {
      app.execute($0.sql, $0.values)
    }
    try app.run("ROLLBACK")
    #expect(codes.contains(SQLITE_CONSTRAINT))
  }

  @Test("statements hold the job of a stopped key") func statementsOfStopped() async throws {
    let key = ConcurrencyKey("k", afterFailure: .stop)
    _ = try await driver.insert([keyed("1", key)])
    let jobs = try await driver.claim(demand()).jobs
    _ = try await driver.settle(jobs.map { Settlement($0.lease, .failed(message: "")) }, claiming: nil)
    let app = try AppConnection(file.path)
    try app.run("BEGIN IMMEDIATE")
    for statement in try SQLiteEnqueueStatements(clock: clock).statements(for: [
      keyed("2", key), keyed("3", "l"),
    ]) {
      #expect(app.execute(statement.sql, statement.values) == SQLITE_DONE, "\(statement.sql)")
    }
    try app.run("COMMIT")
    #expect(try await driver.claim(demand()).texts == ["3"])
    #expect(try driver.insert([keyed("4", key)], in: app.handle) == [.inserted(4)])
    #expect(try await driver.count() == [JobCount("a", running: 1, held: 2)])
    _ = try await driver.replay(try await driver.failures(LogQuery()).map(\.id))
    #expect(try await driver.claim(demand()).texts == ["1"])
    #expect(try file.rows(wrong) == [])
  }

  @Test("a restored and a checked file keep the stops") func stopsOfRestored() async throws {
    let key = ConcurrencyKey("k", afterFailure: .stop)
    _ = try await driver.insert([keyed("1", key), keyed("2", key)])
    let jobs = try await driver.claim(demand()).jobs
    _ = try await driver.settle(jobs.map { Settlement($0.lease, .failed(message: "")) }, claiming: nil)
    var options = DiagnosisOptions()
    options.checksIntegrity = true
    let found = try await SQLiteDriver.diagnose(path: file.path, options, clock: clock).findings
    #expect(!found.contains { $0.check == "integrity" }, "\(found)")
    let finding = try #require(found.first { $0.check == "stopped-key" })
    #expect(
      finding.severity == .warning && finding.subject == "a" && finding.message.contains("the first one k"))
    let copy = file.folder.appendingPathComponent("copy.db").path
    _ = try await driver.backup(to: copy)
    let new = file.folder.appendingPathComponent("new.db").path
    _ = try await SQLiteDriver.restore(from: copy, to: new)
    let again = try SQLiteDriver(path: new, durability: .normal, clock: clock)
    #expect(try await again.keyStops(nil, after: 0, limit: 9).map(\.job) == [1])
    #expect(try await again.claim(demand()).jobs.isEmpty)
    _ = try await again.resume(keys: ["k"], of: "a")
    #expect(try await again.claim(demand()).jobs.map(\.id) == [2])
    await again.close()
  }

  @Test("held jobs of a stopped key that another program deleted leave nothing behind") func foreignHeld()
    async throws
  {
    let key = ConcurrencyKey("k", limit: 2, afterFailure: .stop)
    _ = try await driver.insert([keyed("1", key), keyed("2", key), keyed("3", key)])
    let jobs = try await driver.claim(demand()).jobs
    _ = try await driver.settle(jobs.map { Settlement($0.lease, .failed(message: "")) }, claiming: nil)
    #expect(try rows() == ["0", "1", "1"])
    try file.execute("DELETE FROM qudo_job")
    _ = try await driver.resume(keys: ["k"], of: "a")
    #expect(try rows() == ["0", "0", "0"] || rows() == ["0", "0", "1"])
    _ = try await driver.insert([keyed("4"), keyed("5")])
    #expect(try await driver.claim(demand()).texts == ["4"])
  }

  @Test("the application's transaction takes places with it, or does not") func joined() async throws {
    let app = try AppConnection(file.path)
    try app.run("BEGIN")
    #expect(try driver.insert([keyed("1"), keyed("2")], in: app.handle) == [.inserted(1), .inserted(2)])
    try app.run("ROLLBACK")
    #expect(try rows() == ["0", "0", "0"])
    try app.run("BEGIN")
    _ = try driver.insert([keyed("3"), keyed("4")], in: app.handle)
    try app.run("COMMIT")
    #expect(try await driver.claim(demand()).texts == ["3"])
    #expect(try await driver.count() == [JobCount("a", running: 1, held: 1)])
  }

  @Test("places of jobs that another program deleted are found, and hold up nothing that follows")
  func foreign() async throws {
    _ = try await driver.insert([keyed("1"), keyed("2"), keyed("3"), keyed("x", "other")])
    try file.execute("DELETE FROM qudo_job WHERE id = 1")
    var options = DiagnosisOptions()
    options.checksIntegrity = true
    let found = try await SQLiteDriver.diagnose(path: file.path, options, clock: clock).findings
    #expect(found.contains { $0.subject == "qudo_admitted" && $0.figures["rows"] == 1 }, "\(found)")
    // The claim meets the ready row of the job, and has the tables repaired.
    #expect(try await driver.claim(demand()).texts.sorted() == ["2", "x"])
    #expect(try file.rows(wrong) == [])
    // Also while it ran.
    try file.execute("DELETE FROM qudo_job WHERE id = 2")
    _ = try await driver.insert([keyed("5")])
    #expect(try await driver.claim(demand()).texts == ["3"])
  }

  @Test(
    "the place of a job that another program deleted while it ran is free when the run ends",
    arguments: [.completed(), .retry(after: .zero, message: ""), .released, nil] as [Settlement.Outcome?])
  func foreignRunning(outcome: Settlement.Outcome?) async throws {
    _ = try await driver.insert([keyed("1"), keyed("2")])
    let jobs = try await driver.claim(demand()).jobs
    try file.execute("DELETE FROM qudo_job WHERE id = 1")
    if let outcome {
      _ = try await driver.settle(jobs.map { Settlement($0.lease, outcome) }, claiming: nil)
    } else {
      clock.advance(by: .seconds(3600))
    }
    #expect(try await driver.claim(demand()).texts == ["2"])
    #expect(try file.rows(wrong) == [])
  }

  @Test("a bulk cancel keeps the limit of a key with each job, though it ends the last one of the key")
  func limitsOfMany() async throws {
    let key = ConcurrencyKey("k", limit: 2)
    _ = try await driver.insert([
      keyed("1", key), job("other"), keyed("3", key), job("other"), keyed("5", key),
    ])
    _ = try await driver.cancel([1, 3, 5], reason: nil)
    #expect(try file.rows("SELECT concurrency_limit FROM qudo_failure ORDER BY job") == ["2", "2", "2"])
    #expect(try rows() == ["0", "0", "0"])
  }

  @Test("an admission counts the waiting jobs of a maximum no second time") func maximum() async throws {
    func bounded(_ text: String) -> NewJob {
      var new = keyed(text)
      new.maxWaiting = .refuse(100)
      return new
    }
    _ = try await driver.insert((0..<20).map { bounded("\($0)") })
    for number in 20..<30 {
      try await finish(try await driver.claim(demand()).jobs)
      let counted = try await driver.writer.write(isDurable: true, isSmall: true) { transaction in
        let entry = transaction.connection.waitingCounts.take(1)
        if let entry { transaction.connection.waitingCounts.set(entry, for: 1) }
        return entry?.count
      }
      #expect(counted != nil)
      _ = try await driver.insert([bounded("\(number)")])
    }
  }

  @Test("the bucket of a key stays until it is full, and then leaves no row") func buckets() async throws {
    let count = "SELECT count(*) FROM qudo_key_rate"
    _ = try await driver.insert(
      (0..<40).map { keyed("\($0)", ConcurrencyKey("k\($0)", rate: RateLimit(1, per: .seconds(60)))) })
    try await finish(try await driver.claim(demand(50)).jobs)
    #expect(try rows() == ["0", "0", "0"])
    #expect(try file.rows(count) == ["40"])
    clock.advance(by: .seconds(61))
    // An enqueue with a rate deletes some, and an idle worker the others.
    _ = try await driver.insert([keyed("x", ConcurrencyKey("x", rate: RateLimit(1, per: .seconds(60))))])
    #expect(try file.rows(count) == ["25"])
    try await finish(try await driver.claim(demand()).jobs)
    for _ in 0..<3 {
      clock.advance(by: .seconds(61))
      _ = try await driver.claim(demand())
    }
    #expect(try file.rows(count) == ["0"])
    _ = try await driver.insert([job("plain")])
    try await finish(try await driver.claim(demand()).jobs)
  }

  @Test("a connection learns that another one has brought a rate") func rateOfAnother() async throws {
    let other = try file.open(clock: clock)
    _ = try await driver.insert([job("1")])
    try await finish(try await driver.claim(demand()).jobs)
    let key = ConcurrencyKey("k", limit: 2, rate: RateLimit(1, per: .seconds(60)))
    _ = try await other.insert([keyed("2", key), keyed("3", key)])
    let first = try await driver.claim(demand())
    #expect(first.texts == ["2"])
    try await finish(first.jobs)
    #expect(try await other.claim(demand()).timeUntilNextDue == .seconds(60))
    clock.advance(by: .seconds(60))
    #expect(try await driver.claim(demand()).texts == ["3"])
  }

  @Test("more late jobs than one claim delays are left to the next one") func manyLate() async throws {
    let kinds = (0..<21).map { Kind("k\($0)") }
    for kind in kinds {
      var new = keyed("", ConcurrencyKey("k", limit: 100, rate: RateLimit(1, per: .seconds(60))))
      new.kind = kind
      _ = try await driver.insert(Array(repeating: new, count: 100))
    }
    _ = try await driver.insert([job("free")])
    let request = ClaimRequest((kinds + ["a"]).map { .init($0) }, limit: 1000)
    var claimed: [ClaimedJob] = []
    var claims = 0
    while claims < 9 {
      let claim = try await driver.claim(request)
      claims += 1
      claimed += claim.jobs
      if claim.timeUntilNextDue != .zero { break }
      #expect(claim.jobs.isEmpty)
    }
    #expect(claims > 1 && claims < 9)
    #expect(Set(claimed.map(\.kind)) == Set(kinds + ["a"]) && claimed.count == 22)
  }

  @Test("a restored file goes on with the places of its jobs") func restored() async throws {
    _ = try await driver.insert([keyed("1"), keyed("2"), keyed("3")])
    _ = try await driver.claim(demand())
    let copy = file.folder.appendingPathComponent("copy.db").path
    let report = try await driver.backup(to: copy)
    #expect(report.jobs == [JobCount("a", running: 1, held: 2)])
    let new = file.folder.appendingPathComponent("new.db").path
    let plan = try await SQLiteDriver.restore(from: copy, to: new)
    #expect(plan.jobs == [JobCount("a", running: 1, held: 2)])
    let again = try SQLiteDriver(path: new, durability: .normal, clock: clock)
    for text in ["1", "2", "3"] {
      let jobs = try await again.claim(demand()).jobs
      #expect(jobs.map { String(decoding: $0.payload.bytes, as: UTF8.self) } == [text])
      _ = try await again.settle(jobs.map { Settlement($0.lease, .completed()) }, claiming: nil)
    }
    await again.close()
  }

  @Test("jobs without a key run no statement of the tables of keys") func unused() async throws {
    _ = try await driver.insert((0..<40).map { job("\($0)") })
    let jobs = try await driver.claim(demand(40)).jobs
    let outcomes: [Settlement.Outcome] = [
      .completed(), .failed(message: ""), .retry(after: .zero, message: ""),
    ]
    _ = try await driver.settle(
      jobs.enumerated().map { Settlement($1.lease, outcomes[$0 % 3]) }, claiming: demand(3))
    let prepared = try await driver.writer.write(isDurable: true, isSmall: true) { transaction in
      transaction.connection.preparedSQL
    }
    let ofKeys = prepared.filter { sql in
      ["qudo_admitted", "qudo_held", "qudo_key", "qudo_stop"].contains { sql.contains($0) }
        && !sql.hasPrefix("SELECT max(coalesce(") && !sql.hasPrefix("INSERT INTO qudo_failure")
    }
    // What the connection reads after another one's commit tells it that there are none.
    #expect(ofKeys == [])
  }
}
