import CSQLite
import Foundation
import Logging
import Qudo
@testable import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// Enqueueing in the application's own transaction.
@Suite struct JoiningTests {
  let my: Harness
  let app: AppConnection
  let log = Log()
  var driver: SQLiteDriver { my.driver }
  var queue: Queue<NoHooks> { my.queue }

  init() throws {
    my = try Harness()
    app = try AppConnection(my.file.path)
    try app.run("CREATE TABLE customer(name TEXT UNIQUE)")
  }

  @Test func jobsComeWithTheApplicationsCommit() async throws {
    try app.run("BEGIN; INSERT INTO customer VALUES('Ada')")
    let results = try queue.enqueue([job("1"), job("2", due: .after(.seconds(5)))], in: app.handle)
    #expect(
      results == [
        .inserted(JobID(database: "jobs", number: 1)), .inserted(JobID(database: "jobs", number: 2)),
      ])
    #expect(try await driver.count() == [])
    try app.run("COMMIT")
    #expect(try await driver.count() == [JobCount("a", ready: 1, delayed: 1)])
    #expect(try await driver.claim(demand()).texts == ["1"])
  }

  @Test func jobsGoWithTheApplicationsRollBack() async throws {
    try app.run("BEGIN; INSERT INTO customer VALUES('Ada')")
    try queue.enqueue(job(), in: app.handle)
    try app.run("ROLLBACK")
    #expect(try await driver.count() == [])
    #expect(try app.rows("SELECT count(*) FROM customer") == ["0"])
  }

  @Test func jobsGoWithASavepointThatIsRolledBack() async throws {
    try app.run("BEGIN; SAVEPOINT outer; SAVEPOINT inner")
    try queue.enqueue(job("gone", kind: "gone"), in: app.handle)
    try app.run("ROLLBACK TO inner; RELEASE inner")
    try queue.enqueue(job("there", kind: "there"), in: app.handle)
    try app.run("RELEASE outer; COMMIT")
    #expect(try await driver.claim(demand(9, "gone", "there")).texts == ["there"])
  }

  @Test func withoutATransactionTheBatchIsOne() async throws {
    try queue.enqueue([job("1"), job("2")], in: app.handle)
    #expect(sqlite3_get_autocommit(app.handle) != 0)
    #expect(try await driver.claim(demand()).texts == ["1", "2"])
  }

  /// A trigger of the application's refuses the second job of three.
  @Test(arguments: [false, true]) func aBatchIsDoneWholeOrNotAtAll(inTransaction: Bool) async throws {
    try app.run(
      "CREATE TRIGGER no BEFORE INSERT ON qudo_job WHEN NEW.payload = CAST('no' AS BLOB) BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    if inTransaction { try app.run("BEGIN; INSERT INTO customer VALUES('Ada')") }
    let batch = [job("1", kind: "new"), job("no"), job("3")]
    let error = #expect(throws: QudoError.self) { try queue.enqueue(batch, in: app.handle) }
    #expect(error?.code == .database)
    #expect((sqlite3_get_autocommit(app.handle) == 0) == inTransaction)
    #expect(
      try app.rows("SELECT count(*) FROM qudo_job UNION ALL SELECT count(*) FROM qudo_kind") == ["0", "0"])
    try queue.enqueue(job("4"), in: app.handle)
    if inTransaction { try app.run("COMMIT") }
    #expect(try await driver.claim(demand(9, "a", "new")).texts == ["4"])
    #expect(try app.rows("SELECT count(*) FROM customer") == [inTransaction ? "1" : "0"])
  }

  @Test func conflictsAreResults() async throws {
    _ = try await driver.insert([job("first", unique: UniqueKey("k"))])
    let id = JobID(database: "jobs", number: 1)
    let batch = [UniqueKey.Conflict.reject, .keep, .overwrite].map {
      job("\($0)", unique: UniqueKey("k", onConflict: $0))
    }
    #expect(try queue.enqueue(batch, in: app.handle) == [.conflict(id), .existing(id), .overwritten(id)])
    #expect(try await driver.claim(demand()).texts == ["overwrite"])
  }

  @Test func limitsAreCheckedBeforeAnythingIsWritten() async throws {
    try app.run("BEGIN")
    let error = #expect(throws: QudoError.self) { try queue.enqueue([job(), job(kind: "")], in: app.handle) }
    #expect(error?.code == .invalidArgument)
    #expect(sqlite3_txn_state(app.handle, "main") == SQLITE_TXN_NONE)
  }

  @Test("Hooks are called before the enqueue and told that it may be rolled back")
  func hooksKnowOfThePossibleRollback() async throws {
    let queue = Queue(driver) { Told(log: log) }
    try queue.enqueue(job("x"), in: app.handle)
    try queue.enqueue(Greeting(name: "Ada"), in: app.handle)
    #expect(
      log.entries == [
        "willEnqueue a", "serialize a", "didEnqueueInTransaction a jobs/1", "willEnqueue greet",
        "serialize greet",
        "didEnqueueInTransaction greet jobs/2",
      ])
  }

  @Test("all ways to compose hooks pass on enqueues of a transaction", arguments: [false, true])
  func composed(isFirst: Bool) async throws {
    let queue = Queue(driver) {
      if isFirst { Told(log: log) } else { Told(log: log).only("a") }
      if isFirst { Told(log: log) }
      NoHooks()
    }
    try queue.enqueue([job("x"), job("y", kind: "b")], in: app.handle)
    let heard = log.entries.filter { $0.hasPrefix("didEnqueueInTransaction") }
    #expect(
      heard
        == (isFirst ? ["a jobs/1", "a jobs/1", "b jobs/2", "b jobs/2"] : ["a jobs/1"]).map {
          "didEnqueueInTransaction \($0)"
        })
  }

  @Test("an enqueue in a transaction that only reads says so", arguments: [false, true]) func readTransaction(
    isInner: Bool
  ) async throws {
    if isInner { try app.run("BEGIN; SELECT count(*) FROM customer") }
    try app.run("PRAGMA query_only = 1")
    let error = #expect(throws: QudoError.self) { try queue.enqueue(job(), in: app.handle) }
    #expect(
      error?.code == .readOnly
        && error?.message.hasPrefix("the transaction is read-only (PRAGMA query_only is on)") == true)
    try app.run("PRAGMA query_only = 0")
    try queue.enqueue(job(), in: app.handle)
  }

  @Test("an enqueue on a connection that only reads says so") func readConnection() async throws {
    var handle: OpaquePointer?
    defer { sqlite3_close_v2(handle) }
    try #require(
      sqlite3_open_v2(my.file.path, &handle, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nil) == SQLITE_OK)
    let error = #expect(throws: QudoError.self) { try queue.enqueue(job(), in: handle) }
    #expect(
      error?.code == .readOnly && error?.message.hasPrefix("the connection or its file is read-only") == true)
  }

  @Test func typedJobsAreEncoded() async throws {
    try queue.enqueue(
      Greeting(name: "Ada"), unique: UniqueKey("ada"), priority: 3, due: .after(.seconds(1)), in: app.handle)
    try queue.enqueue(contentsOf: [Greeting(name: "B"), Greeting(name: "C")], in: app.handle)
    let jobs = try await driver.jobs(matching: JobQuery())
    #expect(
      jobs.map { String(decoding: $0.payload.bytes, as: UTF8.self) } == [
        #"{"name":"Ada"}"#, #"{"name":"B"}"#, #"{"name":"C"}"#,
      ])
    #expect(jobs.map(\.priority) == [3, 0, 0])
    #expect(jobs.map(\.uniqueKey) == ["ada", nil, nil])
  }
}

