internal import CSQLite
package import Qudo

/// A SQLite file of another program, opened read-only. One read transaction lasts as long as this object.
///
/// Used by one thread at a time.
package final class ForeignFile {
  private let connection: Connection

  package init(path: String) throws(QudoError) {
    do {
      connection = try Connection(
        path: try DatabasePath(path, isWritten: false).path, create: false, readOnly: true)
      try connection.execute("PRAGMA busy_timeout = 30000")
      try connection.harden()
      try connection.run("BEGIN")
      _ = try connection.integer("SELECT count(*) FROM sqlite_schema")
    } catch  where error.code == .readOnly {
      // "SQLITE_READONLY_ROLLBACK ... a hot journal needs to be rolled back, but it cannot because the database is read-only".
      throw QudoError(
        .unsupportedDatabase,
        "a process died while it wrote to the file: "
          + "open it once with its own program or `sqlite3 FILE .tables`, then import it", cause: error.cause)
    }
  }

  /// The file's absolute path, symbolic links resolved.
  package var path: String { connection.path }

  /// Calls `body` for each row. `texts` are the values of the statement's parameters.
  package func each(_ sql: String, _ texts: String..., body: (ForeignRow) throws(QudoError) -> Void)
    throws(QudoError)
  {
    try connection.each(sql, values: texts.map { .text($0) }) { row throws(QudoError) in
      try body(ForeignRow(statement: row))
    }
  }

  /// Returns the first column of the first row, or nil if there is no row or the value is NULL.
  package func integer(_ sql: String, _ texts: String...) throws(QudoError) -> Int64? {
    try connection.integer(sql, values: texts.map { .text($0) })
  }
}

/// A row of a ``ForeignFile``, valid until the next one is read.
package struct ForeignRow {
  let statement: Statement

  package func integer(_ column: Int32) -> Int64 { statement.integer(column) }
  package func text(_ column: Int32) -> String { statement.text(column) }

  /// Returns a value with the type that it has in this row: a SQLite column can hold values of any type.
  package func value(_ column: Int32) -> ForeignValue {
    switch sqlite3_column_type(statement.handle, column) {
    case SQLITE_INTEGER: return .integer(statement.integer(column))
    case SQLITE_FLOAT: return .real(sqlite3_column_double(statement.handle, column))
    case SQLITE_BLOB: return .blob(statement.blob(column))
    case SQLITE_TEXT:
      // Not `sqlite3_column_blob`, which would return UTF-16 from a UTF-16 database.
      guard let start = sqlite3_column_text(statement.handle, column) else { return .text([]) }
      let count = Int(sqlite3_column_bytes(statement.handle, column))
      return .text(Array(UnsafeBufferPointer(start: start, count: count)))
    default: return .null
    }
  }
}

/// A value of a ``ForeignRow``. A text has the bytes of its UTF-8, which may be invalid.
package enum ForeignValue {
  case integer(Int64), real(Double), text([UInt8]), blob([UInt8]), null
}
