import Evidence
import CSQLite
import Foundation
import Testing

/// What `qudo import` refuses before it writes anything.
@Suite(.waitsForProcesses) struct ImportRefusalTests {
  let place: CommandWorkspace

  init() throws { place = try CommandWorkspace() }

  private func expectRefusal(status: Int32 = 1, _ arguments: String..., says text: String) throws {
    let result = try place.qudo(["import", "old.db"] + arguments, input: Data())
    #expect(
      result.status == status && result.output == "" && result.errors.contains(text), "\(result.errors)")
    #expect(!place.exists("qudo.db"))
  }

  @Test(
    arguments: Evidence.arguments([
      ("UPDATE func SET name = '' WHERE id = 3", "func 3: name: the kind is empty"),
      (
        "UPDATE func SET name = printf('%.*c', 256, 'x') WHERE id = 3", "func 3: name: the kind has 256 bytes"
      ),
      ("UPDATE func SET name = CAST(x'6B00' AS TEXT) WHERE id = 3", "func 3: name: the kind has a NUL byte"),
      ("UPDATE func SET name = CAST(x'E9' AS TEXT) WHERE id = 3", "func 3: name is not UTF-8"),
      ("UPDATE func SET name = x'6B' WHERE id = 3", "func 3: name is not text"),
      ("DELETE FROM func WHERE id = 7", "job 5: func_id is 7"),
      ("UPDATE exception_log SET func_id = 0 WHERE id = 4", "exception_log 4: func_id is 0"),
      ("UPDATE job SET func_id = 'x' WHERE id = 2", "job 2: func_id is not an integer"),
      ("UPDATE job SET uniqkey = '' WHERE id = 2", "job 2: uniqkey: the unique key is empty"),
      (
        "UPDATE job SET uniqkey = printf('%.*c', 256, 'x') WHERE id = 2",
        "job 2: uniqkey: the unique key has 256 bytes"
      ),
      (
        "UPDATE job SET uniqkey = CAST(x'6B00' AS TEXT) WHERE id = 2",
        "job 2: uniqkey: the unique key has a NUL byte"
      ),
      (
        "UPDATE exception_log SET uniqkey = CAST(x'E9' AS TEXT) WHERE id = 4",
        "exception_log 4: uniqkey is not UTF-8"
      ),
      ("UPDATE job_status SET uniqkey = x'6B'", "job_status 8: uniqkey is not text"),
      ("UPDATE job SET priority = 2147483648 WHERE id = 2", "job 2: priority is 2147483648"),
      ("UPDATE job SET priority = 'high' WHERE id = 2", "job 2: priority is not an integer"),
      ("UPDATE job SET priority = 0.5 WHERE id = 2", "job 2: priority is not an integer"),
      ("UPDATE job SET retry_cnt = -1 WHERE id = 2", "job 2: retry_cnt is -1"),
      (
        "UPDATE job SET retry_cnt = 9223372036854775807 WHERE id = 2",
        "job 2: retry_cnt is 9223372036854775807"
      ),
      (
        "UPDATE job SET run_after = 253402300800 WHERE id = 2",
        "job 2: run_after is outside the years 1 to 9999"
      ),
      ("UPDATE job SET run_after = -9e999 WHERE id = 2", "job 2: run_after is outside the years 1 to 9999"),
      ("UPDATE job SET grabbed_until = 'soon' WHERE id = 2", "job 2: grabbed_until is not a time"),
      ("UPDATE job SET enqueue_time = x'00' WHERE id = 2", "job 2: enqueue_time is not a time"),
      (
        "UPDATE job SET arg = zeroblob(1048577) WHERE id = 2",
        "job 2: arg has 1048577 bytes, the limit is 1048576"
      ),
      ("UPDATE exception_log SET retried = 'no' WHERE id = 4", "exception_log 4: retried is not an integer"),
      ("UPDATE job_status SET status = 'running'", "job_status 8: status is \"running\""),
      ("UPDATE job_status SET status = NULL", "job_status 8: status is NULL"),
      ("DROP TABLE job_status", "the table job_status is missing"),
      ("DROP TABLE func; CREATE VIEW func AS SELECT 3 AS id, 'k' AS name", "the table func is missing"),
      ("ALTER TABLE job DROP COLUMN priority", "the table job has no column priority"),
      ("ALTER TABLE exception_log RENAME COLUMN arg TO args", "the table exception_log has no column arg"),
      (
        "ALTER TABLE job ADD COLUMN \"own\"\"er\" DEFAULT 'x'",
        "the table job has a column \"own\\\"er\" that is not Qudo's, with data in 3 rows"
      ),
    ]))
  func whatItDoesNotUnderstand(change: String, message: String) throws {
    let old = try PerlDatabase(place, perlRows)
    try old.execute(change)
    let before = try old.bytes
    try expectRefusal(says: message)
    try expectRefusal("--dry-run", says: message)
    #expect(try old.bytes == before)
  }

  @Test func manyFaultsAreSaidAtOnceAndTheRestCounted() throws {
    _ = try PerlDatabase(place, "INSERT INTO func VALUES(1, 'k')")
    let jobs = (1...13).map { "(\($0), 2, NULL, NULL, 0, 0, 0, 0, 0)" }.joined(separator: ",")
    try PerlDatabase(path: place.path("old.db")).execute("INSERT INTO job VALUES \(jobs)")
    try expectRefusal(
      says: "job 10: func_id is 2, but func has no importable row with that id\n  and 3 more\n")
  }

  @Test func twoJobsWithOneKey() throws {
    let schema = perlSchema.replacingOccurrences(of: ", UNIQUE(func_id,uniqkey)", with: "")
    _ = try PerlDatabase(
      place, schema: schema, perlRows + "INSERT INTO job VALUES(12, 3, '', 'k1', 0, 0, 0, 0, 0)")
    try expectRefusal(says: "job 12: job 2 has the same func_id and uniqkey")
  }

  @Test func anExtraColumnWithoutDataIsNoMatter() throws {
    let old = try PerlDatabase(place, perlRows)
    try old.execute("ALTER TABLE job ADD COLUMN owner; CREATE TABLE mine(a); INSERT INTO mine VALUES(1)")
    #expect(try place.qudo("import", "old.db").status == 0)
  }

  @Test func aLongArgumentComesWhenItMay() throws {
    _ = try PerlDatabase(
      place,
      "INSERT INTO func VALUES(1, 'k'); INSERT INTO job VALUES(1, 1, zeroblob(1048577), NULL, 0, 0, 0, 0, 0)")
    #expect(try place.qudo("import", "old.db", "--payload-limit", "2000000").status == 0)
    #expect(try place.qudo("show", "1", "--payload").bytes.count == 1_048_577)
    #expect(try place.qudo("import", "old.db", "--payload-limit=-1").status == 64)
  }

  @Test func aFileThatIsNoDatabaseOrNotThere() throws {
    try expectRefusal(status: 75, says: "old.db: the database cannot be opened")
    #expect(!place.exists("old.db"))
    try Data(String(repeating: "not a database ", count: 100).utf8).write(
      to: URL(fileURLWithPath: place.path("old.db")))
    try expectRefusal(says: "not a SQLite database")
    try Data().write(to: URL(fileURLWithPath: place.path("old.db")))
    try expectRefusal(says: "the table func is missing")
    #expect(try place.qudo("import", "").status == 64)
  }

  @Test func aDamagedFile() throws {
    let rows = (1...200).map { "(\($0), 1, printf('%.*c', 400, 'x'), NULL, 0, 0, 0, 0, 0)" }.joined(
      separator: ",")
    let old = try PerlDatabase(place, "INSERT INTO func VALUES(1, 'k'); INSERT INTO job VALUES \(rows)")
    var bytes = try old.bytes
    for index in bytes.count / 2..<bytes.count / 2 + 5000 { bytes[index] = 0xAA }
    try bytes.write(to: URL(fileURLWithPath: old.path))
    try expectRefusal(says: "damaged")
  }

  @Test func aFileWhoseWriterDied() throws {
    let old = try PerlDatabase(place, named: "live.db", perlRows)
    try old.connected { handle in
      // A cache of one page spills to the file before the commit.
      _ = try PerlDatabase.rows(
        handle,
        "PRAGMA cache_size = 1; BEGIN; UPDATE job SET arg = 'half'; UPDATE exception_log SET message = printf('%.*c', 50000, 'x')"
      )
      for end in ["", "-journal"] {
        try FileManager.default.copyItem(atPath: old.path + end, toPath: place.path("old.db") + end)
      }
    }
    let before = try Data(contentsOf: URL(fileURLWithPath: place.path("old.db")))
    try expectRefusal(says: "a process died while it wrote to the file")
    #expect(try Data(contentsOf: URL(fileURLWithPath: place.path("old.db"))) == before)
    // Whoever may write puts it in order.
    #expect(
      try PerlDatabase(path: place.path("old.db")).rows("SELECT arg FROM job WHERE id = 2") == [
        #"{"to":"ada"}"#
      ])
    #expect(try place.qudo("import", "old.db").status == 0)
  }

  @Test func theFileItself() throws {
    let old = try PerlDatabase(place, schema: "PRAGMA journal_mode = WAL;" + perlSchema, perlRows)
    let before = try old.bytes
    try FileManager.default.createSymbolicLink(atPath: place.path("link.db"), withDestinationPath: old.path)
    for name in ["old.db", "link.db", "sqlite:./old.db"] {
      try expectRefusal("--database", name, says: "the same file")
    }
    #expect(try old.bytes == before)
  }
}
