internal import CSQLite
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
  /// Tells what a restore would do, and changes nothing.
  ///
  /// - Parameters:
  ///   - backup: The path of the backup.
  ///   - path: The path of the database that the backup would become. Programs may have it open.
  ///   - checking: Whether to run `PRAGMA quick_check` on the backup. Default: true.
  ///   - clock: The clock for what is due. Default: the machine's.
  ///   - logger: Receives warnings about the file system and foreign tables.
  /// - Throws: `QudoError`, if the backup cannot be restored, as ``restore(from:to:replacing:checking:clock:logger:)`` does.
  public static func planRestore(
    from backup: String, to path: String, checking: Bool = true, clock: any QueueClock = SystemClock(),
    logger: Logger = Logger(label: "qudo")
  ) async throws(QudoError) -> RestorePlan {
    let restore = Restore(
      backup: backup, target: path, replaces: true, checks: checking, clock: clock, logger: logger)
    return try await restore.start { restore throws(QudoError) in try restore.plan() }
  }

  /// Makes a database from a backup. The backup stays as it is, and can be restored any number of times.
  ///
  /// The restored database has the jobs of the backup and its own identity:
  ///
  /// - It has a new identity: a process that still has the old file open gets ``/Qudo/QudoError/Code/databaseReplaced``.
  /// - All leases are void. Jobs that were running when the backup was made are ready, and none counts an expired
  ///   lease.
  /// - The ids continue above those of the file that is replaced, if that can be read, so that none has two meanings.
  /// - The idempotency keys of enqueues are those of the backup: a repeated enqueue that the backup has adds no job, and one
  ///   that it does not have adds one.
  /// - ``/Qudo/JobContext/idempotencyKey`` stays the same for each job, so that other services notice a job that runs a second
  ///   time.
  ///
  /// The file gets its name in one step when it is complete and synced. A process that is killed leaves the old
  /// file, or the new one, and perhaps one with the name `FILE.partial`, which the next restore overwrites.
  ///
  /// - Parameters:
  ///   - backup: The path of the backup.
  ///   - path: The path of the database.
  ///   - replacing: Whether to replace an existing database, which keeps its owner and permissions. Default: false.
  ///   - checking: Whether to run `PRAGMA quick_check` on the backup. Default: true.
  ///   - clock: The clock for what is due. Default: the machine's.
  ///   - logger: Receives warnings about the file system and foreign tables.
  /// - Returns: What the database will run.
  /// - Throws: `QudoError`: `busy` if a program has the database open; `invalidArgument` if it exists and is not to be
  ///   replaced; `unsupportedDatabase` if it has tables, but none of Qudo's; `corrupt`, `notADatabase`,
  ///   `unsupportedDatabase` or `newerSchema` if the backup cannot be used; `diskFull`; `readOnly`. Then nothing was changed.
  @discardableResult
  public static func restore(
    from backup: String, to path: String, replacing: Bool = false, checking: Bool = true,
    clock: any QueueClock = SystemClock(), logger: Logger = Logger(label: "qudo")
  ) async throws(QudoError) -> RestorePlan {
    let restore = Restore(
      backup: backup, target: path, replaces: replacing, checks: checking, clock: clock, logger: logger)
    return try await restore.start { restore throws(QudoError) in try restore.run() }
  }
}

