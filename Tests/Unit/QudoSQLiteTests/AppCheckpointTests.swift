import CSQLite
import Foundation
import Logging
import Qudo
@testable import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// The application's own connections, on a SQLite whose checkpoints may damage the file.
@Suite struct AppCheckpointTests {
  let file: TemporaryFile
  let driver: SQLiteDriver
  let app: AppConnection

  init() throws {
    file = try TemporaryFile()
    driver = try file.open()
    app = try AppConnection(file.path)
    try app.run("CREATE TABLE note(text)")
  }

  /// Some 2,500 pages.
  private func fill(_ app: AppConnection) throws {
    try app.run(
      """
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500) INSERT INTO note SELECT randomblob(2000) FROM n
      """)
  }

  private var size: Int {
    get throws { try FileManager.default.attributesOfItem(atPath: file.path)[.size] as? Int ?? 0 }
  }

  @Test("makes the checkpoints of a prepared connection under the turn") func underTheTurn() async throws {
    try SQLiteDriver.prepareConnection(app.handle, hasBug: true)
    #expect(try app.rows("PRAGMA wal_autocheckpoint") == ["0"])
    let before = try size
    let writeLock = try WriteLock(path: file.path)
    #expect(writeLock.takeIfFree())
    try fill(app)
    // By itself it would have made one after 1,000 pages.
    #expect(try size == before)
    writeLock.giveBack()
    try app.run("INSERT INTO note VALUES('next')")
    #expect(try size > before + 2500 * 2000)
    // It releases the write lock, and starts the WAL again.
    #expect(try await driver.insert([job()]) == [.inserted(1)])
    #expect(try app.rows("PRAGMA integrity_check") == ["ok"])
  }

  @Test("waits for 2,000 more pages while somebody reads an old snapshot") func oldSnapshot() throws {
    try SQLiteDriver.prepareConnection(app.handle, hasBug: true)
    let reader = try AppConnection(file.path)
    try reader.run("BEGIN; SELECT count(*) FROM note")
    let before = try size
    try fill(app)
    try reader.run("COMMIT")
    try app.run("INSERT INTO note VALUES('next')")
    // No more than what that reader sees.
    #expect(try size < before + 2500 * 2000)
    try fill(app)
    #expect(try size > before + 5000 * 2000)
  }

  @Test("copies nothing while the application has a write transaction open, on a SQLite with the bug")
  func besideTheApplication() throws {
    try SQLiteDriver.prepareConnection(app.handle, hasBug: true)
    let connection = try DatabaseOpener.open(path: file.path, durability: .normal, create: false)
    var checkpoint = Checkpoint(pageSize: 2048, walLimit: 1 << 30, logger: Logger(label: "qudo"))
    #expect(checkpoint.run(connection, hasBug: true) == nil)
    try app.run("INSERT INTO note SELECT randomblob(100000)")
    let before = try size
    try app.run("BEGIN IMMEDIATE; INSERT INTO note VALUES('open')")
    #expect(checkpoint.run(connection, hasBug: true)?.code == .busy)
    #expect(try size == before)
    try app.run("COMMIT")
    #expect(checkpoint.run(connection, hasBug: true) == nil)
    #expect(try size > before + 90_000)
    // It leaves no lock, and says if a reader of an old snapshot keeps it from copying all.
    let reader = try AppConnection(file.path)
    try reader.run("BEGIN; SELECT count(*) FROM note")
    try app.run("INSERT INTO note SELECT randomblob(100000)")
    #expect(checkpoint.run(connection, hasBug: true)?.code == .busy)
    try reader.run("COMMIT")
    #expect(checkpoint.run(connection, hasBug: true) == nil)
  }

