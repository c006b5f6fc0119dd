internal import CSQLite
internal import Qudo

/// The writer's connection and what is done with it, by one thread at a time.
struct WriterCore {
  /// What happens under the turn; for tests.
  enum Event: Sendable {
    case transactionBegins, transactionEnds, checkpointBegins, checkpointEnds
  }

  private var connection: Connection?
  private let clock: any QueueClock
  private let boot: Int64
  private let isFull: Bool
  private let receiptLifetime: Duration
  /// Nil when it is not sure.
  private var synchronizesNow: Bool?
  private var checkpoint: Checkpoint
  /// How long a transaction takes in microseconds, a moving average.
  private var pace: Int64 = 0
  /// Not the database's own clock, which may stand still in tests.
  private let stopwatch = SystemClock()
  private var rings = false
  /// Whether a sync has failed since the WAL was last known to be as it seems.
  private var mustWriteWALAgain = false
  var observer: (@Sendable (Event) -> Void)?

  init(
    _ connection: Connection, clock: any QueueClock, boot: Int64, durability: SQLiteDriver.Durability, checkpoint: Checkpoint,
    receiptLifetime: Duration
  ) {
    self.connection = connection
    self.checkpoint = checkpoint
    self.clock = clock
    self.boot = boot
    isFull = durability == .full
    self.receiptLifetime = receiptLifetime
    synchronizesNow = isFull
    connection.countWALPages()
  }

  /// On such a disk nobody waits on a thread of Swift's pool.
  var isSlow: Bool { pace > Self.slow }

  #if QUDO_SCHEDULES
  // It is not the disk that pauses there.
  private static let slow: Int64 = 50_000
  #else
  private static let slow: Int64 = 2000
  #endif

  /// Whether workers may have something to claim since the last time.
  mutating func takeRing() -> Bool {
    defer { rings = false }
    return rings
  }

  mutating func close() {
    // SQLite copies the WAL into the database when the last connection is closed.
    if let connection { try? repairOutside(connection) }
    connection = nil
  }

  /// Another process keeps the turn, or the system does not give it. Without it nothing may be written; nor need it be: "When the
  /// last connection to a particular database is closing, that connection will acquire an exclusive lock for a short time while
  /// it cleans up the WAL and shared-memory files" (sqlite.org/wal.html), so that nobody commits beside that.
  mutating func closeWithoutTurn() {
    // What the disk may lack of the WAL must not go on into the database: it is left to who opens the file next.
    if mustWriteWALAgain, let connection { _ = qudo_db_config(connection.handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1) }
    connection = nil
  }

  /// - Parameter waits: whether to wait a while for a writer that is not Qudo's.
  /// - Throws: ``QudoError/Code/busy`` when such a writer has the file; nothing was begun.
  mutating func transact<Result>(
    isDurable: Bool, waits: Bool, _ body: (Transaction) throws(QudoError) -> Result
  ) throws(QudoError) -> Result {
    guard let connection else { throw QudoError(.closed, "the database was closed") }
    let start = stopwatch.sinceBoot()
    observer?(.transactionBegins)
    defer {
      observer?(.transactionEnds)
      pace = (pace * 7 + stopwatch.sinceBoot() - start) / 8
    }
    try connection.endTransaction()
    try synchronize(connection, isDurable)
    sqlite3_busy_timeout(connection.handle, waits ? 100 : 0)
    try connection.run("BEGIN IMMEDIATE")
    connection.noticeOthers()
    let transaction = Transaction(connection: connection, now: clock.now(), boot: boot, effects: Transaction.Effects(),
      receiptLifetime: receiptLifetime)
    let result: Result
    do throws(QudoError) {
      try repair(connection)
      result = try body(transaction)
      try transaction.finish()
    } catch {
      try? connection.endTransaction()
      notice(error)
      throw error.naming(connection.path)
    }
    do throws(QudoError) {
      try connection.run("COMMIT")
    } catch {
      let failure = error.ofCommit(connection)
      try? connection.endTransaction()
      notice(error)
      throw failure
    }
    connection.noteCommit()
    rings = rings || transaction.effects.wakes
    return result
  }

  /// At `full`, what need not be durable does not pay for it. "In WAL mode when synchronous is NORMAL (1), the WAL file
  /// is synchronized before each checkpoint"; the next durable commit syncs the whole WAL, and with it what came before.
  private mutating func synchronize(_ connection: Connection, _ isDurable: Bool) throws(QudoError) {
    guard isFull, synchronizesNow != isDurable else { return }
    // Not kept as a statement: "some pragmas run during the SQL compilation stage, not the execution stage". One that fails, for
    // want of memory, may have taken effect by then.
    synchronizesNow = nil
    try connection.execute(isDurable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL")
    synchronizesNow = isDurable
  }

  /// In a transaction.
  private mutating func repair(_ connection: Connection) throws(QudoError) {
    guard mustWriteWALAgain else { return }
    try connection.writeWALAgain()
    mustWriteWALAgain = false
  }

  private mutating func repairOutside(_ connection: Connection) throws(QudoError) {
    guard mustWriteWALAgain else { return }
    try connection.run("BEGIN IMMEDIATE")
    defer { try? connection.endTransaction() }
    try repair(connection)
  }

  private mutating func notice(_ error: QudoError) { if error.isFailedSync { mustWriteWALAgain = true } }

  /// Whether the WAL is as large as it may become.
  var hasNoRoom: Bool { connection.map(checkpoint.isOverLimit) ?? false }

  var needsCheckpoint: Bool { connection.map(checkpoint.isDue) ?? false }

  /// Rebuilds the file without what is free in it, and cuts off the WAL.
  mutating func compact() throws(QudoError) -> Compaction {
    do { return try vacuum() } catch { throw error.naming(connection?.path ?? "the database") }
  }

  private mutating func vacuum() throws(QudoError) -> Compaction {
    guard let connection else { throw QudoError(.closed, "the database was closed") }
    guard try !connection.hasForeignTables() else {
      throw QudoError(.unsuitableFile, "the file has tables that are not Qudo's: let the application VACUUM its own file")
    }
    let before = try connection.bytes()
    observer?(.transactionBegins)
    defer { observer?(.transactionEnds) }
    try connection.endTransaction()
    try synchronize(connection, true)
    sqlite3_busy_timeout(connection.handle, 5000)
    try repairOutside(connection)
    // No statement may be at work meanwhile, and those that are kept are prepared anew by SQLite.
    do throws(QudoError) {
      try connection.vacuum()
    } catch {
      notice(error)
      throw error
    }
    connection.noticeOthers()
    // What cannot be copied now is copied later.
    let code = sqlite3_wal_checkpoint_v2(connection.handle, nil, SQLITE_CHECKPOINT_TRUNCATE, nil, nil)
    if code == SQLITE_OK { connection.walPages = 0 } else { notice(.sqlite(code, connection.handle)) }
    return Compaction(before: before, after: try connection.bytes())
  }

  /// Under ``Turn``: no other Qudo commits or checkpoints.
  mutating func checkpointIfLarge() {
    // What the disk may lack of the WAL must not go on into the database: the next transaction mends that.
    guard let connection, checkpoint.isDue(connection), !mustWriteWALAgain else { return }
    observer?(.checkpointBegins)
    if let error = checkpoint.run(connection) { notice(error) }
    observer?(.checkpointEnds)
  }
}
