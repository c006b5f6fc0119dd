internal import CSQLite
public import Logging
public import Qudo

/// A driver that stores jobs in one SQLite file.
public struct SQLiteDriver: Driver {
  /// The writes that survive a power failure.
  public enum Durability: String, Sendable, CaseIterable {
    /// Acknowledged enqueues and settles are on the disk. The default.
    case full
    /// A power failure may lose the last commits but never damages the file. A process crash loses nothing.
    case normal
    /// A power failure may damage the file. A process crash loses nothing.
    ///
    /// This level breaks the promises of the other two, so drivers at ``off`` cannot share a file with open
    /// drivers at ``full`` or ``normal``: the one that opens second fails.
    case off
  }

  public let name: String
  public let limits: Limits
  public let doorbell: Doorbell
  public let capabilities: Capabilities
  let writer: Writer
  let reader: Reader
  let clock: any QueueClock
  let receipts: Duration
  let maxWALSize: Int
  let locks: KernelLocks
  private let idle: IdleStreak
  private let lookAgain: LookAgain
  public let generation: [UInt8]
  /// Nil if the file had already disappeared when the driver opened it.
  let file: FileIdentity?
  /// The application's connections that enqueue jobs.
  let appConnections: AppConnections

  /// Opens a database file, creates it if needed, and migrates an older file to this version.
  ///
  /// Only its owner can read and write a new file. <doc:Files> lists the files that Qudo refuses to open.
  ///
  /// - Parameters:
  ///   - path: The path of the file. Its `-wal` and `-shm` files are next to it.
  ///   - name: The database name in job ids. The first opening stores it in the file; later ones ignore this value.
  ///     Default: the file's name without its extensions.
  ///   - durability: The writes that survive a power failure. Default: all that were acknowledged.
  ///   - create: Whether to create a missing file. Default: true.
  ///   - limits: The size limits of a job; an insert that exceeds them fails.
  ///   - busyTimeout: How long a call, or this initializer, waits for other processes before it throws
  ///     `QudoError.Code.busy`, with a resolution of about one second. Default: 30 s.
  ///   - idempotencyKeyLifetime: How long an idempotency key prevents a repeated enqueue. Default: 24 hours.
  ///   - maxWALSize: The maximum WAL size, in bytes. While a long-running read transaction blocks checkpoints and the
  ///     WAL is this large, enqueues throw `QudoError.Code.busy`, so the disk does not fill; settling continues.
  ///     Default: 1 GiB. Qudo itself never needs more than 64 MiB.
  ///   - clock: The clock for due times and leases. Default: the machine's.
  ///   - logger: Receives warnings about blocked checkpoints, permissive file modes, file systems that may be shared,
  ///     foreign triggers and views, and connections without a call of ``prepareConnection(_:)``. Default: a logger
  ///     with the label `qudo`.
  /// - Throws: `QudoError` with a code that tells why the file cannot be used; `invalidArgument` if an open driver of
  ///   the same file has a `durability` that excludes this one.
  public init(
    path: String, name: String? = nil, durability: Durability = .full, create: Bool = true,
    limits: Limits = Limits(),
    busyTimeout: Duration = .seconds(30), idempotencyKeyLifetime: Duration = .seconds(86_400),
    maxWALSize: Int = 1 << 30,
    clock: any QueueClock = SystemClock(), logger: Logger = Logger(label: "qudo")
  ) throws(QudoError) {
    try self.init(
      path: path, name: name, durability: durability, create: create, limits: limits,
      busyTimeout: busyTimeout, idempotencyKeyLifetime: idempotencyKeyLifetime,
      maxWALSize: maxWALSize, clock: clock, logger: logger, observer: nil)
  }

