internal import CSQLite
internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// An error that SQLite reported: the `cause` of a `QudoError`.
public struct SQLiteError: Error, Sendable, CustomStringConvertible {
  /// SQLite's extended result code.
  public let code: Int32
  /// SQLite's message.
  public let message: String
  public var description: String { "SQLite \(code): \(message)" }
}

extension QudoError {
  static func sqlite(_ code: Int32, _ database: OpaquePointer) -> QudoError {
    let text = sqlite3_errmsg(database).map { String(cString: $0) } ?? "unknown"
    // An application's connection may report primary result codes only.
    let extended = sqlite3_extended_errcode(database)
    let code = extended & 0xFF == code ? extended : code
    let (kind, advice) = meaning(
      code, code == writeFailed ? causeOfWrite(database) : sqlite3_system_errno(database))
    return QudoError(kind, advice, cause: SQLiteError(code: code, message: text))
  }

  /// Returns the `errno` of the WAL's last failed write. COMMIT does not set `sqlite3_system_errno`.
  private static func causeOfWrite(_ database: OpaquePointer) -> Int32 {
    var wal: UnsafeMutablePointer<sqlite3_file>?
    var cause: Int32 = 0
    guard sqlite3_file_control(database, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal) == SQLITE_OK, let wal,
      let ask = wal.pointee.pMethods?.pointee.xFileControl,
      ask(wal, SQLITE_FCNTL_LAST_ERRNO, &cause) == SQLITE_OK
    else { return 0 }
    return cause
  }

  /// Returns the meaning of an error that COMMIT reported.
  ///
  /// The transaction may still be in the WAL, and then recovery finds it committed: SQLite writes the frames before it
  /// syncs them, and before it adds them to the WAL index, which sometimes needs memory.
  ///
  /// - Parameter connection: The connection of the COMMIT, before any other call on it.
  func ofCommit(_ connection: Connection) -> QudoError {
    switch code {
    case .diskFull where connection.padsWAL:
      QudoError(
        .outcomeUnknown, "the disk was full during the commit: it may or may not have succeeded", cause: cause
      )
    case .ioError, .tooManyFiles:
      QudoError(
        .outcomeUnknown, "the disk failed during the commit: it may or may not have succeeded", cause: cause)
    case .outOfMemory:
      QudoError(
        .outcomeUnknown, "memory ran out during the commit: it may or may not have succeeded", cause: cause)
    default: self
    }
  }

  /// SQLITE_IOERR_NOMEM, a macro that Swift does not import.
  private static let noMemoryForIO: Int32 = SQLITE_IOERR | 12 << 8
  /// SQLITE_IOERR_WRITE, a macro that Swift does not import.
  private static let writeFailed: Int32 = SQLITE_IOERR | 3 << 8
  /// SQLITE_BUSY_SNAPSHOT, a macro that Swift does not import.
  private static let oldSnapshot: Int32 = SQLITE_BUSY | 2 << 8

  /// Returns whether an `errno` means that the process or the system is out of file descriptors.
  static func isTooManyFiles(_ cause: Int32) -> Bool { cause == EMFILE || cause == ENFILE }
  static let tooManyFiles = "out of file descriptors: close some files, or raise the limit (ulimit -n)"
  /// SQLITE_CONSTRAINT_CHECK, _NOTNULL, _PRIMARYKEY, _UNIQUE, _ROWID and _DATATYPE, macros that Swift does not import.
  /// Triggers and foreign keys are left out: an application may have them on its own connection.
  private static let rowConstraints = Set([1, 5, 6, 8, 10, 12].map { SQLITE_CONSTRAINT | Int32($0) << 8 })

