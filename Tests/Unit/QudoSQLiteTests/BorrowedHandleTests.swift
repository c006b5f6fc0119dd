import CSQLite
import Foundation
import Qudo
@testable import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// Which handles are taken, and how they are given back.
@Suite struct BorrowedHandleTests {
  let my: Harness
  let app: AppConnection
  var queue: Queue<NoHooks> { my.queue }

  init() throws {
    my = try Harness()
    app = try AppConnection(my.file.path)
    try app.run("CREATE TABLE customer(name TEXT UNIQUE)")
  }

  private func code(_ body: () throws -> Void) -> QudoError.Code? {
    do { try body() } catch { return (error as? QudoError)?.code }
    return nil
  }

  @Test func anotherFileIsRefused() throws {
    let others = [
      try AppConnection(my.file.path + ".other"), try AppConnection(":memory:"), try AppConnection(""),
    ]
    for other in others {
      #expect(code { try queue.enqueue(job(), in: other.handle) } == .invalidArgument)
    }
    // As an attached database it does not count.
    try others[0].run("ATTACH '\(my.file.path)' AS jobs")
    #expect(code { try queue.enqueue(job(), in: others[0].handle) } == .invalidArgument)
    #expect(code { try queue.enqueue(job(), in: nil) } == .invalidArgument)
  }

