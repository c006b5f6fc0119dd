import CSQLite
import Foundation
import Testing

/// A file as the Perl job queue makes it, and whatever a test does to it.
struct PerlDatabase {
  let path: String

  /// - Parameter schema: what the original's `qudo` script runs for SQLite.
  init(
    _ place: CommandWorkspace, named name: String = "old.db", schema: String = perlSchema, _ rows: String = ""
  ) throws {
    path = place.path(name)
    try execute(schema)
    try execute(rows)
  }

  init(path: String) { self.path = path }

  var bytes: Data { get throws { try Data(contentsOf: URL(fileURLWithPath: path)) } }

  func execute(_ sql: String) throws { _ = try rows(sql) }

  /// The rows of what is asked, as the shell shows them.
  func rows(_ sql: String) throws -> [String] { try connected { try Self.rows($0, sql) } }

  func connected<Result>(_ body: (OpaquePointer) throws -> Result) throws -> Result {
    var handle: OpaquePointer?
    defer { sqlite3_close(handle) }
    try #require(sqlite3_open(path, &handle) == SQLITE_OK)
    return try body(try #require(handle))
  }

  static func rows(_ handle: OpaquePointer, _ sql: String) throws -> [String] {
    let rows = NSMutableArray()
    let code = sqlite3_exec(
      handle, sql,
      { rows, count, values, _ in
        let row = (0..<Int(count)).map { values?[$0].map { String(cString: $0) } ?? "" }
        rows.map {
          Unmanaged<NSMutableArray>.fromOpaque($0).takeUnretainedValue().add(row.joined(separator: "|"))
        }
        return 0
      }, Unmanaged.passUnretained(rows).toOpaque(), nil)
    try #require(code == SQLITE_OK, "\(String(cString: sqlite3_errmsg(handle))) in \(sql)")
    return rows.compactMap { $0 as? String }
  }
}

/// The tables of `lib/Qudo/Test.pm` in Qudo 0.0214.
let perlSchema = """
  CREATE TABLE func (id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR(255) NOT NULL, UNIQUE(name));
  CREATE TABLE job (
    id INTEGER PRIMARY KEY AUTOINCREMENT, func_id INTEGER UNSIGNED NOT NULL, arg MEDIUMBLOB, uniqkey VARCHAR(255) NULL,
    enqueue_time INTEGER UNSIGNED, grabbed_until INTEGER UNSIGNED NOT NULL, run_after INTEGER UNSIGNED NOT NULL DEFAULT 0,
    retry_cnt INTEGER UNSIGNED NOT NULL DEFAULT 0, priority INTEGER UNSIGNED NOT NULL DEFAULT 0, UNIQUE(func_id,uniqkey));
  CREATE TABLE exception_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT, func_id INTEGER UNSIGNED NOT NULL DEFAULT 0, exception_time INTEGER UNSIGNED NOT NULL,
    message MEDIUMBLOB NOT NULL, uniqkey VARCHAR(255) NULL, arg MEDIUMBLOB, retried TINYINT(1) NOT NULL DEFAULT 0);
  CREATE TABLE job_status (
    id INTEGER PRIMARY KEY AUTOINCREMENT, func_id INTEGER UNSIGNED NOT NULL DEFAULT 0, arg MEDIUMBLOB, uniqkey VARCHAR(255) NULL,
    status VARCHAR(10), job_start_time INTEGER UNSIGNED NOT NULL, job_end_time INTEGER UNSIGNED NOT NULL);
  """

/// Some of everything: kinds 3 and 7, jobs 2, 5 and 9, failures 4 and 6, status 8.
let perlRows = """
  INSERT INTO func VALUES(3, 'Worker::Mail'), (7, 'Wörker');
  INSERT INTO job VALUES
    (2, 3, '{"to":"ada"}', 'k1', 1400000000, 0, 1400000001, 0, 5), (5, 7, x'00FF00', NULL, 1400000002, 1400000003, 1400000002, 2, -1),
    (9, 3, NULL, 'k2', 1400000004, 0, 4102444800, 0, 0);
  INSERT INTO exception_log VALUES
    (4, 3, 1400000005, 'died at x line 3', 'k3', 'gone', 0), (6, 7, 1400000006, 'dïed', NULL, x'00', 1);
  INSERT INTO job_status VALUES(8, 7, 'done', 'k4', 'abort', 1400000007, 1400000009);
  """
