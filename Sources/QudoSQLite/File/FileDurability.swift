internal import CSQLite
internal import Qudo

// A file is only as durable as its least durable driver: a driver at `off` does not sync what it copies into the database
// file before the WAL is overwritten, so a power failure may lose writes that other drivers acknowledged.
extension Connection {
  /// Declares the durability at opening, under the write lock.
  ///
  /// - Throws: ``QudoError/Code/invalidArgument`` if an open driver excludes it.
  func declare(_ durability: SQLiteDriver.Durability, _ locks: KernelLocks) throws(QudoError) {
    guard locks.declare(durability) else { throw .conflictingDurability(durability) }
    let isMarked = try infoTable.isUnsynced()
    if durability == .off {
      if !isMarked { try infoTable.setUnsynced(true) }
    } else if isMarked {
      try syncFiles()
      try infoTable.setUnsynced(false)
    }
  }

  /// Syncs what was written at `off`: the WAL, and what was copied from it into the database file.
  private func syncFiles() throws(QudoError) {
    for control in [SQLITE_FCNTL_JOURNAL_POINTER, SQLITE_FCNTL_FILE_POINTER] {
      var file: UnsafeMutablePointer<sqlite3_file>?
      // "used to obtain a pointer to the sqlite3_file object associated with a particular database connection", and "with the journal
      // file (either the rollback journal or the write-ahead log)": sqlite.org/c3ref/c_fcntl_begin_atomic_write.html.
      guard sqlite3_file_control(handle, "main", control, &file) == SQLITE_OK, let file,
        let methods = file.pointee.pMethods,
        let sync = methods.pointee.xSync
      else { continue }
      let code = sync(file, SQLITE_SYNC_NORMAL)
      guard code == SQLITE_OK else {
        throw QudoError(
          .ioError,
          "what another process wrote at durability off cannot be synced: check the disk (SQLite error \(code))"
        )
      }
    }
  }
}

extension QudoError {
  fileprivate static func conflictingDurability(_ durability: SQLiteDriver.Durability) -> QudoError {
    guard durability == .off else {
      return QudoError(
        .invalidArgument,
        """
        durability \(durability.rawValue) is refused while another process has the file open at off, since that one's writes may be lost \
        or damage the file in a power cut: use off as well, or close that process first
        """)
    }
    return QudoError(
      .invalidArgument,
      """
      durability off is refused while another process has the file open at full or normal, since it would take that one's promise away: \
      use its durability, or close that process first
      """)
  }
}
