import CSQLite
import Foundation

/// A connection that is not Qudo's and minds nothing: what is planted is planted through it.
final class Raw {
  struct Failure: Error, CustomStringConvertible { let description: String }

  private var handle: OpaquePointer?
  let path: String

  init(_ path: String) throws {
    self.path = path
    guard sqlite3_open(path, &handle) == SQLITE_OK else { throw failure(path) }
    sqlite3_wal_autocheckpoint(handle, 0)
  }

  deinit { sqlite3_close(handle) }

  private func failure(_ what: String) -> Failure {
    Failure(description: "\(String(cString: sqlite3_errmsg(handle))): \(what.prefix(200))")
  }

  func run(_ sql: String) throws {
    guard sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK else { throw failure(sql) }
  }

  /// The first column of each row.
  func column(_ sql: String) throws -> [String] {
    var statement: OpaquePointer?
    guard sqlite3_prepare_v2(handle, sql, -1, &statement, nil) == SQLITE_OK else { throw failure(sql) }
    defer { sqlite3_finalize(statement) }
    var values: [String] = []
    while sqlite3_step(statement) == SQLITE_ROW {
      values.append(sqlite3_column_text(statement, 0).map { String(cString: $0) } ?? "")
    }
    return values
  }

  /// Changes the text of a table or an index where it is kept, as no SQL statement would.
  func rewrite(_ name: String, _ old: String, _ new: String) throws {
    let quoted = [name, old, new].map { "'" + $0.replacingOccurrences(of: "'", with: "''") + "'" }
    try run(
      """
      PRAGMA writable_schema = ON;
      UPDATE sqlite_schema SET sql = replace(sql, \(quoted[1]), \(quoted[2])) WHERE name = \(quoted[0]);
      PRAGMA writable_schema = RESET;
      """)
  }

  /// All of it into the file itself, so that it stands without a WAL.
  func checkpoint() throws { try run("PRAGMA wal_checkpoint(TRUNCATE)") }
}
