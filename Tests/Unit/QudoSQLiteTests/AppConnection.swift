import CSQLite
import QudoSQLite
import Testing

/// A connection that is the application's own, in SQLite's own words.
final class AppConnection {
  let handle: OpaquePointer

  init(_ path: String) throws {
    var opened: OpaquePointer?
    let code = sqlite3_open_v2(
      path, &opened, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nil)
    handle = try #require(opened)
    try #require(code == SQLITE_OK)
  }

  deinit { sqlite3_close_v2(handle) }

  func run(_ sql: String) throws {
    let code = sqlite3_exec(handle, sql, nil, nil, nil)
    try #require(code == SQLITE_OK, "\(String(cString: sqlite3_errmsg(handle))) in \(sql)")
  }

  /// Each row with its columns in one text.
  func rows(_ sql: String) throws -> [String] {
    var statement: OpaquePointer?
    defer { sqlite3_finalize(statement) }
    try #require(
      sqlite3_prepare_v2(handle, sql, -1, &statement, nil) == SQLITE_OK,
      "\(String(cString: sqlite3_errmsg(handle))) in \(sql)")
    var rows: [String] = []
    while sqlite3_step(statement) == SQLITE_ROW {
      rows.append(
        (0..<sqlite3_column_count(statement))
          .map { sqlite3_column_text(statement, $0).map { String(cString: $0) } ?? "" }.joined(separator: "|")
      )
    }
    return rows
  }
}

extension AppConnection {
  /// - Returns: SQLITE_DONE, or why not.
  func execute(_ sql: String, _ values: [SQLValue]) -> Int32 {
    var prepared: OpaquePointer?
    defer { sqlite3_finalize(prepared) }
    let code = sqlite3_prepare_v2(handle, sql, -1, &prepared, nil)
    guard code == SQLITE_OK, sqlite3_bind_parameter_count(prepared) == values.count else {
      return SQLITE_RANGE
    }
    let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)  // unsafe: SQLITE_TRANSIENT is this constant
    for (index, value) in values.enumerated() {
      let position = Int32(index + 1)
      switch value {
      case .integer(let number): sqlite3_bind_int64(prepared, position, number)
      case .text(let text): sqlite3_bind_text(prepared, position, text, -1, transient)
      case .blob([]): sqlite3_bind_zeroblob(prepared, position, 0)
      case .blob(let bytes): sqlite3_bind_blob(prepared, position, bytes, Int32(bytes.count), transient)
      case .null: sqlite3_bind_null(prepared, position)
      }
    }
    return sqlite3_step(prepared)
  }
}
