internal import CSQLite
internal import Qudo

extension Connection {
  /// Writes the WAL again from the system's page cache, after the disk failed to store a part of it.
  ///
  /// Call it inside a write transaction, so that no other writer changes the WAL.
  ///
  /// "Linux clears the error flag from dirty-writeback pages when it reports a write error, so the page will not be written
  /// again. A subsequent fsync() on the same file descriptor will succeed" (enterprisedb.com, "Lost async page write (Linux)
  /// and fsync() errors"). Commits after such a page would be acknowledged, but recovery would not find them. Writing
  /// the page again, even with the same bytes, makes the next sync include it.
  func writeWALAgain() throws(QudoError) {
    var file: UnsafeMutablePointer<sqlite3_file>?
    // "a pointer to the sqlite3_file object associated with the journal file (either the rollback journal or the write-ahead log)"
    guard sqlite3_file_control(handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file) == SQLITE_OK, let file,
      let methods = file.pointee.pMethods?.pointee
    else { return }
    var code = SQLITE_OK
    var size: Int64 = 0
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    buffer.withUnsafeMutableBytes { buffer in
      code = methods.xFileSize(file, &size)
      var place: Int64 = 0
      while code == SQLITE_OK, place < size {
        let count = Int32(min(Int64(buffer.count), size - place))
        code = methods.xRead(file, buffer.baseAddress, count, place)
        if code == SQLITE_OK { code = methods.xWrite(file, buffer.baseAddress, count, place) }
        place += Int64(count)
      }
      if code == SQLITE_OK { code = methods.xSync(file, SQLITE_SYNC_FULL) }
    }
    guard code == SQLITE_OK else {
      throw QudoError(
        .ioError,
        "the disk failed to store earlier writes and fails again, and nothing was written: check the disk",
        cause: SQLiteError(code: code, message: "the WAL could not be written again"))
    }
  }
}

extension QudoError {
  /// SQLITE_IOERR_FSYNC and SQLITE_IOERR_DIR_FSYNC, macros that Swift does not import.
  var isFailedSync: Bool {
    guard let code = (cause as? SQLiteError)?.code else { return false }
    return code == SQLITE_IOERR | 4 << 8 || code == SQLITE_IOERR | 5 << 8
  }
}
