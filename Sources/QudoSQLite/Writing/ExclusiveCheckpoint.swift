internal import CSQLite
internal import Qudo

/// A checkpoint during which neither Qudo nor the application can commit, so that the WAL-reset bug cannot occur.
///
/// `SQLITE_CHECKPOINT_FULL` takes SQLite's write lock too. But if the application holds that lock and the busy handler
/// gives up, SQLite continues as PASSIVE, without the lock (`sqlite3WalCheckpoint` in wal.c).
enum ExclusiveCheckpoint {
  /// - Parameters:
  ///   - connection: A connection to the file. The caller holds Qudo's write lock.
  ///   - frames: Set to the number of frames in the WAL.
  /// - Returns: Nil if all of the WAL is in the database file, or else the error.
  static func run(_ connection: Connection, frames: inout Int32) -> QudoError? {
    do throws(QudoError) {
      // On another connection: "If ... the database connection ... has a write transaction open, SQLITE_LOCKED is returned" for a
      // checkpoint.
      let holder = try Connection(path: connection.path, create: false, vfs: connection.vfs)
      try holder.run("PRAGMA wal_autocheckpoint = 0")
      // Do not wait for the lock. Closing the connection ends the transaction.
      try holder.execute("BEGIN IMMEDIATE")
      var copied: Int32 = 0
      let code = withExtendedLifetime(holder) {
        sqlite3_wal_checkpoint_v2(connection.handle, nil, SQLITE_CHECKPOINT_PASSIVE, &frames, &copied)
      }
      guard code == SQLITE_OK else { return .sqlite(code, connection.handle) }
      return frames == copied
        ? nil : QudoError(.busy, "a long-running read transaction blocks the checkpoint: end it")
    } catch {
      return error
    }
  }
}

extension Connection {
  /// The name of the connection's SQLite VFS.
  fileprivate var vfs: String? {
    var vfs: UnsafeMutablePointer<sqlite3_vfs>?
    guard sqlite3_file_control(handle, "main", SQLITE_FCNTL_VFS_POINTER, &vfs) == SQLITE_OK,
      let name = vfs?.pointee.zName
    else { return nil }
    return String(cString: name)
  }
}
