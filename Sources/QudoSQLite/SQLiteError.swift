internal import CSQLite
internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// SQLite's own words for what went wrong; the `cause` of a `QudoError`.
public struct SQLiteError: Error, Sendable, CustomStringConvertible {
  /// The extended result code.
  public let code: Int32
  /// SQLite's own words.
  public let message: String
  public var description: String { "SQLite \(code): \(message)" }
}

extension QudoError {
  static func sqlite(_ code: Int32, _ database: OpaquePointer) -> QudoError {
    let text = sqlite3_errmsg(database).map { String(cString: $0) } ?? "unknown"
    // A connection that is not Qudo's may be set to give the primary code only.
    let extended = sqlite3_extended_errcode(database)
    let code = extended & 0xFF == code ? extended : code
    let (kind, advice) = meaning(code, code == writeFailed ? causeOfWrite(database) : sqlite3_system_errno(database))
    return QudoError(kind, advice, cause: SQLiteError(code: code, message: text))
  }

  /// The system's number for the WAL's last failed write. COMMIT leaves `sqlite3_system_errno` as it was.
  private static func causeOfWrite(_ database: OpaquePointer) -> Int32 {
    var wal: UnsafeMutablePointer<sqlite3_file>?
    var cause: Int32 = 0
    guard sqlite3_file_control(database, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal) == SQLITE_OK, let wal,
      let ask = wal.pointee.pMethods?.pointee.xFileControl, ask(wal, SQLITE_FCNTL_LAST_ERRNO, &cause) == SQLITE_OK
    else { return 0 }
    return cause
  }

  /// What the error means when COMMIT made it.
  ///
  /// The frames may be in the WAL all the same, and then recovery finds the transaction done: they are written before they are
  /// synced, and before they are entered in the WAL's index, which takes memory now and then.
  ///
  /// - Parameter connection: on which it was tried, before anything else is done there.
  func ofCommit(_ connection: Connection) -> QudoError {
    switch code {
    case .diskFull where connection.padsWAL:
      QudoError(.outcomeUnknown, "the disk was full during the commit: it may or may not have been done", cause: cause)
    case .ioError, .tooManyFiles: QudoError(.outcomeUnknown, "the disk failed during the commit: it may or may not have been done", cause: cause)
    case .outOfMemory: QudoError(.outcomeUnknown, "memory ran out during the commit: it may or may not have been done", cause: cause)
    default: self
    }
  }

  /// SQLITE_IOERR_NOMEM, a macro that Swift does not import.
  private static let noMemoryForIO: Int32 = SQLITE_IOERR | 12 << 8
  /// SQLITE_IOERR_WRITE, a macro that Swift does not import.
  private static let writeFailed: Int32 = SQLITE_IOERR | 3 << 8
  /// SQLITE_BUSY_SNAPSHOT, likewise.
  private static let oldSnapshot: Int32 = SQLITE_BUSY | 2 << 8

  /// Whether it is the system's number for that.
  static func isTooManyFiles(_ cause: Int32) -> Bool { cause == EMFILE || cause == ENFILE }
  static let tooManyFiles = "no more files can be opened: close some, or raise the limit (ulimit -n)"
  /// SQLITE_CONSTRAINT_CHECK, _NOTNULL, _PRIMARYKEY, _UNIQUE, _ROWID, _DATATYPE, likewise: not those of triggers and foreign
  /// keys, which an application may have on its own connection.
  private static let rowConstraints = Set([1, 5, 6, 8, 10, 12].map { SQLITE_CONSTRAINT | Int32($0) << 8 })

  /// - Parameter cause: the system's number for what happened, where `code` is an I/O error.
  static func meaning(_ code: Int32, _ cause: Int32) -> (Code, String) {
    // A write that a quota or a limit on the size of files refuses; ENOSPC is SQLITE_FULL.
    if code == writeFailed, cause == EDQUOT || cause == EFBIG { return meaning(SQLITE_FULL, 0) }
    if code == oldSnapshot { return (.busy, "somebody else has written since this transaction began to read: repeat it, with BEGIN IMMEDIATE") }
    if code == noMemoryForIO { return meaning(SQLITE_NOMEM, 0) }
    if code & 0xFF == SQLITE_CANTOPEN, isTooManyFiles(cause) { return (.tooManyFiles, tooManyFiles) }
    switch code & 0xFF {
    case SQLITE_BUSY, SQLITE_LOCKED: return (.busy, "another process holds the database: try again later")
    case SQLITE_FULL: return (.diskFull, "the disk is full: make room, then repeat; nothing was written")
    case SQLITE_READONLY, SQLITE_PERM: return (.readOnly, "the database cannot be written to: check the rights of the file and of its folder")
    case SQLITE_CANTOPEN, SQLITE_AUTH: return (.cannotOpen, "the database cannot be opened: check the path and the rights of its folder")
    case SQLITE_NOTADB: return (.notADatabase, "the file is not a SQLite database")
    case SQLITE_CORRUPT: return (.corrupt, "the database file is damaged: restore it from a backup, or salvage it with `sqlite3 FILE .recover`")
    case SQLITE_IOERR where cause == ENOSPC: return (.ioError, "the disk reported an error because it is full: make room")
    case SQLITE_IOERR where cause == ENOMEM: return meaning(SQLITE_NOMEM, 0)
    case SQLITE_IOERR: return (.ioError, "the disk reported an error")
    case SQLITE_CONSTRAINT where rowConstraints.contains(code):
      return (.corrupt, "a row is in the way that Qudo did not write, or a rule that is not Qudo's: the file was changed by others")
    case SQLITE_MISMATCH: return (.corrupt, "a value is of another sort than Qudo writes: the file is damaged, or was changed by others")
    case SQLITE_TOOBIG:
      return (
        .unsupportedDatabase,
        """
        a value in the file, or a payload, is longer than this driver takes: open it with a larger Limits.payloadBytes; above SQLite's own \
        limit, a billion bytes, keep the data elsewhere and enqueue its name
        """)
    case SQLITE_NOMEM: return (.outOfMemory, "memory ran out: repeat it when there is some, or with less")
    default: return (.database, "the database reported an error")
    }
  }
}

extension QudoError {
  /// What an error of one of Qudo's own statements means, outside any transaction: those are right, unless a newer version has
  /// migrated the file meanwhile. "no such column" would never pass.
  ///
  /// - Parameter lowest: the column of `qudo_schema` that says who may still do what was done.
  func ofSchema(_ connection: Connection, _ lowest: String) -> QudoError {
    guard code == .database, let result = (cause as? SQLiteError)?.code, [SQLITE_ERROR, SQLITE_SCHEMA].contains(result & 0xFF) else { return self }
    let found = try? connection.integer("SELECT \(lowest) FROM qudo_schema ORDER BY version DESC LIMIT 1", values: [])
    guard let found, found > Schema.version else { return self }
    return QudoError(
      .newerSchema,
      "a newer Qudo has migrated the file, which now needs schema \(found) (this one knows \(Schema.version)): start this program with that version",
      cause: cause)
  }

  /// With the file's path, where the file is what is wrong and the message does not name it yet.
  func naming(_ path: String) -> QudoError {
    switch code {
    case .corrupt, .notADatabase, .foreignSchema, .newerSchema, .unsupportedDatabase, .cannotOpen, .readOnly:
      message.hasPrefix("\(path): ") ? self : QudoError(code, "\(path): \(message)", cause: cause)
    default: self
    }
  }
}
