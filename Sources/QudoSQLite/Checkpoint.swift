internal import CSQLite
internal import Logging
internal import Qudo

/// When and how the WAL's pages go into the database file, and what to do when they cannot.
struct Checkpoint {
  /// 4 MB with pages of 2 KiB, as much as SQLite lets come together by default.
  private static let interval: Int32 = 2000
  /// From here on a WAL is worth a word, in bytes.
  private static let large: Int64 = 64 << 20

  private let pageSize: Int64
  private let limit: Int32
  let logger: Logger
  private var dueAt = interval
  private var warnAt: Int64

  /// - Parameter walLimit: in bytes.
  init(pageSize: Int64, walLimit: Int, logger: Logger) {
    self.pageSize = max(pageSize, 512)
    limit = Int32(clamping: Int64(walLimit) / self.pageSize)
    self.logger = logger
    warnAt = min(Self.large, Int64(walLimit))
  }

  func isDue(_ connection: Connection) -> Bool { connection.walPages >= dueAt || isOverLimit(connection) }

  /// Whether nothing more is to be put into the WAL until it can be used anew.
  func isOverLimit(_ connection: Connection) -> Bool { connection.walPages >= limit }

  /// Of a WAL that is as large as it may become, when the file is opened: SQLite tells a connection of its own commits only, and a
  /// process that enqueues once would never learn what the others have written. The file may be larger than what of it is in use; the
  /// checkpoint that is due then tells.
  func estimate(_ connection: Connection) {
    // "Each frame consists of a 24-byte frame-header followed by a page-size bytes of page data": sqlite.org/fileformat2.html#walformat.
    let pages = Int32(clamping: (connection.walBytes ?? 0) / (pageSize + 24))
    if pages >= limit { connection.walPages = pages }
  }

  /// - Returns: why not all could be copied.
  mutating func run(_ connection: Connection, hasBug: Bool = WALResetBug.isInLibrary) -> QudoError? {
    // Who reads an old snapshot is not waited for: what can be copied is.
    sqlite3_busy_timeout(connection.handle, 0)
    var frames: Int32 = -1
    let error = hasBug ? ExclusiveCheckpoint.run(connection, frames: &frames) : Self.copy(connection, frames: &frames)
    if error == nil {
      connection.walPages = 0
    } else {
      // "the total number of frames in the log file", whoever wrote them.
      if frames >= 0 { connection.walPages = frames }
      warn(connection)
    }
    dueAt = connection.walPages + Self.interval
    if error == nil { warnAt = min(Self.large, Int64(limit) * pageSize) }
    return error
  }

  /// FULL takes the write lock, so that a writer which is not Qudo's does not begin meanwhile. One that has begun already is not waited
  /// for: SQLite then checkpoints as PASSIVE does. The WAL is written from its start again after it, which syncs twice as fast as
  /// appending; it is not truncated.
  private static func copy(_ connection: Connection, frames: inout Int32) -> QudoError? {
    let code = sqlite3_wal_checkpoint_v2(connection.handle, nil, SQLITE_CHECKPOINT_FULL, &frames, nil)
    return code == SQLITE_OK ? nil : QudoError.sqlite(code, connection.handle)
  }

  /// Says it once, and again each time that it has doubled.
  private mutating func warn(_ connection: Connection) {
    let bytes = Int64(connection.walPages) * pageSize
    guard bytes >= warnAt else { return }
    warnAt = bytes * 2
    logger.warning(
      "somebody reads an old snapshot of the database, so that its WAL only grows: end that transaction",
      metadata: ["wal": "\(bytes)", "limit": "\(Int64(limit) * pageSize)", "path": "\(connection.path)"])
  }
}
