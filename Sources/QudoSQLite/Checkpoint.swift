internal import CSQLite

/// When and how the WAL's pages go into the database file.
struct Checkpoint {
  /// 4 MB with pages of 2 KiB, as much as SQLite lets come together by default.
  private static let interval: Int32 = 2000
  private var dueAt = interval

  func isDue(_ connection: Connection) -> Bool { connection.walPages >= dueAt }

  mutating func run(_ connection: Connection) {
    // Who reads an old snapshot is not waited for: what can be copied is.
    sqlite3_busy_timeout(connection.handle, 0)
    // FULL takes the write lock, so that a writer which is not Qudo's cannot begin meanwhile. One that has begun already
    // is not waited for: SQLite then checkpoints as PASSIVE does. The WAL is written from its start again after it, which
    // syncs twice as fast as appending; it is not truncated.
    let code = sqlite3_wal_checkpoint_v2(connection.handle, nil, SQLITE_CHECKPOINT_FULL, nil, nil)
    if code == SQLITE_OK { connection.walPages = 0 }
    dueAt = connection.walPages + Self.interval
  }
}
