internal import Dispatch
public import Logging
public import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

extension SQLiteDriver {
  /// Copies the database to a file, while it is in use.
  ///
  /// The copy has what one read transaction sees: all that was committed before. It is one plain file without a `-wal`,
  /// which only its owner can read and write. It gets its name when it is complete, synced and checked; until then it is
  /// called `FILE.partial`, which a process that is killed leaves behind, and the next backup overwrites.
  ///
  /// A backup completes however many drivers write meanwhile. It blocks no writer, except if the WAL grows to a quarter
  /// of the driver's `maxWALSize` before it is done: from then on drivers wait up to 50 ms at a time, and from three
  /// quarters on up to 5 s, so that the WAL does not reach its limit, at which enqueues would fail. An application's own
  /// connections do not wait. If they fill the WAL to seven eighths of its limit, the backup throws `busy`.
  ///
  /// - Parameters:
  ///   - path: The path of the backup, on any file system.
  ///   - replacing: Whether to replace an existing file. Default: false.
  ///   - checking: Whether to run `PRAGMA quick_check` on the copy. Default: true.
  /// - Throws: `QudoError`: `invalidArgument` if the path is that of the database itself, a folder, a link, or a file that
  ///   is not to be replaced; `diskFull`; `readOnly` without the permission to create it; `corrupt` if the database is
  ///   damaged; `busy` if another backup writes to the same path, or if the WAL has grown too large; `cancelled` if the
  ///   task was. Then there is no new file.
  @discardableResult
  public func backup(to path: String, replacing: Bool = false, checking: Bool = true) async throws(QudoError)
    -> BackupReport
  {
    guard !writer.isClosed else { throw QudoError(.closed, "the database was closed") }
    var backup = Backup(database: reader.path, target: path, replaces: replacing, checks: checking)
    (backup.file, backup.clock, backup.limits) = (file, clock, limits)
    backup.maxWALSize = maxWALSize
    return try await backup.start()
  }

  /// Copies a database that this process does not have open to a file, while others use it.
  ///
  /// Like ``backup(to:replacing:checking:)``, but it opens the file only for reading, and migrates nothing: use it before
  /// an upgrade.
  ///
  /// - Parameters:
  ///   - database: The path of the database.
  ///   - path: The path of the backup.
  ///   - replacing: Whether to replace an existing file. Default: false.
  ///   - checking: Whether to run `PRAGMA quick_check` on the copy. Default: true.
  ///   - maxWALSize: The smallest `maxWALSize` of the drivers that write to the database, in bytes, at least 16 MiB.
  ///     Default: 1 GiB, as theirs.
  ///   - logger: Receives warnings about the database's file system and foreign tables.
  @discardableResult
  public static func backup(
    of database: String, to path: String, replacing: Bool = false, checking: Bool = true,
    maxWALSize: Int = 1 << 30, logger: Logger = Logger(label: "qudo")
  ) async throws(QudoError) -> BackupReport {
    try checkMaxWALSize(maxWALSize)
    var backup = Backup(database: database, target: path, replaces: replacing, checks: checking)
    backup.logger = logger
    backup.maxWALSize = maxWALSize
    return try await backup.start()
  }
}

extension SQLiteDriver {
  static func checkMaxWALSize(_ bytes: Int) throws(QudoError) {
    guard bytes >= 16 << 20 else {
      throw QudoError(.invalidArgument, "the maximum WAL size is below 16 MiB: pass a larger one")
    }
  }
}