/// One restore, on its own thread.
package struct Restore: Sendable {
  /// A point of a restore; for tests.
  package enum Event: Sendable, Hashable {
    /// The path was looked at; the database there, if any, is locked next.
    case found
    /// Nobody else can open the database that is replaced.
    case holds
    /// The backup is copied.
    case copied
    /// The copy is a separate database, and synced.
    case synced
    /// The files next to the old database are gone; the new one gets its name next.
    case cleared
    /// It has its name.
    case published
  }

  let backup: String
  let target: String
  let replaces: Bool
  let checks: Bool
  let clock: any QueueClock
  var limits = Limits()
  let logger: Logger
  package var observer: (@Sendable (Event) -> Void)?

  package init(
    backup: String, target: String, replaces: Bool = false, checks: Bool = true,
    clock: any QueueClock = SystemClock(), logger: Logger = Logger(label: "qudo")
  ) {
    (self.backup, self.target, self.replaces, self.checks) = (backup, target, replaces, checks)
    (self.clock, self.logger) = (clock, logger)
  }

  package func restore() async throws(QudoError) -> RestorePlan {
    try await start { restore throws(QudoError) in try restore.run() }
  }

  func start(_ body: @escaping @Sendable (Restore) throws(QudoError) -> RestorePlan) async throws(QudoError)
    -> RestorePlan
  {
    let result: Result<RestorePlan, QudoError> = await withContinuation { continuation in
      DispatchQueue(label: "qudo.restore").async {
        continuation.resume(returning: Result { () throws(QudoError) in try body(self) })
      }
    }
    return try result.get()
  }

  // MARK: Steps

  func plan() throws(QudoError) -> RestorePlan {
    let source = try RestoreSource(backup, limits, logger, checks: checks)
    let place = try place(besides: source)
    // Before this opens it.
    let users = DatabaseUsers.of(place)
    var old: ReplacedFile?
    if let status = FileStatus(place) { old = try ReplacedFile(place, status, limits: limits, holds: false) }
    try old?.checkIsQueue()
    return try plan(source, place, old, users)
  }

  func run() throws(QudoError) -> RestorePlan {
    let source = try RestoreSource(backup, limits, logger, checks: checks)
    let place = try place(besides: source)
    let status = FileStatus(place)
    if status != nil, !replaces { throw QudoError.exists(place) }
    observer?(.found)
    // It is released when this returns, after the new file has its name.
    var old: ReplacedFile?
    if let status { old = try ReplacedFile(place, status, limits: limits, holds: true) }
    try old?.checkIsQueue()
    observer?(.holds)
    let plan = try plan(source, place, old, [])
    let partial = try PartialFile(for: place, isDatabase: true)
    try Self.copy(source, to: partial.path)
    try source.checkUnchanged()
    observer?(.copied)
    try becomeAnother(partial.path, above: try old?.highestID() ?? 0)
    if let status { try partial.adopt(status) }
    try partial.sync()
    observer?(.synced)
    if let old {
      try old.removeBeside()
    } else {
      try checkStillMissing(place)
    }
    observer?(.cleared)
    try old?.checkUnmoved()
    // If there was no file, no lock kept others from creating one.
    try partial.publish(replacing: status != nil, ifExists: Self.created(place))
    observer?(.published)
    withExtendedLifetime(old) {}
    return plan
  }

  /// Copies all pages. It has closed the copy when it returns, before another program may have it open.
  private static func copy(_ source: RestoreSource, to path: String) throws(QudoError) {
    let copy = try PageCopy(from: source.connection, to: path)
    while try copy.step() {}
  }

  /// Returns the absolute path of the database.
  private func place(besides source: RestoreSource) throws(QudoError) -> String {
    do throws(QudoError) {
      let place = try DatabasePath(target)
      try FileSystem.check(place.path, logger)
      guard FileStatus(place.path)?.isSame(source.status) != true else {
        throw QudoError(.invalidArgument, "it is the backup itself: choose another path for the database")
      }
      guard place.path + PartialFile.ending != source.path else {
        throw QudoError(.invalidArgument, "the backup has the name of the unfinished file: rename the backup")
      }
      if FileStatus(place.path) == nil {
        if let ending = Self.ending(beside: place.path) {
          let users = KernelLocks(looking: place.path).hasDriver
          throw QudoError(
            users ? .busy : .unsupportedDatabase,
            users
              ? "the file is gone, and a process still has it open: stop it, then restore again"
              : "there is a \(ending) of another database next to it: remove it, or choose another path")
        }
      }
      return place.path
    } catch {
      throw QudoError(error.code, "\(target): \(error.message)", cause: error.cause)
    }
  }

  /// The ending of a file next to a database, such as `-wal`; nil if there is none.
  private static func ending(beside path: String) -> String? {
    ["-wal", "-shm", "-journal"].first { FileStatus(path + $0) != nil }
  }

  /// Checks that no program has created a database at the path, at which there was none.
  private func checkStillMissing(_ place: String) throws(QudoError) {
    guard FileStatus(place) == nil, Self.ending(beside: place) == nil else { throw Self.created(place) }
  }

  private static func created(_ place: String) -> QudoError {
    QudoError(
      .busy,
      "\(place) was created while the backup was copied, and nothing was changed: stop the programs that use it, then restore again"
    )
  }

  /// Gives the copy this version's schema and its own identity, and ends its leases.
  private func becomeAnother(_ path: String, above highestID: Int64) throws(QudoError) {
    let connection = try Connection(path: path, create: false)
    try connection.harden(limits)
    try connection.run("PRAGMA locking_mode = EXCLUSIVE")
    // It is synced as a whole, at the end.
    try connection.run("PRAGMA synchronous = OFF")
    // A copy by VACUUM INTO is in another mode.
    try connection.run("PRAGMA journal_mode = WAL")
    let now = clock.now()
    _ = try DatabaseOpener.prepare(
      connection, name: DatabaseOpener.stem(target), now: now, logger: logger)
    let transaction = Transaction(
      connection: connection, now: now, locks: nil, effects: Transaction.Effects(),
      receiptLifetime: .seconds(86_400))
    try connection.run("BEGIN IMMEDIATE")
    do throws(QudoError) {
      try transaction.renewIdentity(above: highestID)
      try transaction.endAllLeases()
      try transaction.finish()
      try connection.run("COMMIT")
    } catch {
      try? connection.endTransaction()
      throw error
    }
    // "The database connection is the last one", so closing it copies the WAL and removes it; but that reports no error.
    let code = sqlite3_wal_checkpoint_v2(connection.handle, nil, SQLITE_CHECKPOINT_TRUNCATE, nil, nil)
    guard code == SQLITE_OK else { throw QudoError.sqlite(code, connection.handle) }
  }

  // MARK: The plan

  private func plan(_ source: RestoreSource, _ place: String, _ old: ReplacedFile?, _ users: [String])
    throws(QudoError)
    -> RestorePlan
  {
    let now = clock.now()
    let snapshot = Snapshot(
      connection: source.connection, now: now, locks: KernelLocks(looking: source.path))
    let isCurrent = source.version >= Schema.version
    let found = isCurrent ? try snapshot.restorable(now.wall) : nil
    var overdue: [RestorePlan.OverdueSchedule] = []
    for schedule in isCurrent ? try snapshot.scheduleTable.all() : [] {
      guard let next = schedule.nextTick, !schedule.isPaused, next <= now.wall else { continue }
      overdue.append(
        .init(name: schedule.name, kind: schedule.kind, nextTick: next, missed: schedule.missed))
    }
    return RestorePlan(
      database: try source.connection.infoTable.name() ?? DatabaseOpener.stem(target), file: place,
      backup: source.path, bytes: Int(source.status.size), schemaVersion: Int(source.version),
      jobs: found?.jobs, cancelled: found?.cancelled, expired: found?.expired, overdueSchedules: overdue,
      replaced: old.map { compare(snapshot, $0, users, isCurrent: isCurrent) })
  }

  private func compare(_ backup: Snapshot, _ old: ReplacedFile, _ users: [String], isCurrent: Bool)
    -> ReplacedDatabase
  {
    var (ended, removed): (Int?, Int?)
    var damage = old.damage
    if let there = old.connection {
      do throws(QudoError) {
        let (one, other) = (try Self.origin(backup.connection), try Self.origin(there))
        if one == other {
          (ended, removed) = try Self.differences(backup.connection, there) { id throws(QudoError) in
            // Those that end without a run do not run a second time.
            isCurrent ? try !backup.jobTable.isEnding(id, backup.now.wall) : true
          }
        }
      } catch {
        damage = "\(error)"
      }
    }
    return ReplacedDatabase(ended: ended, removed: removed, damage: damage, users: users)
  }

  private static func origin(_ file: Connection) throws(QudoError) -> [UInt8] {
    if let origin = try file.infoTable.origin() { return origin }
    return try file.infoTable.generation()
  }

  /// Counts the jobs that only one of two files has.
  ///
  /// - Parameter counts: Whether a job that only the first has counts.
  private static func differences(
    _ first: Connection, _ second: Connection, _ counts: (Int64) throws(QudoError) -> Bool
  ) throws(QudoError) -> (Int, Int) {
    var (left, right) = (IDs(first), IDs(second))
    var (onlyFirst, onlySecond) = (0, 0)
    var (a, b) = (try left.next(), try right.next())
    while a != nil || b != nil {
      if let one = a, b.map({ one < $0 }) ?? true {
        if try counts(one) { onlyFirst += 1 }
        a = try left.next()
      } else if let other = b, a.map({ other < $0 }) ?? true {
        onlySecond += 1
        b = try right.next()
      } else {
        (a, b) = (try left.next(), try right.next())
      }
    }
    return (onlyFirst, onlySecond)
  }

  /// The ids of a file's jobs, in order.
  private struct IDs {
    private static let pageSize = 10_000
    private let connection: Connection
    private var page: [Int64] = []
    private var place = 0
    private var last = Int64.min
    private var isOver = false

    init(_ connection: Connection) { self.connection = connection }

    mutating func next() throws(QudoError) -> Int64? {
      if place == page.count, !isOver {
        page = try connection.jobTable.ids(after: last, limit: Self.pageSize)
        place = 0
        isOver = page.count < Self.pageSize
        last = page.last ?? last
      }
      guard place < page.count else { return nil }
      defer { place += 1 }
      return page[place]
    }
  }
}
