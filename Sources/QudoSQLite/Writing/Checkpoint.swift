internal import CSQLite
internal import Logging
internal import Qudo

/// The policy for copying the WAL's pages into the database file, and for a WAL that cannot be copied.
struct Checkpoint {
  /// The number of WAL pages between checkpoints: 4 MB with 2 KiB pages, the size of SQLite's own default.
  private static let interval: Int32 = 2000
  /// The WAL size that is worth a warning, in bytes.
  private static let large: Int64 = 64 << 20

  private let pageSize: Int64
  private let limit: Int32
  let logger: Logger
  private var dueAt = interval
  private var warnAt: Int64

  /// - Parameter walLimit: The maximum WAL size, in bytes.
  init(pageSize: Int64, walLimit: Int, logger: Logger) {
    self.pageSize = max(pageSize, 512)
    limit = Int32(clamping: Int64(walLimit) / self.pageSize)
    self.logger = logger
    warnAt = min(Self.large, Int64(walLimit))
  }

  func isDue(_ connection: Connection) -> Bool { connection.walPages >= dueAt || isOverLimit(connection) }

  /// Whether the WAL has reached its maximum size, so that enqueues must wait for a complete checkpoint.
  func isOverLimit(_ connection: Connection) -> Bool { connection.walPages >= limit }

  /// Sets the WAL's page count from its file size at opening, if that reaches the maximum.
  ///
  /// SQLite tells a connection the WAL size at its own commits only, so a process that enqueues once would never learn
  /// what others wrote. The file may be larger than its used part; the checkpoint that is then due finds the true size.
  func estimate(_ connection: Connection) {
    // "Each frame consists of a 24-byte frame-header followed by a page-size bytes of page data": sqlite.org/fileformat2.html#walformat.
    let pages = Int32(clamping: (connection.walBytes ?? 0) / (pageSize + 24))
    if pages >= limit { connection.walPages = pages }
  }

  /// Copies the WAL into the database file.
  ///
  /// - Returns: The error if some pages could not be copied.
  mutating func run(_ connection: Connection, hasBug: Bool = WALResetBug.isInLibrary) -> QudoError? {
    // Do not wait for long-running read transactions: copy what can be copied.
    sqlite3_busy_timeout(connection.handle, 0)
    var frames: Int32 = -1
    let error =
      hasBug ? ExclusiveCheckpoint.run(connection, frames: &frames) : Self.copy(connection, frames: &frames)
    if error == nil {
      connection.walPages = 0
    } else {
      // "the total number of frames in the log file": those of other processes included.
      if frames >= 0 { connection.walPages = frames }
      warn(connection)
    }
    dueAt = connection.walPages + Self.interval
    if error == nil { warnAt = min(Self.large, Int64(limit) * pageSize) }
    return error
  }

  /// Runs a FULL checkpoint.
  ///
  /// FULL takes SQLite's write lock, so a foreign writer cannot begin meanwhile. If one has already begun, SQLite does
  /// not wait for it and checkpoints as PASSIVE does. Afterwards, SQLite overwrites the WAL from its start, which syncs
  /// twice as fast as appending; the WAL is not truncated.
  private static func copy(_ connection: Connection, frames: inout Int32) -> QudoError? {
    let code = sqlite3_wal_checkpoint_v2(connection.handle, nil, SQLITE_CHECKPOINT_FULL, &frames, nil)
    return code == SQLITE_OK ? nil : QudoError.sqlite(code, connection.handle)
  }

  /// Warns about a blocked checkpoint, and again each time the WAL has doubled.
  private mutating func warn(_ connection: Connection) {
    let bytes = Int64(connection.walPages) * pageSize
    guard bytes >= warnAt else { return }
    warnAt = bytes * 2
    logger.warning(
      "checkpoint blocked by a long-running read transaction",
      metadata: ["wal": "\(bytes)", "limit": "\(Int64(limit) * pageSize)", "path": "\(connection.path)"])
  }
}
