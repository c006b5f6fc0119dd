import CSQLite
import Foundation
import Qudo
@testable import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// What a file's `qudo_` tables may be.
@Suite struct SchemaCheckTests {
  let file: TemporaryFile

  init() throws { file = try TemporaryFile() }

  private func refusal(_ sql: String) async throws -> QudoError.Code? {
    await (try file.open()).close()
    try file.execute(sql)
    do {
      let driver = try file.open()
      // Whatever is let in must work.
      let ids = try await driver.insert([job(), job(due: .after(.seconds(60))), job(unique: UniqueKey("k"))])
        .map(\.id)
      #expect(ids.count == 3)
      let jobs = try await driver.claim(demand()).jobs
      _ = try await driver.settle(
        jobs.map { Settlement($0.lease, .failed(message: ""), recording: .zero) }, claiming: nil)
      await driver.close()
      return nil
    } catch { return (error as? QudoError)?.code }
  }

  private func rewrite(_ table: String, _ old: String, _ new: String) -> String {
    """
    PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET sql = replace(sql, '\(old)', '\(new)') WHERE name = '\(table)';
    PRAGMA writable_schema = RESET
    """
  }

  @Test(arguments: [
    "qudo_info", "qudo_job", "qudo_ready", "qudo_delayed", "qudo_running", "qudo_failure", "qudo_status",
    "qudo_receipt", "qudo_schema",
  ])
  func aPlainColumnMayBeAdded(table: String) async throws {
    #expect(
      try await refusal(
        "ALTER TABLE \(table) ADD COLUMN mine TEXT; ALTER TABLE \(table) ADD COLUMN more INTEGER NOT NULL DEFAULT 0"
      ) == nil)
  }

  @Test func aPlainIndexMayBeAdded() async throws {
    #expect(
      try await refusal(
        "CREATE INDEX mine ON qudo_job(kind, due DESC); CREATE INDEX \"more\" ON \"qudo_status\"(\"ended_at\")"
      ) == nil)
  }

  @Test func aTableThatWasRenamedThereAndBackIsTheSame() async throws {
    #expect(
      try await refusal("ALTER TABLE qudo_receipt RENAME TO other; ALTER TABLE other RENAME TO qudo_receipt")
        == nil)
  }

  @Test(arguments: [
    "ALTER TABLE qudo_job ADD COLUMN mine AS (abs(rank))",
    "ALTER TABLE qudo_job ADD COLUMN mine DEFAULT (1 + 1)",
    "ALTER TABLE qudo_job ADD COLUMN mine REFERENCES qudo_kind",
    "ALTER TABLE qudo_job ADD COLUMN mine CHECK(mine > 0)",
    "CREATE INDEX mine ON qudo_job(abs(rank))", "CREATE INDEX mine ON qudo_job(rank) WHERE rank > 0",
    "CREATE UNIQUE INDEX mine ON qudo_job(kind)",
    "DROP INDEX qudo_job_unique; CREATE INDEX qudo_job_unique ON qudo_job(kind, unique_key) WHERE unique_scope IS NOT NULL",
    "CREATE TRIGGER qudo_ready AFTER INSERT ON qudo_job BEGIN SELECT 1; END",
  ])
  func whatIsComputedOrRefusesJobsIsNotLetIn(sql: String) async throws {
    #expect(try await refusal(sql) == .foreignSchema)
  }

  @Test(arguments: [
    ("qudo_kind", "name TEXT NOT NULL UNIQUE", "name TEXT NOT NULL UNIQUE ON CONFLICT REPLACE"),
    ("qudo_kind", "INTEGER PRIMARY KEY", "\"INTEGER PRIMARY KEY\""),
    ("qudo_job", "payload BLOB NOT NULL", "payload BLOB NOT NULL CHECK(length(payload) < 5)"),
    ("qudo_ready", "rank INTEGER", "rank TEXT"),
    ("qudo_failure", "message TEXT NOT NULL", "message TEXT NOT NULL DEFAULT (randomblob(9))"),
    ("qudo_job", "lost INTEGER NOT NULL, ", ""),
  ])
  func aTableOfAnotherMakeIsNotLetIn(table: String, old: String, new: String) async throws {
    #expect(try await refusal(rewrite(table, old, new)) == .foreignSchema)
  }

  @Test(arguments: [
    "DROP TABLE qudo_delayed", "DROP INDEX qudo_job_unique", "DROP INDEX qudo_status_kind",
    "DROP TABLE qudo_import",
  ])
  func whatIsMissingIsDamage(sql: String) async throws {
    #expect(try await refusal(sql) == .corrupt)
  }

  @Test func aNewerVersionMayHaveIndexesOfItsOwn() async throws {
    #expect(
      try await refusal(
        """
        INSERT INTO qudo_schema VALUES(98, 0, 1, 1);
        CREATE UNIQUE INDEX qudo_job_newer ON qudo_job(expires, id) WHERE expires IS NOT NULL
        """) == nil)
  }

  @Test(arguments: ["0", "-1", "2", "-9223372036854775808"])
  func aVersionThatTheTablesAreNotOfIsRefused(version: String) async throws {
    #expect(
      try await refusal("DELETE FROM qudo_schema; INSERT INTO qudo_schema VALUES(\(version), 0, 1, 1)")
        == .foreignSchema)
  }

  @Test func aMessageSaysWhichTableItIs() async throws {
    await (try file.open()).close()
    try file.execute("DROP TABLE qudo_instance; CREATE TABLE qudo_instance(a)")
    #expect { try file.open() } throws: { "\($0)".hasPrefix("\(file.path): the table qudo_instance ") }
  }

  @Test func theLimitsLeaveRoomForAllThatQudoAsks() async throws {
    let driver = try file.open()
    let kinds = (0..<9000).map { Kind("kind \($0)") }
    _ = try await driver.insert(kinds.map { NewJob($0) })
    #expect(try await driver.count(kinds).count == 9000)
    #expect(try await driver.jobs(matching: JobQuery(kinds: kinds, states: [.ready], limit: 10)).count == 10)
    #expect(try await driver.compact().after > 0)
  }

  /// The last of each kind of setting that SQLite can be asked for.
  @Test func theConnectionIsHardened() throws {
    let connection = try DatabaseOpener.open(path: file.path, durability: .off, create: true)
    #expect(
      try connection.integer("PRAGMA cell_size_check") == 1
        && connection.integer("PRAGMA trusted_schema") == 0)
    #expect(try connection.integer("PRAGMA mmap_size") ?? 0 == 0)
    #expect(
      sqlite3_limit(connection.handle, SQLITE_LIMIT_ATTACHED, -1) == 0
        && sqlite3_limit(connection.handle, SQLITE_LIMIT_TRIGGER_DEPTH, -1) == 1)
    #expect(throws: QudoError.self) { try connection.execute("ATTACH ':memory:' AS other") }
    #expect(throws: QudoError.self) {
      try connection.execute("CREATE TABLE t(a); PRAGMA writable_schema = ON; DELETE FROM sqlite_schema")
    }
  }

  @Test func aNewFileCanBeMadeByARenameAsWell() throws {
    #expect(DatabasePath.makeFileByRename(file.path) == 0)
    #expect(DatabasePath.makeFileByRename(file.path) == EEXIST)
    #expect(try FileManager.default.contentsOfDirectory(atPath: file.folder.path) == ["jobs.db"])
    #expect(try FileManager.default.attributesOfItem(atPath: file.path)[.posixPermissions] as? Int == 0o600)
  }
}