  /// - Parameters:
  ///   - observer: Called with each step that the writer takes under the write lock.
  ///   - vfs: The SQLite VFS, as in ``Connection``.
  init(
    path: String, name: String? = nil, durability: Durability, create: Bool = true, limits: Limits = Limits(),
    busyTimeout: Duration = .seconds(30), idempotencyKeyLifetime: Duration = .seconds(86_400),
    maxWALSize: Int = 1 << 30, clock: any QueueClock,
    logger: Logger = Logger(label: "qudo"), observer: (@Sendable (WriterCore.Event) -> Void)?,
    vfs: String? = nil
  ) throws(QudoError) {
    guard busyTimeout > .zero else {
      throw QudoError(.invalidArgument, "the busy timeout is not above 0: pass a longer one")
    }
    guard idempotencyKeyLifetime > .zero else {
      throw QudoError(.invalidArgument, "the lifetime of idempotency keys is not above 0: pass a longer one")
    }
    try Self.checkMaxWALSize(maxWALSize)
    let connection = try DatabaseOpener.open(
      path: path, durability: durability, create: create, limits: limits, timeout: busyTimeout,
      logger: logger, vfs: vfs)
    let writeLock = try WriteLock(path: connection.path)
    let now = clock.now()
    let locks = KernelLocks(writeLock)
    let beside = FilesBeside(connection.path)
    try writeLock.take(within: busyTimeout)
    let stored: DatabaseOpener.Stored
    do {
      defer { writeLock.giveBack() }
      stored = try DatabaseOpener.prepare(
        connection, name: name ?? DatabaseOpener.stem(path), now: now, logger: logger)
      try connection.declare(durability, locks)
    } catch {
      throw error.naming(path)
    }
    self.name = stored.name
    self.limits = limits
    self.clock = clock
    self.receipts = idempotencyKeyLifetime
    self.maxWALSize = maxWALSize
    self.locks = locks
    self.generation = stored.origin
    self.file = FileIdentity(connection.path)
    self.appConnections = AppConnections(logger, durability)
    self.capabilities =
      durability == .full
      ? [
        .durable, .survivesPowerLoss, .multiProcess, .crossProcessWakeup, .monotonicLeases,
        .recoversDeadHolders, .control, .ringsAtEnds, .schedules, .maxRunning, .rateLimits,
        .concurrencyKeys, .groups, .keyStops, .keyRates,
      ]
      : [
        .durable, .multiProcess, .crossProcessWakeup, .monotonicLeases, .recoversDeadHolders, .control,
        .ringsAtEnds, .schedules, .maxRunning, .rateLimits, .concurrencyKeys, .groups,
        .keyStops, .keyRates,
      ]
    let watch = FileWatch(path: connection.path + "-wal")
    let doorbell = Doorbell { hasListeners in watch.setActive(hasListeners) }
    watch.onClose { locks.hasWatchedDied }
    let idle = IdleStreak()
    self.idle = idle
    watch.onChange { [weak doorbell] in
      doorbell?.ring()
    } pause: {
      idle.pause
    }
    self.doorbell = doorbell
    self.lookAgain = LookAgain(doorbell)
    let checkpoint = Checkpoint(
      pageSize: try connection.integer("PRAGMA page_size") ?? 0, walLimit: maxWALSize, logger: logger)
    var core = WriterCore(
      connection, clock: clock, locks: locks, beside: beside, generation: stored.generation,
      durability: durability, checkpoint: checkpoint,
      receiptLifetime: idempotencyKeyLifetime)
    core.observer = observer
    self.reader = Reader(
      path: connection.path, clock: clock, locks: locks, file: file, beside: beside, limits: limits, vfs: vfs)
    self.writer = Writer(core: core, writeLock: writeLock, timeout: busyTimeout, doorbell: doorbell)
  }

  public func close() async {
    // The writer closes last: the last connection deletes the -wal and the -shm, which the reader checks for.
    await reader.close()
    await writer.close()
  }

  /// The number of jobs up to which a caller writes on its own thread if the writer is free. Larger calls are worth
  /// handing to the writer's thread.
  static let small = 64

  public func insert(_ jobs: [NewJob]) async throws(QudoError) -> [InsertResult] {
    // By index, here and below: a loop over the jobs would copy each.
    for index in jobs.indices { try limits.check(jobs[index]) }
    let bounds = try MaxWaiting.bounds(of: jobs)
    guard bounds.isEmpty else { return try await insert(jobs, bounds) }
    return try await writer.write(isDurable: true, isSmall: jobs.count <= Self.small, needsRoom: true) {
      transaction throws(QudoError) in
      try transaction.insert(jobs)
    }
  }