  /// - Parameter cause: The `errno`, if `code` is an I/O error.
  static func meaning(_ code: Int32, _ cause: Int32) -> (Code, String) {
    // A quota or a file size limit refused a write. SQLite reports ENOSPC itself, as SQLITE_FULL.
    if code == writeFailed, cause == EDQUOT || cause == EFBIG { return meaning(SQLITE_FULL, 0) }
    if code == oldSnapshot {
      return (
        .busy, "another connection wrote after this transaction began to read: repeat it with BEGIN IMMEDIATE"
      )
    }
    if code == noMemoryForIO { return meaning(SQLITE_NOMEM, 0) }
    if code & 0xFF == SQLITE_CANTOPEN, isTooManyFiles(cause) { return (.tooManyFiles, tooManyFiles) }
    switch code & 0xFF {
    case SQLITE_BUSY, SQLITE_LOCKED: return (.busy, "another process holds the database: try again later")
    case SQLITE_FULL:
      return (.diskFull, "the disk is full, and nothing was written: free some space, then try again")
    case SQLITE_READONLY, SQLITE_PERM:
      return (
        .readOnly, "the database cannot be written to: check the permissions of the file and of its folder"
      )
    case SQLITE_CANTOPEN, SQLITE_AUTH:
      return (.cannotOpen, "the database cannot be opened: check the path and the permissions of its folder")
    case SQLITE_NOTADB: return (.notADatabase, "the file is not a SQLite database: check the path")
    case SQLITE_CORRUPT:
      return (
        .corrupt,
        "the database file is damaged: restore it from a backup, or salvage its rows with `sqlite3 FILE .dump`"
      )
    case SQLITE_IOERR where cause == ENOSPC:
      return (.ioError, "the disk reported an error because it is full: free some space")
    case SQLITE_IOERR where cause == ENOMEM: return meaning(SQLITE_NOMEM, 0)
    case SQLITE_IOERR: return (.ioError, "the disk reported an error: check it, then try again")
    case SQLITE_CONSTRAINT where rowConstraints.contains(code):
      return (.corrupt, "a foreign row or constraint prevents a write: another program modified the file")
    case SQLITE_MISMATCH:
      return (.corrupt, "a value has an unexpected type: the file is damaged, or another program modified it")
    case SQLITE_TOOBIG:
      return (
        .unsupportedDatabase,
        """
        a value in the file, or a payload, exceeds the driver's limit: open the file with a larger Limits.payloadBytes; if it also \
        exceeds SQLite's limit of a billion bytes, store the data elsewhere and enqueue its name
        """
      )
    case SQLITE_NOMEM: return (.outOfMemory, "out of memory: try again later, or with smaller calls")
    default: return (.database, "the database reported an error")
    }
  }
}

extension QudoError {
  /// Explains an error in one of Qudo's own statements; called outside transactions.
  ///
  /// The statements are correct unless a newer version has migrated the file meanwhile; then an error such as "no such
  /// column" would otherwise be taken for a passing one.
  ///
  /// - Parameter access: What the connection does with the file.
  func ofSchema(_ connection: Connection, _ access: SchemaTable.Access) -> QudoError {
    guard code == .database, let result = (cause as? SQLiteError)?.code,
      [SQLITE_ERROR, SQLITE_SCHEMA].contains(result & 0xFF)
    else { return self }
    guard let found = try? connection.schemaTable.lowestVersion(access), found > Schema.version else {
      return self
    }
    return QudoError(
      .newerSchema,
      "a newer Qudo migrated the file to schema \(found), and this one knows \(Schema.version): update this program",
      cause: cause)
  }

  /// Returns the error with the file's path in front, if the file is at fault and the message does not name it yet.
  func naming(_ path: String) -> QudoError {
    switch code {
    case .corrupt, .notADatabase, .foreignSchema, .newerSchema, .unsupportedDatabase, .cannotOpen, .readOnly:
      prefixed(path)
    default: self
    }
  }

  /// Returns the error with the path in front, if the message does not name it yet.
  func prefixed(_ path: String) -> QudoError {
    message.hasPrefix("\(path): ") ? self : QudoError(code, "\(path): \(message)", cause: cause)
  }
}