/// A call of Qudo that the application awaits in a transaction of its own.
@Suite struct AwaitingTests {
  @Test(
    "a call that waits for the application's own transaction is told so, after a second and at its timeout")
  func ownTransaction() async throws {
    let file = try TemporaryFile()
    let log = Log()
    let driver = try SQLiteDriver(
      path: file.path, busyTimeout: .milliseconds(1300),
      logger: Logger(label: "test") { _ in LogOfLogs(log: log) })
    let app = try AppConnection(file.path)
    try app.run("BEGIN IMMEDIATE")
    let error = await #expect(throws: QudoError.self) { try await driver.insert([job()]) }
    #expect(error?.code == .busy)
    #if os(Linux)
    #expect(error?.message.hasPrefix("a transaction of this process kept the database busy") == true)
    #expect(log.entries.filter { $0.hasPrefix("database kept busy by this process") }.count == 1)
    #endif
    try app.run("COMMIT")
    #expect(try await driver.insert([job()]) == [.inserted(1)])
    await driver.close()
  }
}

struct Greeting: Job {
  static let kind: Kind = "greet"
  var name: String
  func perform(_ context: JobContext) async throws {}
}

private struct Told: Hook {
  static let points: HookPoints = [.willEnqueue, .serialize, .didEnqueue, .didEnqueueInTransaction]
  let log: Log
  func willEnqueue(_ job: inout NewJob) throws { log.add("willEnqueue \(job.kind)") }
  func serialize(_ job: inout NewJob) throws { log.add("serialize \(job.kind)") }
  func didEnqueue(_ job: borrowing NewJob, result: EnqueueResult) async { log.add("didEnqueue") }
  func didEnqueueInTransaction(_ job: borrowing NewJob, result: EnqueueResult) {
    log.add("didEnqueueInTransaction \(job.kind) \(result.id)")
  }
}
