internal import CSQLite
internal import Qudo

/// A checkpoint beside which nobody commits, be it Qudo or the application: what the WAL-reset bug needs cannot come.
///
/// `SQLITE_CHECKPOINT_FULL` takes the write lock as well; but where the application has it, and the busy handler gives up, SQLite goes on as
/// in PASSIVE, without the lock (`sqlite3WalCheckpoint` in wal.c).
enum ExclusiveCheckpoint {
  /// - Parameters:
  ///   - connection: whose WAL it is; the turn is held.
  ///   - frames: how many the WAL has, whoever wrote them.
  /// - Returns: nil when all of the WAL is in the database file, or why it is not.
  static func run(_ connection: Connection, frames: inout Int32) -> QudoError? {
    do throws(QudoError) {
      // On another connection: "If ... the database connection ... has a write transaction open, SQLITE_LOCKED is returned" for a
      // checkpoint.
      let holder = try Connection(path: connection.path, create: false, vfs: connection.vfs)
      try holder.run("PRAGMA wal_autocheckpoint = 0")
      // Who has the lock is not waited for. Closing the connection ends the transaction.
      try holder.execute("BEGIN IMMEDIATE")
      var copied: Int32 = 0
      let code = withExtendedLifetime(holder) {
        sqlite3_wal_checkpoint_v2(connection.handle, nil, SQLITE_CHECKPOINT_PASSIVE, &frames, &copied)
      }
      guard code == SQLITE_OK else { return .sqlite(code, connection.handle) }
      return frames == copied ? nil : QudoError(.busy, "a transaction reads an old snapshot of the database: end it")
    } catch {
      return error
    }
  }
}

extension Connection {
  /// What SQLite reaches the disk by.
  fileprivate var vfs: String? {
    var vfs: UnsafeMutablePointer<sqlite3_vfs>?
    guard sqlite3_file_control(handle, "main", SQLITE_FCNTL_VFS_POINTER, &vfs) == SQLITE_OK, let name = vfs?.pointee.zName else { return nil }
    return String(cString: name)
  }
}
