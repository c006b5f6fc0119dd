import CSQLite
import Foundation
import Qudo

/// A database as SQLite itself sees it, through a connection that is opened and closed for one look.
struct RawFile {
  let path: String

  struct Failed: Error, CustomStringConvertible {
    let description: String
  }

  /// All rows of all of Qudo's tables, sorted; nothing for a file that is missing or empty. Tokens, which are random, are left out.
  func contents() throws -> [String] {
    guard FileManager.default.fileExists(atPath: path) else { return [] }
    return try withConnection { database in
      var lines: [String] = []
      for select in try selects(database) { lines += try rows(database, select) }
      return lines.sorted()
    }
  }

  /// What shows all of a table, once for all files: to find it out takes longer than to read.
  private static let known = Locked<[String]>([])

  private func selects(_ database: OpaquePointer) throws -> [String] {
    let tables = try rows(
      database, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'qudo%'")
    guard !tables.isEmpty else { return [] }
    return try Self.known.withLock { known in
      if !known.isEmpty { return known }
      for table in tables {
        let columns = try rows(database, "SELECT name FROM pragma_table_info('\(table)')").filter {
          $0 != "token"
        }
        // Of what is long the beginning and the length.
        let all = columns.map {
          "quote(iif(length(\"\($0)\") > 99, substr(\"\($0)\", 1, 40) || length(\"\($0)\"), \"\($0)\"))"
        }
        known.append("SELECT '\(table): ' || \(all.joined(separator: " || ',' || ")) FROM \(table)")
      }
      return known
    }
  }

  /// What SQLite finds wrong; "ok".
  func check() throws -> String {
    try withConnection { try rows($0, "PRAGMA integrity_check").joined(separator: " ") }
  }

  /// What the next process would find if this one were killed now.
  ///
  /// Opening and closing the file outside SQLite loses this process's locks on it; but there is no other process.
  func contentsAfterKill(in folder: String) throws -> [String] {
    let copy = RawFile(path: folder + "/killed.db")
    defer { copy.remove() }
    for end in ["", "-wal"] where FileManager.default.fileExists(atPath: path + end) {
      try FileManager.default.copyItem(atPath: path + end, toPath: copy.path + end)
    }
    return try copy.contents()
  }

  /// The bytes of its WAL.
  var wal: Data { FileManager.default.contents(atPath: path + "-wal") ?? Data() }

  func remove() { for end in ["", "-wal", "-shm"] { unlink(path + end) } }

  /// Reads, and goes on reading the same snapshot until `body` is done.
  func whileReading<Result>(_ body: () async throws -> Result) async throws -> Result {
    var handle: OpaquePointer?
    defer { sqlite3_close(handle) }
    guard sqlite3_open_v2(path, &handle, SQLITE_OPEN_READONLY, nil) == SQLITE_OK, let handle,
      sqlite3_exec(handle, "BEGIN; SELECT count(*) FROM qudo_job", nil, nil, nil) == SQLITE_OK
    else { throw Failed(description: "\(path) cannot be read") }
    return try await body()
  }

  private func withConnection<Result>(_ body: (OpaquePointer) throws -> Result) throws -> Result {
    var handle: OpaquePointer?
    defer { sqlite3_close(handle) }
    guard sqlite3_open_v2(path, &handle, SQLITE_OPEN_READWRITE, nil) == SQLITE_OK, let handle else {
      throw Failed(description: "\(path) cannot be opened")
    }
    sqlite3_busy_timeout(handle, 5000)
    return try body(handle)
  }

  /// The first column of each row.
  private func rows(_ database: OpaquePointer, _ sql: String) throws -> [String] {
    var statement: OpaquePointer?
    defer { sqlite3_finalize(statement) }
    var code = sqlite3_prepare_v2(database, sql, -1, &statement, nil)
    var rows: [String] = []
    while code == SQLITE_OK || code == SQLITE_ROW {
      code = sqlite3_step(statement)
      if code == SQLITE_ROW {
        rows.append(sqlite3_column_text(statement, 0).map { String(cString: $0) } ?? "NULL")
      }
    }
    guard code == SQLITE_DONE else {
      throw Failed(description: "\(path): \(String(cString: sqlite3_errmsg(database))) in \(sql)")
    }
    return rows
  }
}