  @Test func theFileIsKnownByAnyOfItsNames() async throws {
    let link = my.file.path + ".link"
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: my.file.path)
    let linked = try AppConnection(link)
    try queue.enqueue(job("x"), in: linked.handle)
    #expect(try await my.driver.claim(demand()).texts == ["x"])
  }

  /// The path leads to another file by now; the driver's is the one that it opened.
  @Test func aFileThatTookThePlaceIsRefused() throws {
    try FileManager.default.moveItem(atPath: my.file.path, toPath: my.file.path + ".moved")
    let other = try AppConnection(my.file.path)
    try other.run("CREATE TABLE customer(name)")
    #expect(code { try queue.enqueue(job(), in: other.handle) } == .invalidArgument)
  }

  @Test func anotherDriverAndAClosedOneAreRefused() async throws {
    #expect(
      code { try Queue(PlainDriver(base: MemoryDriver())).enqueue(job(), in: app.handle) } == .invalidArgument
    )
    await my.driver.close()
    #expect(code { try queue.enqueue(job(), in: app.handle) } == .closed)
  }

  @Test func aHandleThatMayNotWriteIsReported() throws {
    try app.run("PRAGMA query_only = 1")
    #expect(code { try queue.enqueue(job(), in: app.handle) } == .readOnly)
  }

  @Test func nothingStaysOnTheHandle() throws {
    let calls = NSMutableArray()
    let context = Unmanaged.passUnretained(calls).toOpaque()
    sqlite3_rollback_hook(app.handle, { note("rollback", $0) }, context)
    sqlite3_commit_hook(
      app.handle,
      {
        note("commit", $0); return 0
      }, context)
    sqlite3_wal_hook(
      app.handle,
      { context, _, _, _ in
        note("wal", context); return SQLITE_OK
      }, context)
    try app.run("INSERT INTO customer VALUES('Ada'), ('Grace')")
    let before = try settings()

    try app.run("BEGIN")
    try queue.enqueue((0..<100).map { job("\($0)", kind: Kind("\($0 % 7)")) }, in: app.handle)
    #expect(code { try queue.enqueue([job(kind: "")], in: app.handle) } == .invalidArgument)
    #expect(sqlite3_next_stmt(app.handle, nil) == nil)
    #expect(sqlite3_last_insert_rowid(app.handle) == 2)
    try app.run("COMMIT; BEGIN; INSERT INTO customer VALUES('Barbara'); ROLLBACK")

    #expect(calls.compactMap { $0 as? String } == ["commit", "wal", "commit", "wal", "rollback"])
    #expect(try settings() == before)
    // The result codes are as short as they were.
    #expect(
      sqlite3_exec(app.handle, "INSERT INTO customer VALUES('Ada')", nil, nil, nil) == SQLITE_CONSTRAINT)
  }

  /// What the pragmas say that a connection has for itself.
  private func settings() throws -> [String] {
    try [
      "synchronous", "wal_autocheckpoint", "busy_timeout", "foreign_keys", "query_only", "trusted_schema",
      "cache_size", "fullfsync",
      "recursive_triggers", "locking_mode", "journal_mode", "page_size", "temp_store", "user_version",
    ].map { "\($0) \(try app.rows("PRAGMA \($0)"))" }
  }

  @Test func theBusyHandlerIsTheApplications() throws {
    let other = try AppConnection(my.file.path)
    try other.run("BEGIN IMMEDIATE")
    let calls = NSMutableArray()
    sqlite3_busy_handler(
      app.handle,
      { context, count in
        note("busy", context)
        return count < 2 ? 1 : 0
      }, Unmanaged.passUnretained(calls).toOpaque())
    #expect(code { try queue.enqueue(job(), in: app.handle) } == .busy)
    #expect(calls.count == 3)
    // A transaction that has not read yet is let wait as well.
    try app.run("BEGIN")
    #expect(code { try queue.enqueue(job(), in: app.handle) } == .busy)
    #expect(calls.count == 6)
    try other.run("COMMIT")
    try queue.enqueue(job(), in: app.handle)
    try app.run("COMMIT")
    #expect(try app.rows("SELECT count(*) FROM qudo_ready") == ["1"])
  }

  @Test("A transaction that read before another connection wrote is busy")
  func staleTransactionIsBusy() async throws {
    try app.run("BEGIN")
    #expect(try app.rows("SELECT count(*) FROM customer") == ["0"])
    _ = try await my.driver.insert([job("theirs")])
    #expect(code { try queue.enqueue(job("mine"), in: app.handle) } == .busy)
    // Nor does it keep anybody from writing.
    _ = try await my.driver.insert([job("theirs too")])
    try app.run("ROLLBACK; BEGIN IMMEDIATE")
    try queue.enqueue(job("mine"), in: app.handle)
    try app.run("COMMIT")
    #expect(try await my.driver.claim(demand()).texts == ["theirs", "theirs too", "mine"])
  }

  @Test func aTransactionThatHasReadMayWrite() async throws {
    try app.run("BEGIN")
    #expect(try app.rows("SELECT count(*) FROM customer") == ["0"])
    try queue.enqueue(job("x"), in: app.handle)
    try app.run("COMMIT")
    #expect(try await my.driver.claim(demand()).texts == ["x"])
  }

  @Test func aWritingStatementThatIsAtWorkIsReported() throws {
    try app.run("BEGIN")
    var statement: OpaquePointer?
    defer { sqlite3_finalize(statement) }
    let sql = "INSERT INTO customer VALUES('Ada'), ('Grace') RETURNING name"
    try #require(sqlite3_prepare_v2(app.handle, sql, -1, &statement, nil) == SQLITE_OK)
    try #require(sqlite3_step(statement) == SQLITE_ROW)
    #expect(code { try queue.enqueue(job(), in: app.handle) } == .invalidArgument)
  }

  @Test func aReadingStatementThatIsAtWorkGoesOn() throws {
    try app.run("BEGIN IMMEDIATE; INSERT INTO customer VALUES('Ada'), ('Grace')")
    var statement: OpaquePointer?
    defer { sqlite3_finalize(statement) }
    try #require(
      sqlite3_prepare_v2(app.handle, "SELECT name FROM customer", -1, &statement, nil) == SQLITE_OK)
    try #require(sqlite3_step(statement) == SQLITE_ROW)
    try queue.enqueue(job(), in: app.handle)
    #expect(sqlite3_step(statement) == SQLITE_ROW)
    #expect(sqlite3_step(statement) == SQLITE_DONE)
  }
}

private func note(_ what: String, _ context: UnsafeMutableRawPointer?) {
  context.map { Unmanaged<NSMutableArray>.fromOpaque($0).takeUnretainedValue().add(what) }
}