  private func insert(_ jobs: [NewJob], _ bounds: [(kind: Kind, bound: MaxWaiting)]) async throws(QudoError)
    -> [InsertResult]
  {
    let answer: Result<[InsertResult], QudoError> = try await writer.write(
      isDurable: true, isSmall: jobs.count <= Self.small, needsRoom: true
    ) { transaction throws(QudoError) in try transaction.insert(jobs, bounds) }
    return try answer.get()
  }

  public func claim(_ request: ClaimRequest) async throws(QudoError) -> Claim {
    // A claim of nothing asks for cancelled jobs.
    if idle.isIdle || request.limit <= 0, !Task.isCancelled,
      let (claim, isBehind) = writer.readIfFree({ transaction throws(QudoError) in
        try transaction.idleClaim(request)
      })
    {
      lookAgain.note(isBehind: isBehind)
      if request.limit > 0 { note(claim) }
      return claim
    }
    let claim = try await writer.write(isDurable: false, isSmall: request.limit <= Self.small) {
      transaction throws(QudoError) in
      try transaction.claim(request)
    }
    if request.limit > 0 { note(claim) }
    return claim
  }

  /// Notes the answer to a claim. After the first one, `qudo health --worker` finds this process.
  private func note(_ claim: Claim) { if idle.note(claim) { locks.declareClaimer() } }

  public func settle(
    _ settlements: [Settlement], claiming next: ClaimRequest?
  ) async throws(QudoError) -> (results: [SettleResult], claim: Claim?) {
    var isDurable = false
    for settlement in settlements {
      if case .released = settlement.outcome { continue }
      isDurable = true
      guard case .completed(let jobs) = settlement.outcome else { continue }
      for job in jobs { try limits.check(job) }
    }
    let isSmall = next?.limit ?? 0 <= Self.small - settlements.count
    do throws(QudoError) {
      let answer: (results: [SettleResult], claim: Claim?) = try await writer.write(
        isDurable: isDurable, isSmall: isSmall
      ) {
        transaction throws(QudoError) in
        let results = try transaction.settle(settlements)
        guard let next else { return (results, nil) }
        return (results, try transaction.claim(next))
      }
      if let claim = answer.claim { note(claim) }
      return answer
    } catch {
      // Without a settlement there is nothing to save: a claim that cannot be repaired reports its error.
      guard error.badRows != nil, let next, !settlements.isEmpty else { throw error }
      return try await settle(settlements, thenClaiming: next)
    }
  }

  /// Settles and claims in two transactions.
  ///
  /// Another program wrote rows about a job that this call settles. The rows contradict the jobs only after that job
  /// is deleted, so the settle must commit before the claim can repair them.
  private func settle(
    _ settlements: [Settlement], thenClaiming next: ClaimRequest
  ) async throws(QudoError) -> (results: [SettleResult], claim: Claim?) {
    let results = try await settle(settlements, claiming: nil).results
    do throws(QudoError) {
      return (results, try await claim(next))
    } catch {
      // The outcomes are committed. The next claim will report the error.
      return (results, Claim(timeUntilNextDue: .zero))
    }
  }

  public func renew(_ leases: [Lease], for duration: Duration) async throws(QudoError) -> [Lease?] {
    try await writer.write(isDurable: false, isSmall: leases.count <= Self.small) {
      transaction throws(QudoError) in
      try transaction.renew(leases, for: duration)
    }
  }

  public func promote(limit: Int) async throws(QudoError) -> Int {
    try await writer.write(isDurable: false, isSmall: limit <= Self.small) { transaction throws(QudoError) in
      if limit > 0 { _ = try transaction.restartDelays(limit: limit) }
      return try transaction.promote(limit: limit)
    }
  }

  public func jobs(matching query: JobQuery) async throws(QudoError) -> [StoredJob] {
    try query.filter.check()
    return try await reader.read { snapshot throws(QudoError) in try snapshot.find(query) }
  }

  public func count(_ kinds: [Kind]?) async throws(QudoError) -> [JobCount] {
    try await reader.read { snapshot throws(QudoError) in try snapshot.count(kinds) }
  }
}
