internal import CSQLite
internal import Logging
internal import Qudo

/// The writer's connection and its transactions, used by one thread at a time.
struct WriterCore {
  /// A step that runs under the write lock; for tests.
  enum Event: Sendable {
    case transactionBegins, transactionEnds, checkpointBegins, checkpointEnds
  }

  private var connection: Connection?
  private let clock: any QueueClock
  private let locks: KernelLocks
  private let beside: FilesBeside
  private let generation: [UInt8]
  /// The error of every call after the file was replaced, removed or restored.
  private var replaced: QudoError?
  private var checksPlaceAt: Int64 = 0
  private let isFull: Bool
  private let receiptLifetime: Duration
  /// Whether commits sync now; nil if unknown.
  private var synchronizesNow: Bool?
  private var checkpoint: Checkpoint
  /// The moving average of a transaction's duration, in microseconds.
  private var pace: Int64 = 0
  /// Not the driver's clock, which tests may stop.
  private let stopwatch = SystemClock()
  private var rings = false
  /// Whether a sync failed and the WAL was not written again since.
  private var mustWriteWALAgain = false
  var observer: (@Sendable (Event) -> Void)?

  init(
    _ connection: Connection, clock: any QueueClock, locks: KernelLocks, beside: FilesBeside,
    generation: [UInt8],
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

  /// Whether the disk is too slow to block a thread of Swift's pool.
  var isSlow: Bool { pace > Self.slow }

  #if QUDO_INTERLEAVINGS
  // The interleaving tests add pauses that are not the disk's.
  private static let slow: Int64 = 50_000
  #else
  private static let slow: Int64 = 2000
  #endif

  /// Returns whether a transaction since the last call gave workers something to claim.
  mutating func takeRing() -> Bool {
    defer { rings = false }
    return rings
  }

  /// Whether a transaction of the application holds the file, while the write lock keeps all of Qudo's own away.
  var isHeldByApplication: Bool {
    connection.map { LockList.isWrittenByThisProcess($0.path) } ?? false
  }

  func warnOfApplication() {
    checkpoint.logger.warning(
      "database kept busy by this process: a transaction that awaits Qudo waits for itself; use enqueue(_:in:) in it",
      metadata: ["path": "\(connection?.path ?? "")"])
  }

  mutating func close() {
    // First: processes that the closing wakes must find this driver's jobs recoverable.
    locks.releaseAll()
    // SQLite copies the WAL into the database when the last connection is closed.
    if let connection { try? repairOutside(connection) }
    connection = nil
  }

  /// Runs `body` in a read transaction, which blocks no writer.
  mutating func read<Result>(_ body: (Transaction) throws(QudoError) -> Result) throws(QudoError) -> Result {
    guard let connection, replaced == nil else { throw QudoError(.closed, "the database was closed") }
    try connection.endTransaction()
    try checkPlace(connection, now: stopwatch.sinceBoot())
    sqlite3_busy_timeout(connection.handle, 0)
    try connection.run("BEGIN")
    let transaction = Transaction(
      connection: connection, now: clock.now(), locks: locks, effects: Transaction.Effects(),
      receiptLifetime: receiptLifetime)
    do throws(QudoError) {
      // The first read takes the snapshot; only then can the hints be compared with it.
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

  /// Closes the file when the write lock is not available.
  ///
  /// Without the lock nothing may be written, and nothing needs to be: "When the last connection to a particular
  /// database is closing, that connection will acquire an exclusive lock for a short time while it cleans up the WAL and
  /// shared-memory files" (sqlite.org/wal.html), so no commit can run during that checkpoint.
  mutating func closeWithoutTurn() {
    locks.releaseAll()
    // Parts of the WAL may be missing on the disk: do not copy it into the database. The next process to open the file
    // recovers it.
    if mustWriteWALAgain, let connection {
      _ = qudo_db_config(connection.handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    }
    connection = nil
  }

  /// Runs `body` in a write transaction, and again after bad rows were repaired.
  ///
  /// - Parameter waits: Whether to wait a while for a foreign writer.
  /// - Throws: ``QudoError/Code/busy`` if a foreign writer holds the file; then nothing was begun.
  mutating func transact<Result>(
    isDurable: Bool, waits: Bool, _ body: (Transaction) throws(QudoError) -> Result
  ) throws(QudoError) -> Result {
    var rounds = 0
    while true {
      do throws(QudoError) {
        return try attempt(isDurable: isDurable, waits: waits, body)
      } catch {
        // Each round repairs at least one row, of one table or of some kinds.
        guard let rows = error.badRows, rounds < Self.mostRounds, try putAside(rows, waits: waits) else {
          throw error
        }
        rounds += 1
      }
    }
  }

  private static let mostRounds = 100

  /// Repairs bad rows in a separate transaction, which a rollback of the next attempt does not undo.
  ///
  /// - Returns: Whether there were any.
  private mutating func putAside(_ rows: BadRows, waits: Bool) throws(QudoError) -> Bool {
    let count = try attempt(isDurable: false, waits: waits) { transaction throws(QudoError) in
      try transaction.putAside(rows)
    }
    guard count > 0 else { return false }
    checkpoint.logger.warning(
      "inconsistent rows repaired: another program modified Qudo's tables; change jobs with Qudo's commands only",
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
    let transaction = Transaction(
      connection: connection, now: clock.now(), locks: locks, effects: Transaction.Effects(),
      receiptLifetime: receiptLifetime)
    transaction.effects.followsOthers = isChanged
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
      throw error.ofSchema(connection, .writing).naming(connection.path)
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
    // A transaction that wrote nothing synced nothing. The job it reports may have been written at a lower durability, or
    // by the application, and once reported must survive a power failure. The page count changes with each own write.
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

  /// Checks that the file and its `-wal` and `-shm` are still in place, at most every 10 ms: the three system calls would
  /// make a commit of one job at `normal` a tenth slower.
  private mutating func checkPlace(_ connection: Connection, now: Int64) throws(QudoError) {
    guard now >= checksPlaceAt else { return }
    checksPlaceAt = now + 10_000
    guard
      let sign = connection.hasMoved ? QudoError.otherFile : beside.haveMoved ? QudoError.otherBeside : nil
    else { return }
    let error = QudoError.replaced(sign).naming(connection.path)
    replaced = error
    throw error
  }

  /// Stops the writer after a restore: every later call fails. It first tries to prevent the reuse of job ids.
  private mutating func stop(_ connection: Connection, _ error: QudoError) {
    replaced = error.naming(connection.path)
    let transaction = Transaction(
      connection: connection, now: clock.now(), locks: locks, effects: Transaction.Effects(),
      receiptLifetime: receiptLifetime)
    do throws(QudoError) {
      try connection.run("BEGIN IMMEDIATE")
      try transaction.beginAnew(from: generation)
      try connection.run("COMMIT")
    } catch {
      try? connection.endTransaction()
    }
  }

  /// Switches syncing on or off for the next commit: at `full`, an operation that need not be durable skips the sync.
  ///
  /// "In WAL mode when synchronous is NORMAL (1), the WAL file is synchronized before each checkpoint". The next durable
  /// commit syncs the whole WAL, earlier commits included.
  private mutating func synchronize(_ connection: Connection, _ isDurable: Bool) throws(QudoError) {
    guard isFull, synchronizesNow != isDurable else { return }
    // Not a cached statement: "some pragmas run during the SQL compilation stage, not the execution stage". A pragma that
    // fails because memory ran out may already have taken effect.
    synchronizesNow = nil
    try connection.execute(isDurable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL")
    synchronizesNow = isDurable
  }

  /// Writes the WAL again if a sync failed. Call it inside a transaction.
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

  /// Whether the WAL has its maximum size.
  var hasNoRoom: Bool { connection.map(checkpoint.isOverLimit) ?? false }

  var needsCheckpoint: Bool { connection.map(checkpoint.isDue) ?? false }

  /// Rebuilds the file without its free pages, and truncates the WAL.
  mutating func compact() throws(QudoError) -> Compaction {
    do { return try vacuum() } catch { throw error.naming(connection?.path ?? "the database") }
  }

  private mutating func vacuum() throws(QudoError) -> Compaction {
    guard let connection else { throw QudoError(.closed, "the database was closed") }
    guard try !connection.hasForeignTables() else {
      throw QudoError(
        .unsupportedDatabase, "the file has foreign tables: let the application VACUUM its own file")
    }
    let before = try connection.bytes()
    observer?(.transactionBegins)
    defer { observer?(.transactionEnds) }
    try connection.endTransaction()
    try synchronize(connection, true)
    sqlite3_busy_timeout(connection.handle, 5000)
    try repairOutside(connection)
    // No statement is active here, and SQLite prepares the cached ones again.
    do throws(QudoError) {
      try connection.vacuum()
    } catch {
      notice(error)
      throw error
    }
    _ = connection.invalidateIfChanged()
    // Pages that cannot be copied now are copied by a later checkpoint.
    let code = sqlite3_wal_checkpoint_v2(connection.handle, nil, SQLITE_CHECKPOINT_TRUNCATE, nil, nil)
    if code == SQLITE_OK { connection.walPages = 0 } else { notice(.sqlite(code, connection.handle)) }
    // The file is rebuilt, whatever happens now: the statement is prepared again, which takes memory.
    return Compaction(before: before, after: (try? connection.bytes()) ?? connection.fileSize ?? before)
  }

  /// Checkpoints if due. Call it under ``WriteLock``, so that no other Qudo commits or checkpoints.
  mutating func checkpointIfLarge() {
    // Parts of the WAL may be missing on the disk: do not copy it before the next transaction has written it again.
    guard let connection, checkpoint.isDue(connection), !mustWriteWALAgain else { return }
    observer?(.checkpointBegins)
    if let error = checkpoint.run(connection) { notice(error) }
    observer?(.checkpointEnds)
  }
}