  @Test("leaves a connection as it is where SQLite has the fix") func fixed() throws {
    let before = try app.rows("PRAGMA wal_autocheckpoint")
    try SQLiteDriver.prepareConnection(app.handle, hasBug: false)
    #expect(try app.rows("PRAGMA wal_autocheckpoint") == before)
    #expect { try SQLiteDriver.prepareConnection(nil) } throws: {
      ($0 as? QudoError)?.code == .invalidArgument
    }
  }

  /// sqlite.org/wal.html#walresetbug
  @Test(
    "knows the versions that have the bug",
    arguments: [
      (3_006_023, false), (3_007_000, true), (3_040_001, true), (3_044_005, true), (3_044_006, false),
      (3_045_000, true), (3_050_006, true),
      (3_050_007, false), (3_051_000, true), (3_051_002, true), (3_051_003, false), (3_052_000, false),
      (4_000_000, false),
    ] as [(Int32, Bool)])
  func versions(version: Int32, hasBug: Bool) { #expect(WALResetBug.isIn(version) == hasBug) }

  @Test("warns once of connections that make checkpoints by themselves") func warns() throws {
    let log = Log()
    let connections = AppConnections(Logger(label: "qudo") { _ in LogOfLogs(log: log) }, .full, hasBug: true)
    let prepared = try AppConnection(file.path)
    try SQLiteDriver.prepareConnection(prepared.handle, hasBug: true)
    let switchedOff = try AppConnection(file.path)
    try switchedOff.run("PRAGMA wal_autocheckpoint = 0")
    for app in [prepared, switchedOff, prepared] { connections.check(Connection(borrowing: app.handle)) }
    #expect(log.entries == [])
    let other = try AppConnection(file.path)
    for app in [app, other, app] { connections.check(Connection(borrowing: app.handle)) }
    #expect(log.entries.count == 1 && log.entries[0].contains("SQLiteDriver.prepareConnection"))
  }

  @Test("warns once of connections that do not wait for the disk", arguments: [false, true])
  func warnsOfMissingSyncs(hasBug: Bool) throws {
    let log = Log()
    let logger = Logger(label: "qudo") { _ in LogOfLogs(log: log) }
    let connections = AppConnections(logger, .normal, hasBug: hasBug)
    let (careful, careless) = (try AppConnection(file.path), try AppConnection(file.path))
    for app in [careful, careless] { try app.run("PRAGMA wal_autocheckpoint = 0") }
    try careful.run("PRAGMA synchronous = NORMAL")
    try careless.run("PRAGMA synchronous = OFF")
    connections.check(Connection(borrowing: careful.handle))
    #expect(log.entries == [])
    for app in [careless, careful, careless] { connections.check(Connection(borrowing: app.handle)) }
    #expect(log.entries.count == 1 && log.entries[0].contains("synchronous = OFF"))
    // A driver that promises nothing is not endangered.
    AppConnections(logger, .off, hasBug: hasBug).check(Connection(borrowing: careless.handle))
    #expect(log.entries.count == 1)
  }

  @Test("asks each connection once") func asksOnce() throws {
    let connections = AppConnections(Logger(label: "qudo"), .full, hasBug: true)
    try app.run("PRAGMA wal_autocheckpoint = 0")
    let asked = Log()
    sqlite3_trace_v2(
      app.handle, UInt32(SQLITE_TRACE_STMT),
      { _, log, _, _ in
        if let log { Unmanaged<Log>.fromOpaque(log).takeUnretainedValue().add("asked") }
        return 0
      }, Unmanaged.passUnretained(asked).toOpaque())
    for _ in 0..<3 { connections.check(Connection(borrowing: app.handle)) }
    sqlite3_trace_v2(app.handle, 0, nil, nil)
    #expect(asked.entries == ["asked", "asked"])
  }

  @Test(
    "warns when such a connection enqueues", .enabled(if: WALResetBug.isInLibrary, "this SQLite has the fix"))
  func warnsAtEnqueue() throws {
    let log = Log()
    let driver = try SQLiteDriver(
      path: file.path, durability: .normal, logger: Logger(label: "qudo") { _ in LogOfLogs(log: log) })
    try driver.insert([job()], in: app.handle)
    try driver.insert([job()], in: app.handle)
    #expect(log.entries.count == 1)
  }
}
