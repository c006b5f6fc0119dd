import CSQLite
import Foundation
import Qudo
@testable import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// Statements that enqueue, executed with nothing of Qudo's.
@Suite struct StatementsTests {
  let my: Harness
  let app: AppConnection
  let log = Log()
  var driver: SQLiteDriver { my.driver }

  init() throws {
    my = try Harness()
    app = try AppConnection(my.file.path)
  }

  /// Beside others, to compare.
  private init(_ other: Harness) throws {
    my = other
    app = try AppConnection(other.file.path)
  }

  private func statements(_ jobs: [NewJob]) throws -> [SQLStatement] {
    try SQLiteEnqueueStatements(clock: my.clock).statements(for: jobs)
  }

  /// In one transaction; the result codes of the statements that failed. The others are executed all the same.
  @discardableResult
  private func execute(_ jobs: [NewJob]) throws -> [Int32] {
    try app.run("BEGIN IMMEDIATE")
    let codes = try statements(jobs).map { app.execute($0.sql, $0.values) }.filter { $0 != SQLITE_DONE }
    try app.run("COMMIT")
    return codes
  }

  /// All that there is.
  private func tables() throws -> [String] {
    let all = try [
      "qudo_kind", "qudo_info WHERE key <> 'generation'", "qudo_job", "qudo_ready", "qudo_delayed",
      "qudo_running",
    ]
    .flatMap { try app.rows("SELECT * FROM \($0) ORDER BY 1, 2") }
    return try all + app.rows("SELECT id, quote(payload), quote(meta), typeof(unique_key) FROM qudo_job")
  }

