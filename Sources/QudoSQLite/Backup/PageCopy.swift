internal import CSQLite
internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// A copy of all pages of a database, as one read transaction sees them.
///
/// "If the source database is modified by an external process or via a database connection other than the one being used by
/// the backup operation, then the backup will be automatically restarted by the next call to sqlite3_backup_step()"
/// (sqlite.org/c3ref/backup_finish.html). Inside a read transaction that the caller began on the source, nothing is
/// modified, so the copy ends however many processes write.
final class PageCopy {
  /// The number of pages per step: 2 MiB with 2 KiB pages.
  static let pagesPerStep: Int32 = 1024
  /// The number of pages per step while writers wait: a slow disk takes little time for them.
  static let pagesPerShortStep: Int32 = 64

  private let target: Connection
  private var backup: OpaquePointer?

  /// - Parameters:
  ///   - source: A connection in a read transaction.
  ///   - path: The path of an empty file that no other process opens.
  init(from source: Connection, to path: String) throws(QudoError) {
    // "nolock=1 … no locking": nobody else writes to the file, and network file systems may have no locks.
    target = try Connection(path: path, create: true, parameters: "nolock=1")
    // A copy that fails is removed, and the file is synced once, at the end.
    try target.run("PRAGMA journal_mode = OFF")
    try target.run("PRAGMA synchronous = OFF")
    backup = sqlite3_backup_init(target.handle, "main", source.handle, "main")
    guard backup != nil else { throw QudoError.sqlite(sqlite3_errcode(target.handle), target.handle) }
  }

  deinit { if let backup { sqlite3_backup_finish(backup) } }

  /// Copies the next pages.
  ///
  /// - Parameter isShort: Whether writers wait meanwhile. Default: false.
  /// - Returns: Whether there are more.
  func step(isShort: Bool = false) throws(QudoError) -> Bool {
    guard let backup else { return false }
    let code = sqlite3_backup_step(backup, isShort ? Self.pagesPerShortStep : Self.pagesPerStep)
    if code == SQLITE_OK { return true }
    // The `errno` of the file's last failed write.
    var cause: Int32 = 0
    sqlite3_file_control(target.handle, "main", SQLITE_FCNTL_LAST_ERRNO, &cause)
    self.backup = nil
    let end = sqlite3_backup_finish(backup)
    guard code != SQLITE_DONE || end != SQLITE_OK else { return false }
    let failure = code == SQLITE_DONE ? end : code
    if failure & 0xFF == SQLITE_FULL
      || failure & 0xFF == SQLITE_IOERR && [ENOSPC, EDQUOT, EFBIG].contains(cause)
    {
      throw QudoError(
        .diskFull, "the disk is full, and the copy was removed: free some space, then try again",
        cause: SQLiteError(code: failure, message: String(cString: sqlite3_errstr(failure))))
    }
    throw QudoError.sqlite(failure, target.handle)
  }
}
