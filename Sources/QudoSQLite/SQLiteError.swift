internal import CSQLite
internal import Qudo

/// SQLite's own words for what went wrong; the `cause` of a `QudoError`.
public struct SQLiteError: Error, Sendable, CustomStringConvertible {
  /// The extended result code.
  public let code: Int32
  public let message: String
  public var description: String { "SQLite \(code): \(message)" }
}

extension QudoError {
  static func sqlite(_ code: Int32, _ database: OpaquePointer) -> QudoError {
    let text = sqlite3_errmsg(database).map { String(cString: $0) } ?? "unknown"
    let (kind, advice) = meaning(code)
    return QudoError(kind, advice, cause: SQLiteError(code: code, message: text))
  }

  private static func meaning(_ code: Int32) -> (Code, String) {
    switch code & 0xFF {
    case SQLITE_BUSY, SQLITE_LOCKED: (.busy, "another process holds the database: try again later")
    case SQLITE_FULL: (.diskFull, "the disk is full: make room, then repeat; nothing was written")
    case SQLITE_READONLY, SQLITE_PERM: (.readOnly, "the database cannot be written to: check the rights of the file and of its folder")
    case SQLITE_CANTOPEN, SQLITE_AUTH: (.cannotOpen, "the database cannot be opened: check the path and the rights of its folder")
    case SQLITE_NOTADB: (.notADatabase, "the file is not a SQLite database")
    case SQLITE_CORRUPT: (.corrupt, "the database file is damaged: restore it from a backup, or salvage it with `sqlite3 FILE .recover`")
    case SQLITE_IOERR: (.ioError, "the disk reported an error")
    case SQLITE_NOMEM: (.outOfMemory, "memory ran out")
    default: (.database, "the database reported an error")
    }
  }
}