  @Test func theyLeaveWhatAnEnqueueLeaves() async throws {
    let key = UniqueKey("k", scope: .untilStarted)
    let jobs = [
      job("1"), job("2", kind: "b", priority: 7), job("3", due: .after(.seconds(5))), job("4", unique: key),
      job("", due: .at(.earliest)),
      NewJob("c", payload: Payload([0, 255], codec: .json), metadata: ["trace": "x"]),
      job("6", priority: -1, due: .after(.zero)),
      NewJob("a", expires: .after(.seconds(9))), NewJob("a", expires: .at(.latest)),
      NewJob("a", unique: "n", due: .after(.seconds(5)), expires: .after(.seconds(9))),
      NewJob("a", unique: UniqueKey("n", onConflict: .overwrite), expires: .after(.seconds(7))),
    ]
    try execute(jobs)
    let found = try tables()
    let other = try Harness()
    _ = try await other.driver.insert(jobs)
    #expect(try found == StatementsTests(other).tables())
    #expect(
      try await driver.claim(demand(9, "a", "b", "c")).texts
        == (try await other.driver.claim(demand(9, "a", "b", "c")).texts))
  }

  @Test("a job that they overwrite is what an enqueue would have made of it") func overwriting() async throws
  {
    let first = NewJob("a", payload: Payload("1"), unique: "k", due: .after(.seconds(5)))
    let second = NewJob(
      "a", payload: Payload([0, 255], codec: .json), unique: UniqueKey("k", onConflict: .overwrite),
      priority: 7, due: .after(.seconds(3)), expires: .after(.seconds(9)), metadata: ["trace": "x"])
    // What the statements refuse here, and the key that another test is about.
    let left: Set = ["concurrencyKey", "group", "maxWaiting", "idempotencyKey"]
    for (name, isDefault) in Self.properties(second) where isDefault && !left.contains(name) {
      Issue.record("\(name) is not overwritten here: give the second job one")
    }
    for job in [first, second] { try execute([job]) }
    let enqueued = try Harness()
    for job in [first, second] { _ = try await enqueued.driver.insert([job]) }
    #expect(try tables() == StatementsTests(enqueued).tables())
  }

  /// The stored properties of a job, and whether each has its default.
  private static func properties(_ job: NewJob) -> [String: Bool] {
    func texts(_ job: NewJob) -> [String: String] {
      var texts: [String: String] = [:]
      func add(_ value: Any) {
        for (label, child) in Mirror(reflecting: value).children {
          switch label {
          case "rules", "some", "values": add(child)
          case let label?: texts[label] = "\(child)"
          case nil: break
          }
        }
      }
      add(job)
      return texts
    }
    // A job with a rule, so that all of them are seen.
    let defaults = texts(NewJob("", maxWaiting: .refuse(1)))
    return texts(job).reduce(into: [:]) { $0[$1.key] = $1.value == defaults[$1.key] }
  }

  @Test func underAnIdempotencyKeyTheyAreDoneOnce() async throws {
    func once(_ text: String, _ key: String, _ unique: UniqueKey? = nil) -> NewJob {
      NewJob("a", payload: Payload(text), unique: unique, idempotencyKey: IdempotencyKey(key))
    }
    let there = try #require(try await driver.insert([once("there", "1")]).first).id
    let other = try #require(try await driver.insert([job("other", unique: UniqueKey("k"))]).first).id
    let jobs = [
      once("no", "1"), once("new", "2"), once("no", "2"),
      once("kept", "3", UniqueKey("k", onConflict: .keep)),
      once("over", "4", UniqueKey("k", onConflict: .overwrite)), once("first", "5", UniqueKey("l")),
    ]
    #expect(try execute(jobs) == [])
    let found = try tables()
    #expect(try execute(jobs) == [], "not even a conflict")
    #expect(try tables() == found)
    #expect(
      try await driver.jobs(matching: JobQuery()).map(\.payload)
        == ["there", "over", "new", "first"].map { Payload($0) })
    let new = try await driver.jobs(matching: JobQuery()).map(\.id)[2]
    let ids = [there, new, new, other, other, new + 1]
    #expect(try await driver.insert(jobs) == ids.map { .existing($0) }, "the driver knows of them")
    my.clock.advance(by: .seconds(86_400))
    #expect(try execute([once("again", "1")]) == [])
    #expect(try await driver.jobs(matching: JobQuery()).last?.payload == Payload("again"))
  }

  @Test func idsAreNeverUsedAgain() async throws {
    _ = try await driver.insert([job("1"), job("2")])
    let claimed = try await driver.claim(demand()).jobs
    _ = try await driver.settle(claimed.map { Settlement($0.lease, .completed()) }, claiming: nil)
    try execute([job("3"), job("4")])
    #expect(try await driver.insert([job("5")]) == [.inserted(5)])
    #expect(try await driver.claim(demand()).jobs.map(\.id) == [3, 4, 5])
  }

  @Test func rolledBackTheyHaveDoneNothing() async throws {
    let before = try tables()
    try app.run("BEGIN")
    for statement in try statements([job("1"), job("2", kind: "b", due: .after(.seconds(1)))]) {
      #expect(app.execute(statement.sql, statement.values) == SQLITE_DONE)
    }
    try app.run("ROLLBACK")
    #expect(try tables() == before)
  }

  @Test func aKeyThatIsTakenIsAConstraint() async throws {
    _ = try await driver.insert([job("first", unique: UniqueKey("k"))])
    #expect(try execute([job("second", unique: UniqueKey("k"))]) == [SQLITE_CONSTRAINT])
    // Whoever does not look at the code has half of a batch, but nothing broken.
    #expect(
      try execute([job("1"), job("third", unique: UniqueKey("k")), job("2", due: .after(.seconds(1)))]) == [
        SQLITE_CONSTRAINT
      ])
    my.clock.advance(by: .seconds(1))
    #expect(try await driver.claim(demand()).texts == ["first", "1", "2"])
    #expect(try app.rows("SELECT key FROM qudo_info ORDER BY 1") == ["generation", "highest_id", "name"])
  }

  @Test func aKeyMayKeepTheJobThatIsThere() async throws {
    let key = UniqueKey("k", onConflict: .keep)
    #expect(try execute([job("first", unique: key), job("second", unique: key), job("x")]) == [])
    #expect(try execute([job("third", unique: key, due: .after(.seconds(1)))]) == [])
    #expect(try await driver.claim(demand()).texts == ["first", "x"])
    #expect(try execute([job("fourth", unique: key), job("same", kind: "b", unique: key)]) == [])
    #expect(try await driver.count() == [JobCount("a", running: 2), JobCount("b", ready: 1)])
  }

  /// From each state to each, and to the same place; compared with what the driver's own enqueue makes of it.
  @Test(
    arguments: [Due.now, .after(.seconds(5)), .at(.earliest)],
    [Due.now, .after(.seconds(5)), .after(.seconds(9))])
  func aKeyMayOverwriteAJobThatWaits(first: Due, second: Due) async throws {
    let key = UniqueKey("k", onConflict: .overwrite)
    let other = try Harness()
    for jobs in [
      [job("x"), job("first", unique: key, priority: 1, due: first), job("y", unique: UniqueKey("y"))],
      [
        NewJob(
          "a", payload: Payload(Array("second".utf8), codec: .json), unique: key, priority: 2, due: second,
          metadata: ["m": "n"]), job("z"),
      ],
      [job("third", unique: key, priority: 2, due: second)],
    ] {
      #expect(try execute(jobs) == [])
      _ = try await other.driver.insert(jobs)
      #expect(try tables() == StatementsTests(other).tables())
    }
    #expect(try await driver.jobs(matching: JobQuery()).count == 4)
  }

  /// From each state to each; compared with what the driver's own enqueue makes of it.
  @Test(
    "an overwritten job is put off no further than its bound",
    arguments: [Due.now, .after(.seconds(5))], [Due.now, .after(.seconds(5)), .at(.latest)])
  func aBoundHolds(first: Due, second: Due) async throws {
    let key = UniqueKey("k", onConflict: .overwrite, maxDelay: .seconds(9))
    let other = try Harness()
    func enqueue(_ text: String, _ due: Due, once: IdempotencyKey? = nil) async throws {
      let new = [
        NewJob("a", payload: Payload(text), unique: key, priority: 2, due: due, idempotencyKey: once),
        job("x"),
      ]
      #expect(try execute(new) == [])
      _ = try await other.driver.insert(new)
      // The driver also notes where it has looked for old receipts.
      if once == nil { #expect(try tables() == StatementsTests(other).tables()) }
    }
    func advance(by seconds: Int) {
      my.clock.advance(by: .seconds(seconds))
      other.clock.advance(by: .seconds(seconds))
    }
    try await enqueue("first", first)
    advance(by: 3)
    try await enqueue("second", second)
    advance(by: 2)
    try await enqueue("third", second, once: IdempotencyKey("once"))
    try await enqueue("not", second, once: IdempotencyKey("once"))
    let found = try #require(try await driver.jobs(matching: JobQuery()).first)
    #expect(found.payload == Payload("third"))
    let bound = found.enqueuedAt.advanced(by: .seconds(9))
    #expect(found.dueAt == (second == .now ? my.clock.now().wall : bound))
    // Another bound, a later one, and none.
    for (bound, seconds) in [(.seconds(7), 7), (.seconds(20), 20), (nil, 35)] as [(Duration?, Int)] {
      #expect(
        try execute([
          job(
            "last", unique: UniqueKey("k", onConflict: .overwrite, maxDelay: bound),
            due: .at(found.enqueuedAt.advanced(by: .seconds(35))))
        ]) == [])
      let last = try #require(try await driver.jobs(matching: JobQuery()).first)
      #expect(last.dueAt == found.enqueuedAt.advanced(by: .seconds(seconds)))
    }
  }

  @Test("after its bound an overwritten job is due now") func afterTheBound() async throws {
    let key = UniqueKey.debounced("k", atMost: .seconds(6))
    for first in [Due.now, .after(.seconds(5))] {
      #expect(try execute([job("first", unique: key, due: first)]) == [])
      my.clock.advance(by: .seconds(10))
      #expect(try execute([job("second", unique: key, due: .after(.seconds(5)))]) == [])
      let found = try #require(try await driver.jobs(matching: JobQuery()).first)
      #expect(found.dueAt == my.clock.now().wall)
      let claimed = try await driver.claim(demand()).jobs
      #expect(claimed.map(\.payload) == [Payload("second")])
      _ = try await driver.settle(claimed.map { Settlement($0.lease, .completed()) }, claiming: nil)
    }
  }

  @Test func aJobThatRunsIsNotOverwritten() async throws {
    let key = UniqueKey("k", onConflict: .overwrite)
    try execute([job("first", unique: key)])
    let claimed = try await driver.claim(demand()).jobs
    let before = try tables()
    #expect(try execute([job("second", unique: key)]) == [SQLITE_CONSTRAINT])
    #expect(try execute([job("third", unique: key, due: .after(.seconds(5)))]) == [SQLITE_CONSTRAINT])
    #expect(try tables() == before)
    #expect(
      try await driver.settle(claimed.map { Settlement($0.lease, .completed()) }, claiming: nil).results == [
        .settled()
      ])
    #expect(try execute([job("fourth", unique: key)]) == [])
    #expect(try await driver.claim(demand()).texts == ["fourth"])
  }

  @Test func aQueuesHooksAreCalledWithoutAFile() async throws {
    let enqueue = SQLiteEnqueueStatements(clock: my.clock) {
      Sealing(seal: { $0.reversed() }, open: { $0.reversed() })
    }
    try app.run("BEGIN")
    for statement in try enqueue.statements(for: [job("abc")])
      + enqueue.statements(for: Greeting(name: "Ada"), options: EnqueueOptions(priority: 1))
    {
      #expect(app.execute(statement.sql, statement.values) == SQLITE_DONE)
    }
    try app.run("COMMIT")
    #expect(
      try await driver.claim(demand(9, "a", "greet")).texts == [String(#"{"name":"Ada"}"#.reversed()), "cba"])
  }

  @Test func whatIsRefusedGivesNoStatements() throws {
    #expect(throws: QudoError.self) { try statements([NewJob("a", options: .followUp("k"))]) }
    #expect(throws: QudoError.self) { try statements([job(), job(kind: "")]) }
    #expect(throws: QudoError.self) {
      try SQLiteEnqueueStatements().statements(for: [job(due: .after(.seconds(-1)))])
    }
    #expect(try statements([]) == [])
  }

  /// Neither a scan of a table that grows, nor a sort.
  @Test func noStatementReadsAWholeTable() throws {
    let key = UniqueKey("k", onConflict: .overwrite)
    let all = try statements([
      job(), job(unique: key), job(unique: key, due: .after(.seconds(1))),
      job(unique: UniqueKey("k", onConflict: .keep)),
      job(unique: .debounced("k", atMost: .seconds(9)), due: .after(.seconds(1))),
    ])
    #expect(all.count > 15)
    for statement in all {
      let plan = try app.rows("EXPLAIN QUERY PLAN \(statement.sql)")
      #expect(
        plan.allSatisfy { !$0.contains("SCAN qudo") && !$0.contains("TEMP B-TREE") },
        "\(statement.sql)\n\(plan)")
    }
  }

  @Test func aWorkerIsWokenByThem() async throws {
    let worker = try my.worker([JobHandler("a") { [log] in log.add($0.text) }])
    let work = Task { try await worker.work() }
    await my.clock.sleepers(atLeast: 1)
    try execute([job("x")])
    await log.count(1)
    work.cancel()
    #expect(try await work.value.completed == 1)
  }
}