/// One backup, on its own thread.
package struct Backup: Sendable {
  /// A point of a backup; for tests.
  package enum Event: Sendable, Hashable {
    /// The read transaction has begun, and nothing was copied.
    case begun
    /// A step of the copy is done.
    case copied
    /// Writers are kept waiting.
    case holds
    /// The copy is complete and synced.
    case synced
    /// The copy was checked; its name is next.
    case checked
  }

  let database: String
  let target: String
  let replaces: Bool
  let checks: Bool
  var file: FileIdentity?
  var clock: any QueueClock = SystemClock()
  var limits = Limits()
  package var maxWALSize = 1 << 30
  var logger = Logger(label: "qudo")
  package var observer: (@Sendable (Event) -> Void)?

  package init(database: String, target: String, replaces: Bool = false, checks: Bool = true) {
    (self.database, self.target, self.replaces, self.checks) = (database, target, replaces, checks)
  }

  package func start() async throws(QudoError) -> BackupReport {
    let isCancelled = Locked(false)
    let result: Result<BackupReport, QudoError> = await withTaskCancellationHandler {
      await withContinuation { continuation in
        DispatchQueue(label: "qudo.backup").async {
          continuation.resume(
            returning: Result { () throws(QudoError) in try self.run { isCancelled.withLock { $0 } } })
        }
      }
    } onCancel: {
      isCancelled.withLock { $0 = true }
    }
    return try result.get()
  }

  /// The time that writers wait at a time, and the time that they then have.
  private static let hold = Duration.milliseconds(50)
  /// The same if the WAL is near its limit.
  private static let longHold = Duration.seconds(5)
  private static let pause = 5_000 as UInt32

  private func run(_ isCancelled: () -> Bool) throws(QudoError) -> BackupReport {
    let start = ContinuousClock.now
    let source = try BackupSource(database, limits: limits, timeout: .seconds(30), logger: logger)
    guard file == nil || FileIdentity(source.place.path) == file else {
      throw QudoError.replaced(QudoError.otherFile)
    }
    let target = try BackupTarget(target, of: source.place.path, replacing: replaces)
    let partial = try PartialFile(for: target.path)
    try source.begin()
    let sizeBefore = source.walSize
    let begun = ContinuousClock.now
    let takenAt = clock.now().wall
    let version = try Self.naming(source.place.path) { () throws(QudoError) in
      try source.connection.readableSchema(logger)
    }
    observer?(.begun)
    let held = try copy(source, to: partial.path, sizeBefore, isCancelled)
    try source.end()
    let read = ContinuousClock.now - begun
    try partial.sync()
    observer?(.synced)
    let (name, jobs, bytes) = try Self.naming(source.place.path) { () throws(QudoError) in
      try look(partial.path, version, takenAt)
    }
    observer?(.checked)
    guard !isCancelled() else { throw Self.cancelled }
    try target.checkAgain(replacing: replaces)
    try partial.publish(replacing: replaces)
    return BackupReport(
      database: name ?? DatabaseOpener.stem(database), file: target.path, bytes: bytes,
      schemaVersion: Int(version), jobs: jobs, takenAt: takenAt, read: read, held: held,
      took: ContinuousClock.now - start)
  }

  private static let cancelled = QudoError(
    .cancelled, "the task was cancelled, and the unfinished copy was removed")

  private static func naming<Value>(_ path: String, _ body: () throws(QudoError) -> Value) throws(QudoError)
    -> Value
  {
    do { return try body() } catch { throw error.naming(path) }
  }

  /// Copies all pages.
  ///
  /// - Parameter sizeBefore: The size of the WAL when the read transaction began.
  /// - Returns: How long writers were kept waiting.
  private func copy(_ source: BackupSource, to path: String, _ sizeBefore: Int64, _ isCancelled: () -> Bool)
    throws(QudoError)
    -> Duration
  {
    let quarter = Int64(maxWALSize) / 4
    let copy = try PageCopy(from: source.connection, to: path)
    var held = Duration.zero
    var writeLock: WriteLock?
    while true {
      guard !isCancelled() else { throw Self.cancelled }
      let size = source.walSize
      if size > max(quarter, sizeBefore) {
        // Qudo's own writers add little while they wait. At the limit enqueues would fail until the backup ends.
        guard size < Int64(maxWALSize) / 8 * 7 else { throw Self.tooLarge(source.place.path, size) }
        if writeLock == nil { writeLock = try Self.writeLock(source.place.path) }
        if let writeLock {
          let (more, time) = try step(
            copy, holding: writeLock, for: size > quarter * 3 ? Self.longHold : Self.hold, isCancelled)
          held += time
          guard more else { return held }
          // A process that waits for the lock gets it before the next round.
          usleep(Self.pause)
          continue
        }
        // This user may only read the file.
        guard size < quarter * 3 else { throw Self.tooFast(source.place.path) }
      }
      guard try copy.step() else { return held }
      observer?(.copied)
    }
  }

  /// Returns nil if this user may only read the file.
  private static func writeLock(_ path: String) throws(QudoError) -> WriteLock? {
    do throws(QudoError) {
      return try WriteLock(path: path)
    } catch  where error.code == .unsupportedDatabase {
      return nil
    }
  }

  /// Copies pages for a while, in which nobody can write.
  private func step(
    _ copy: PageCopy, holding writeLock: WriteLock, for hold: Duration, _ isCancelled: () -> Bool
  ) throws(QudoError) -> (more: Bool, held: Duration) {
    // Another process may be stopped while it holds the lock; then nobody writes either.
    var isHeld = false
    do throws(QudoError) {
      try writeLock.take(within: .seconds(1))
      isHeld = true
    } catch  where error.code == .busy {}
    let start = ContinuousClock.now
    defer { if isHeld { writeLock.giveBack() } }
    if isHeld { observer?(.holds) }
    var more = true
    while more, ContinuousClock.now - start < hold, !isCancelled() {
      more = try copy.step(isShort: true)
      observer?(.copied)
    }
    return (more, isHeld ? ContinuousClock.now - start : .zero)
  }

  private static func tooLarge(_ path: String, _ size: Int64) -> QudoError {
    QudoError(
      .busy,
      "\(path): connections that are not Qudo's filled the WAL up to \(size) bytes during the backup, which was given up so that enqueues do not fail: back up while they write less, or raise the maximum WAL size of all drivers and of the backup"
    )
  }

  private static func tooFast(_ path: String) -> QudoError {
    QudoError(
      .busy,
      "\(path): processes write faster than this backup copies, and this user may not make them wait: run it as the owner of the file"
    )
  }

  /// Reads the finished copy.
  private func look(_ path: String, _ version: Int64, _ now: Timestamp) throws(QudoError) -> (
    name: String?, jobs: [JobCount]?, bytes: Int
  ) {
    let copy = try Connection.still(path, limits)
    if checks { try copy.checkPages() }
    let snapshot = Snapshot(connection: copy, now: clock.now(), locks: KernelLocks(looking: path))
    let jobs = version >= Schema.version ? try snapshot.contents(now) : nil
    return (try copy.infoTable.name(), jobs, try copy.bytes())
  }
}
