import CSQLite
import Foundation
import Qudo
@testable import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// Groups of jobs as rows of a file: what they leave behind, and what others do beside them.
@Suite struct GroupTests {
  let my: Harness
  var file: TemporaryFile { my.file }
  var clock: ManualClock { my.clock }
  var driver: SQLiteDriver { my.driver }

  init() throws { my = try Harness() }

  private func grouped(
    _ text: String, _ group: String?, kind: Kind = "a", unique: UniqueKey? = nil, priority: Int = 0,
    due: Due = .now, key: ConcurrencyKey? = nil
  ) -> NewJob {
    var new = job(text, kind: kind, unique: unique, priority: priority, due: due)
    (new.group, new.concurrencyKey) = (group, key)
    return new
  }

  private func finish(_ jobs: [ClaimedJob]) async throws {
    let results = try await driver.settle(jobs.map { Settlement($0.lease, .completed()) }, claiming: nil)
    #expect(results.results.allSatisfy { $0 == .settled() })
  }

  /// The rows with their places, counted from now.
  private func rows() throws -> [String] {
    try file.rows(
      "SELECT job, grp, place - \(clock.now().wall.microseconds) FROM qudo_group ORDER BY job")
  }

  @Test("a job of a group has a row while it lives, and a place while it is ready or runs") func rowsGo()
    async throws
  {
    _ = try await driver.insert(
      [grouped("1", "A"), grouped("2", "A"), grouped("3", "A", due: .after(.seconds(5)))] + [job("4")]
        + [grouped("5", "A", key: "k"), grouped("6", "A", key: "k"), grouped("7", nil, kind: "b")])
    #expect(try rows() == ["1|A|0", "2|A|1", "3|A|", "4||0", "5|A|2", "6|A|"])
    let claimed = try await driver.claim(demand(2)).jobs
    #expect(claimed.map(\.id) == [1, 4])
    #expect(try rows() == ["1|A|0", "2|A|1", "3|A|", "4||0", "5|A|2", "6|A|"])
    _ = try await driver.settle(
      [
        Settlement(claimed[0].lease, .retry(after: .seconds(9), message: "")),
        Settlement(claimed[1].lease, .completed()),
      ], claiming: nil)
    #expect(try rows() == ["1|A|", "2|A|1", "3|A|", "5|A|2", "6|A|"])
    _ = try await driver.cancel([2, 3, 5], reason: nil)
    #expect(try rows() == ["1|A|", "6|A|0"])
    _ = try await driver.cancel([1, 6], reason: nil)
    #expect(try rows() == [])
    #expect(
      try file.rows("SELECT job, grp FROM qudo_failure WHERE final ORDER BY job") == [
        "1|A", "2|A", "3|A", "5|A", "6|A",
      ])
    #expect(try await driver.claim(demand(9, "b")).jobs.map(\.id) == [7])
  }

  /// Returns random jobs.
  private static func jobs(_ count: Int, _ random: inout Seeded) -> [NewJob] {
    let groups: [String?] = ["A", "B", "C", nil, nil]
    var jobs: [NewJob] = []
    for _ in 0..<count {
      func isOne(of count: Int) -> Bool { Int.random(in: 0..<count, using: &random) == 0 }
      var new = job(kind: isOne(of: 4) ? "b" : "a")
      new.group = groups[Int.random(in: 0..<groups.count, using: &random)]
      new.priority = isOne(of: 2) ? 1 : 0
      if isOne(of: 5) { new.unique = UniqueKey(isOne(of: 2) ? "u" : "v", onConflict: .overwrite) }
      if isOne(of: 6) { new.due = .after(.seconds(5)) }
      if isOne(of: 5) { new.concurrencyKey = "k" }
      jobs.append(new)
    }
    return jobs
  }

  @Test("each row is that of a live job with its place, whatever the verbs do", arguments: [1, 2, 3, 4])
  func rowsAreOfJobs(seed: UInt64) async throws {
    var random = Seeded(seed: seed)
    let other = try file.open(clock: clock)
    var claimed: [ClaimedJob] = []
    func ids(_ count: Int) async throws -> [Int64] {
      let all = try await driver.jobs(matching: JobQuery(limit: 1000)).map(\.id)
      return Array(all.shuffled(using: &random).prefix(count))
    }
    for _ in 0..<250 {
      let driver = Bool.random(using: &random) ? my.driver : other
      switch Int.random(in: 0..<10, using: &random) {
      case 0...3:
        _ = try await driver.insert(Self.jobs(Int.random(in: 1...20, using: &random), &random))
      case 4, 5:
        claimed += try await driver.claim(
          demand(Int.random(in: 1...40, using: &random), "a", "b", maxExpiredLeases: 2)
        ).jobs
      case 6:
        let outcomes: [Settlement.Outcome] = [
          .completed(), .completed(), .failed(message: ""), .retry(after: .seconds(1), message: ""),
          .retry(after: .zero, message: ""), .released, .completed(replacements: [grouped("", "B")]),
        ]
        let settlements = claimed.shuffled(using: &random).map {
          Settlement($0.lease, outcomes.randomElement(using: &random) ?? .completed())
        }
        _ = try await driver.settle(settlements, claiming: nil)
        claimed = []
      case 7: _ = try await driver.cancel(try await ids(3), reason: nil)
      case 8:
        let changes = [JobChange(priority: 1), JobChange(due: .now), JobChange(metadata: ["a": "b"])]
        _ = try await driver.change(try await ids(4), changes.randomElement(using: &random) ?? changes[0])
      default: clock.advance(by: .seconds(Int64.random(in: 1...40, using: &random)))
      }
      #expect(try file.rows(wrong) == [])
    }
    var options = DiagnosisOptions()
    options.checksIntegrity = true
    let findings = try await SQLiteDriver.diagnose(path: file.path, options, clock: clock).findings
    #expect(!findings.contains { $0.check == "integrity" }, "\(findings)")
  }

  /// Rows of no job, places of jobs that wait otherwise, and ready jobs that are not at their place.
  private let wrong = """
    SELECT 'none', job FROM qudo_group AS g WHERE NOT EXISTS (SELECT 1 FROM qudo_job AS j WHERE j.id = g.job AND j.kind = g.kind)
    UNION ALL SELECT 'rank', job FROM qudo_group AS g JOIN qudo_job AS j ON j.id = g.job WHERE place IS NOT NULL AND j.rank <> g.rank
    UNION ALL SELECT 'waits', job FROM qudo_group WHERE place IS NOT NULL
      AND (EXISTS (SELECT 1 FROM qudo_delayed AS d WHERE d.id = job) OR EXISTS (SELECT 1 FROM qudo_held AS h WHERE h.id = job))
    UNION ALL SELECT 'place', j.id FROM qudo_job AS j LEFT JOIN qudo_group AS g ON g.job = j.id
      WHERE EXISTS (SELECT 1 FROM qudo_ready AS r WHERE j.id BETWEEN r.first AND r.last)
      AND NOT EXISTS (SELECT 1 FROM qudo_ready AS r WHERE r.kind = j.kind AND r.rank = j.rank AND r.due = coalesce(g.place, j.due)
        AND j.id BETWEEN r.first AND r.last)
    """

  @Test("a connection learns that another one has brought groups") func twoConnections() async throws {
    let other = try file.open(clock: clock)
    _ = try await driver.insert([job("x", kind: "b")])
    // It knows that there are no groups.
    try await finish(try await driver.claim(demand(1, "b")).jobs)
    _ = try await other.insert((1...3).map { grouped("A\($0)", "A") })
    _ = try await driver.insert((1...20).map { job("\($0)") })
    #expect(try await driver.claim(demand(4)).texts == ["A1", "1", "A2", "2"])
    #expect(try await driver.jobs(matching: JobQuery(states: [.ready], limit: 99)).count == 19)
    #expect(try await driver.jobs(matching: JobQuery(ids: [4])).map(\.group) == ["A"])
  }

  @Test("the application's transaction takes places with it, or does not") func joined() async throws {
    _ = try await driver.insert([grouped("A1", "A"), grouped("A2", "A")])
    let app = try AppConnection(file.path)
    try app.run("BEGIN")
    _ = try driver.insert([grouped("B1", "B"), job("none")], in: app.handle)
    try app.run("ROLLBACK")
    #expect(try rows() == ["1|A|0", "2|A|1"])
    try app.run("BEGIN")
    _ = try driver.insert([grouped("B1", "B")] + (1...16).map { job("none\($0)") }, in: app.handle)
    try app.run("COMMIT")
    #expect(try await driver.claim(demand(5)).texts == ["A1", "B1", "none1", "A2", "none2"])
  }

  @Test("jobs of statements take their turns with the next claim") func statements() async throws {
    let app = try AppConnection(file.path)
    func execute(_ jobs: [NewJob]) throws -> [Int32] {
      try app.run("BEGIN IMMEDIATE")
      let statements = try SQLiteEnqueueStatements(clock: clock).statements(for: jobs)
      let codes = statements.map { app.execute($0.sql, $0.values) }.filter { $0 != SQLITE_DONE }
      try app.run("COMMIT")
      return codes
    }
    #expect(try execute([job("x", kind: "b")]) == [])
    #expect(try file.rows("SELECT count(*) FROM qudo_ready") == ["1"])
    _ = try await driver.insert((1...3).map { grouped("A\($0)", "A") })
    #expect(
      try execute([
        grouped("B1", "B"), job("none1"), grouped("B2", "B"), grouped("C1", "C", key: "k"),
        grouped("C2", "C", key: "k"), grouped("B3", "B", due: .after(.seconds(9))), job("none2"),
      ]) == [])
    #expect(
      try await driver.jobs(matching: JobQuery(kinds: ["a"])).map(\.state) == [
        .ready, .ready, .ready, .ready, .ready, .ready, .ready, .held, .delayed, .ready,
      ])
    #expect(
      try await driver.claim(demand(9)).texts == ["A1", "B1", "none1", "C1", "A2", "B2", "none2", "A3"])
    #expect(try file.rows(wrong) == [])
    // What the statements cannot do they refuse, and what they must not touch they leave.
    let overwrite = UniqueKey("u", onConflict: .overwrite)
    #expect {
      try SQLiteEnqueueStatements().statements(for: [grouped("", "A", unique: overwrite)])
    } throws: { ($0 as? QudoError)?.code == .invalidArgument }
    _ = try await driver.insert([grouped("A4", "A", unique: overwrite)])
    try app.run("BEGIN IMMEDIATE")
    let codes = try SQLiteEnqueueStatements(clock: clock).statements(for: [job("x", unique: overwrite)]).map {
      app.execute($0.sql, $0.values)
    }
    try app.run("ROLLBACK")
    #expect(codes.contains(SQLITE_CONSTRAINT))
    for statement in try SQLiteEnqueueStatements(clock: clock).statements(for: [grouped("", "A"), job()]) {
      let plan = try app.rows("EXPLAIN QUERY PLAN \(statement.sql)")
      #expect(plan.allSatisfy { !$0.contains("SCAN qudo") && !$0.contains("TEMP B-TREE") }, "\(plan)")
    }
  }

  @Test("the age of the oldest ready job is by its true due time") func ages() async throws {
    _ = try await driver.insert([grouped("A1", "A"), grouped("A2", "A")])
    clock.advance(by: .seconds(60))
    _ = try await driver.insert([grouped("B1", "B"), grouped("B2", "B", priority: 1)])
    func age() async throws -> Duration? {
      let backlog = try await driver.reader.read { snapshot throws(QudoError) in
        try snapshot.backlog(["a"], countingUpTo: 9)
      }
      return backlog.oldest.first?.age
    }
    #expect(try await age() == .seconds(60))
    #expect(try await driver.claim(demand(2)).texts == ["B2", "A1"])
    #expect(try await age() == .seconds(60))
    // Its place is near that of the jobs which came a minute ago.
    _ = try await driver.insert([grouped("A3", "A")])
    #expect(try await driver.claim(demand(2)).texts == ["B1", "A2"])
    clock.advance(by: .seconds(5))
    #expect(try await age() == .seconds(5))
  }

  @Test("rows of jobs that another program deleted are found, and go with the next repair") func foreign()
    async throws
  {
    _ = try await driver.insert((1...3).map { grouped("A\($0)", "A") } + [grouped("B1", "B")])
    try file.execute("DELETE FROM qudo_job WHERE id = 1")
    var options = DiagnosisOptions()
    options.checksIntegrity = true
    let found = try await SQLiteDriver.diagnose(path: file.path, options, clock: clock).findings
    #expect(found.contains { $0.subject == "qudo_group" && $0.figures["rows"] == 1 }, "\(found)")
    // The claim meets the ready row of the job, and has the tables repaired.
    #expect(try await driver.claim(demand()).texts == ["B1", "A2", "A3"])
    #expect(try rows() == ["2|A|1", "3|A|2", "4|B|0"])
  }

  @Test("a million jobs of a group cost another one a look at an index") func cost() async throws {
    _ = try await driver.insert([grouped("A1", "A")])
    let now = clock.now().wall.microseconds
    try file.execute(
      """
      INSERT INTO qudo_job(id, kind, rank, due, enqueued, attempt, lost, state, codec, payload)
        WITH RECURSIVE n(id) AS (SELECT 2 UNION ALL SELECT id + 1 FROM n WHERE id < 100000)
        SELECT id, 1, 0, \(now), \(now), 1, 0, 0, 0, '' FROM n;
      INSERT INTO qudo_group(job, kind, rank, grp, place) SELECT id, 1, 0, 'A', \(now) + id - 1 FROM qudo_job WHERE id > 1;
      INSERT INTO qudo_ready(kind, rank, due, last, first) SELECT 1, 0, \(now) + id - 1, id, id FROM qudo_job WHERE id > 1
      """)
    _ = try await driver.insert([job("warm", kind: "b")])
    _ = try await steps()
    _ = try await driver.insert([grouped("B1", "B"), grouped("A", "A"), job("none")])
    #expect(try await steps() < 2000)
    #expect(try await driver.claim(demand(4)).texts == ["A1", "B1", "none", ""])
  }

  /// The number of instructions of SQLite's machine that the writer's statements took.
  private func steps() async throws -> Int {
    try await driver.writer.write(isDurable: true, isSmall: true) { transaction in
      transaction.connection.virtualSteps()
    }
  }

  @Test("jobs without a group run no statement of the table of groups") func unused() async throws {
    let key = UniqueKey("k", onConflict: .overwrite)
    _ = try await driver.insert(
      (0..<40).map { job("\($0)", due: $0 % 3 == 0 ? .after(.seconds(1)) : .now) }
        + [job(unique: key), job(unique: key), job("keyed")])
    clock.advance(by: .seconds(2))
    let jobs = try await driver.claim(demand(40)).jobs
    let outcomes: [Settlement.Outcome] = [
      .completed(), .failed(message: ""), .retry(after: .zero, message: ""), .released,
    ]
    _ = try await driver.settle(
      jobs.enumerated().map { Settlement($1.lease, outcomes[$0 % 4]) }, claiming: demand(3, "a", "b"))
    _ = try await driver.change([1, 2, 3], JobChange(priority: 1))
    _ = try await driver.cancel([4, 5], reason: nil)
    clock.advance(by: .seconds(61))
    _ = try await driver.claim(demand(1, "none"))
    let prepared = try await driver.writer.write(isDurable: true, isSmall: true) { transaction in
      transaction.connection.preparedSQL
    }
    // What the connection reads after another one's commit tells it that there are none.
    #expect(prepared.filter { $0.contains("qudo_group") && !$0.hasPrefix("SELECT max(coalesce(") } == [])
  }
}
