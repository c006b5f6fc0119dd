internal import CSQLite
internal import Logging
internal import Qudo

/// The writer's connection and what is done with it, by one thread at a time.
struct WriterCore {
  /// What happens under the turn; for tests.
  enum Event: Sendable {
    case transactionBegins, transactionEnds, checkpointBegins, checkpointEnds
  }

  private var connection: Connection?
  private let clock: any QueueClock
  private let locks: KernelLocks
  private let beside: FilesBeside
  private let generation: [UInt8]
  /// What every call fails with once the file is not the one that was opened.
  private var replaced: QudoError?
  private var checksPlaceAt: Int64 = 0
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
    _ connection: Connection, clock: any QueueClock, locks: KernelLocks, beside: FilesBeside, generation: [UInt8],
    durability: SQLiteDriver.Durability, checkpoint: Checkpoint, receiptLifetime: Duration
  ) {
    self.connection = connection
    self.checkpoint = checkpoint
    self.clock = clock
    self.locks = locks
    self.beside = beside
    self.generation = generation
    isFull = durability == .full
    self.receiptLifetime = receiptLifetime
    synchronizesNow = isFull
    connection.countWALPages()
    self.checkpoint.estimate(connection)
  }

  /// On such a disk nobody waits on a thread of Swift's pool.
  var isSlow: Bool { pace > Self.slow }

  #if QUDO_INTERLEAVINGS
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
    // First, so that who hears of the closing finds its jobs free.
    locks.releaseAll()
    // SQLite copies the WAL into the database when the last connection is closed.
    if let connection { try? repairOutside(connection) }
    connection = nil
  }

  /// In a read transaction, which no writer waits for.
  mutating func read<Result>(_ body: (Transaction) throws(QudoError) -> Result) throws(QudoError) -> Result {
    guard let connection, replaced == nil else { throw QudoError(.closed, "the database was closed") }
    try connection.endTransaction()
    try checkPlace(connection, now: stopwatch.sinceBoot())
    sqlite3_busy_timeout(connection.handle, 0)
    try connection.run("BEGIN")
    let transaction = Transaction(connection: connection, now: clock.now(), locks: locks, effects: Transaction.Effects(),
      receiptLifetime: receiptLifetime)
    do throws(QudoError) {
      // The first read takes the snapshot. What is known of the file is forgotten after that, if others have changed it.
      try transaction.checkIdentity(generation)
      _ = connection.invalidateIfChanged()
      let result = try body(transaction)
      try connection.run("COMMIT")
      return result
    } catch {
      try? connection.endTransaction()
      throw error
    }
  }

  /// Another process keeps the turn, or the system does not give it. Without it nothing may be written; nor need it be: "When the
  /// last connection to a particular database is closing, that connection will acquire an exclusive lock for a short time while
  /// it cleans up the WAL and shared-memory files" (sqlite.org/wal.html), so that nobody commits beside that.
  mutating func closeWithoutTurn() {
    locks.releaseAll()
    // What the disk may lack of the WAL must not go on into the database: it is left to who opens the file next.
    if mustWriteWALAgain, let connection { _ = qudo_db_config(connection.handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1) }
    connection = nil
  }

  /// - Parameter waits: whether to wait a while for a writer that is not Qudo's.
  /// - Throws: ``QudoError/Code/busy`` when such a writer has the file; nothing was begun.
  mutating func transact<Result>(
    isDurable: Bool, waits: Bool, _ body: (Transaction) throws(QudoError) -> Result
  ) throws(QudoError) -> Result {
    var rounds = 0
    while true {
      do throws(QudoError) {
        return try attempt(isDurable: isDurable, waits: waits, body)
      } catch {
        // Each round takes away at least one row, of one table or of some kinds.
        guard let rows = error.badRows, rounds < Self.mostRounds, try putAside(rows, waits: waits) else { throw error }
        rounds += 1
      }
    }
  }

  private static let mostRounds = 100

  /// In a transaction of its own, so that what comes of the next attempt undoes nothing of it.
  ///
  /// - Returns: whether there was anything.
  private mutating func putAside(_ rows: BadRows, waits: Bool) throws(QudoError) -> Bool {
    let count = try attempt(isDurable: false, waits: waits) { transaction throws(QudoError) in try transaction.putAside(rows) }
    guard count > 0 else { return false }
    checkpoint.logger.warning(
      "rows that contradict the jobs put aside: another program has changed Qudo's tables; change jobs by Qudo's commands only",
      metadata: ["path": "\(connection?.path ?? "")", "table": "\(rows.table)", "rows": "\(count)"])
    return true
  }

  private mutating func attempt<Result>(
    isDurable: Bool, waits: Bool, _ body: (Transaction) throws(QudoError) -> Result
  ) throws(QudoError) -> Result {
    guard let connection else { throw QudoError(.closed, "the database was closed") }
    let start = stopwatch.sinceBoot()
    observer?(.transactionBegins)
    defer {
      observer?(.transactionEnds)
      pace = (pace * 7 + stopwatch.sinceBoot() - start) / 8
    }
    if let replaced { throw replaced }
    try connection.endTransaction()
    try checkPlace(connection, now: start)
    try synchronize(connection, isDurable)
    sqlite3_busy_timeout(connection.handle, waits ? 100 : 0)
    try connection.run("BEGIN IMMEDIATE")
    let isChanged = connection.invalidateIfChanged()
    let pages = connection.walPages
    let transaction = Transaction(connection: connection, now: clock.now(), locks: locks, effects: Transaction.Effects(),
      receiptLifetime: receiptLifetime)
    let result: Result
    do throws(QudoError) {
      try repair(connection)
      if isChanged { try transaction.checkIdentity(generation) }
      result = try body(transaction)
      try transaction.finish()
    } catch {
      try? connection.endTransaction()
      notice(error)
      if error.code == .databaseReplaced { stop(connection, error) }
      throw error.ofSchema(connection, "lowest_writer").naming(connection.path)
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
    // A transaction that wrote nothing has synced nothing. What it found may have been written at a lower durability, or by the
    // application, and must not be undone by a power cut once it was told. The count of pages changes with each write of one's own.
    if isFull, isDurable, transaction.effects.tellsOfOthers, connection.walPages == pages {
      do throws(QudoError) {
        try connection.syncWAL()
      } catch {
        notice(error)
        throw error
      }
    }
    rings = rings || transaction.effects.wakes
    return result
  }

  /// At most every 10 ms: the three calls to the system would make a commit of one job at `normal` a tenth slower.
  private mutating func checkPlace(_ connection: Connection, now: Int64) throws(QudoError) {
    guard now >= checksPlaceAt else { return }
    checksPlaceAt = now + 10_000
    guard let sign = connection.hasMoved ? QudoError.otherFile : beside.haveMoved ? QudoError.otherBeside : nil else { return }
    let error = QudoError.replaced(sign).naming(connection.path)
    replaced = error
    throw error
  }

  /// After a restore: from now on each call fails. What can be done so that no id is given twice is done.
  private mutating func stop(_ connection: Connection, _ error: QudoError) {
    replaced = error.naming(connection.path)
    let transaction = Transaction(connection: connection, now: clock.now(), locks: locks, effects: Transaction.Effects(),
      receiptLifetime: receiptLifetime)
    do throws(QudoError) {
      try connection.run("BEGIN IMMEDIATE")
      try transaction.beginAnew(from: generation)
      try connection.run("COMMIT")
    } catch {
      try? connection.endTransaction()
    }
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
      throw QudoError(.unsupportedDatabase, "the file has tables that are not Qudo's: let the application VACUUM its own file")
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
    _ = connection.invalidateIfChanged()
    // What cannot be copied now is copied later.
    let code = sqlite3_wal_checkpoint_v2(connection.handle, nil, SQLITE_CHECKPOINT_TRUNCATE, nil, nil)
    if code == SQLITE_OK { connection.walPages = 0 } else { notice(.sqlite(code, connection.handle)) }
    return Compaction(before: before, after: try connection.bytes())
  }

  /// Under ``WriteLock``: no other Qudo commits or checkpoints.
  mutating func checkpointIfLarge() {
    // What the disk may lack of the WAL must not go on into the database: the next transaction mends that.
    guard let connection, checkpoint.isDue(connection), !mustWriteWALAgain else { return }
    observer?(.checkpointBegins)
    if let error = checkpoint.run(connection) { notice(error) }
    observer?(.checkpointEnds)
  }
}
