internal import CSQLite
public import Logging
public import Qudo

/// Jobs in one SQLite file.
public struct SQLiteDriver: Driver {
  /// What a power cut may take.
  public enum Durability: String, Sendable, CaseIterable {
    /// An acknowledged enqueue or settle is on the disk. The default.
    case full
    /// A power cut may take the last commits; it never damages the file. A crash of the process takes nothing.
    case normal
    /// A power cut may damage the file. A crash of the process takes nothing. It is refused beside another driver of the same file
    /// at ``full`` or ``normal``, and they beside it: it would take their promises away.
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
  let locks: KernelLocks
  private let idle: IdleStreak
  public let generation: [UInt8]
  /// Nil if the file was gone as soon as it was opened.
  let file: FileIdentity?
  /// Those that jobs are enqueued on.
  let appConnections: AppConnections

  /// Opens the file, which is created unless `create` is false, and brings an older one up to this version. A new file is its
  /// owner's alone. What of other people's files is refused is in <doc:Files>.
  ///
  /// - Parameters:
  ///   - path: of the file; WAL and `-shm` file lie beside it.
  ///   - name: what jobs are named by; kept in the file from the first time on. Default: the file's name without its endings.
  ///   - durability: what a power cut may take. Default: nothing that was acknowledged.
  ///   - create: whether a file that is not there is made. Default: yes.
  ///   - limits: what an insert refuses.
  ///   - timeout: how long a call, or this opening, may be kept waiting by other processes before it fails as `QudoError.Code.busy`.
  ///     Default 30 s; it is looked at about once a second.
  ///   - receipts: how long an idempotency key keeps an enqueue from being done again. Default 24 hours.
  ///   - walLimit: how large the WAL may become, in bytes, while somebody reads an old snapshot of the file and keeps it from
  ///     being used anew: then enqueues fail as `QudoError.Code.busy`, so that the disk does not fill, while settling goes on.
  ///     Default 1 GiB. Qudo itself never needs more than 64 MiB.
  ///   - clock: what due times and leases go by. Default: the machine's.
  ///   - logger: hears of such a reader, of rights that are too wide, of file systems that may be shared, of triggers and views that are
  ///     not Qudo's, and of connections that ``prepareConnection(_:)`` was not called for. Default: one with the label `qudo`.
  /// - Throws: `QudoError` with a code that says why the file cannot be used; `invalidArgument` if another open driver of the file
  ///   stands against `durability`.
  public init(
    path: String, name: String? = nil, durability: Durability = .full, create: Bool = true, limits: Limits = Limits(),
    busyTimeout: Duration = .seconds(30), idempotencyKeyLifetime: Duration = .seconds(86_400), maxWALSize: Int = 1 << 30,
    clock: any QueueClock = SystemClock(), logger: Logger = Logger(label: "qudo")
  ) throws(QudoError) {
    try self.init(
      path: path, name: name, durability: durability, create: create, limits: limits, busyTimeout: busyTimeout, idempotencyKeyLifetime: idempotencyKeyLifetime,
      maxWALSize: maxWALSize, clock: clock, logger: logger, observer: nil)
  }

  /// - Parameters:
  ///   - observer: hears what the writer does under its turn.
  ///   - vfs: as in ``Connection``.
  init(
    path: String, name: String? = nil, durability: Durability, create: Bool = true, limits: Limits = Limits(),
    busyTimeout: Duration = .seconds(30), idempotencyKeyLifetime: Duration = .seconds(86_400), maxWALSize: Int = 1 << 30, clock: any QueueClock,
    logger: Logger = Logger(label: "qudo"), observer: (@Sendable (WriterCore.Event) -> Void)?, vfs: String? = nil
  ) throws(QudoError) {
    guard busyTimeout > .zero else { throw QudoError(.invalidArgument, "the time-out is not above 0") }
    guard idempotencyKeyLifetime > .zero else { throw QudoError(.invalidArgument, "receipts are kept for no time: give a time above 0") }
    guard maxWALSize >= 16 << 20 else { throw QudoError(.invalidArgument, "the limit of the WAL is under 16 MiB") }
    let connection = try DatabaseOpener.open(
      path: path, durability: durability, create: create, limits: limits, patience: busyTimeout, logger: logger, vfs: vfs)
    let writeLock = try WriteLock(path: connection.path)
    let now = clock.now()
    let locks = KernelLocks(writeLock)
    let beside = FilesBeside(connection.path)
    try writeLock.take(within: busyTimeout)
    let stored: DatabaseOpener.Stored
    do {
      defer { writeLock.giveBack() }
      stored = try DatabaseOpener.prepare(connection, name: name ?? DatabaseOpener.stem(path), now: now, logger: logger)
      try connection.declare(durability, locks)
    } catch {
      throw error.naming(path)
    }
    self.name = stored.name
    self.limits = limits
    self.clock = clock
    self.receipts = idempotencyKeyLifetime
    self.locks = locks
    self.generation = stored.generation
    self.file = FileIdentity(connection.path)
    self.appConnections = AppConnections(logger)
    self.capabilities = durability == .full
      ? [.durable, .survivesPowerLoss, .multiProcess, .crossProcessWakeup, .monotonicLeases, .recoversDeadHolders]
      : [.durable, .multiProcess, .crossProcessWakeup, .monotonicLeases, .recoversDeadHolders]
    let watch = FileWatch(path: connection.path + "-wal")
    let doorbell = Doorbell { somebodyListens in watch.setActive(somebodyListens) }
    watch.onClose { locks.hasWatchedDied }
    let idle = IdleStreak()
    self.idle = idle
    watch.onChange { [weak doorbell] in doorbell?.ring() } pause: { idle.pause }
    self.doorbell = doorbell
    let checkpoint = Checkpoint(
      pageSize: try connection.integer("PRAGMA page_size") ?? 0, walLimit: maxWALSize, logger: logger)
    var core = WriterCore(
      connection, clock: clock, locks: locks, beside: beside, generation: stored.generation, durability: durability, checkpoint: checkpoint,
      receiptLifetime: idempotencyKeyLifetime)
    core.observer = observer
    self.reader = Reader(path: connection.path, clock: clock, locks: locks, file: file, beside: beside, limits: limits, vfs: vfs)
    self.writer = Writer(core: core, writeLock: writeLock, timeout: busyTimeout, doorbell: doorbell)
  }

  public func close() async {
    // The writer last: with the last connection go the -wal and the -shm, which the reader looks for.
    await reader.close()
    await writer.close()
  }

  /// Up to this many jobs a caller writes on its own thread, when the writer is free; more than that are work enough
  /// for a hand-over.
  static let small = 64

  public func insert(_ jobs: [NewJob]) async throws(QudoError) -> [InsertResult] {
    for job in jobs { try limits.check(job) }
    return try await writer.write(isDurable: true, isSmall: jobs.count <= Self.small, needsRoom: true) { transaction throws(QudoError) in
      try transaction.insert(jobs)
    }
  }

  public func claim(_ request: ClaimRequest) async throws(QudoError) -> Claim {
    if idle.isIdle, !Task.isCancelled, let claim = writer.readIfFree({ transaction throws(QudoError) in try transaction.idleClaim(request) }) {
      idle.note(claim)
      return claim
    }
    let claim = try await writer.write(isDurable: false, isSmall: request.limit <= Self.small) { transaction throws(QudoError) in
      try transaction.claim(request)
    }
    idle.note(claim)
    return claim
  }

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
      let answer: (results: [SettleResult], claim: Claim?) = try await writer.write(isDurable: isDurable, isSmall: isSmall) {
        transaction throws(QudoError) in
        let results = try transaction.settle(settlements)
        guard let next else { return (results, nil) }
        return (results, try transaction.claim(next))
      }
      if let claim = answer.claim { idle.note(claim) }
      return answer
    } catch {
      guard error.badRows != nil, let next else { throw error }
      return try await settle(settlements, thenClaiming: next)
    }
  }

  /// In two transactions. Another program has made rows of a job that is settled here: they contradict the jobs only once it is gone,
  /// and are put aside then.
  private func settle(
    _ settlements: [Settlement], thenClaiming next: ClaimRequest
  ) async throws(QudoError) -> (results: [SettleResult], claim: Claim?) {
    let results = try await settle(settlements, claiming: nil).results
    do throws(QudoError) {
      return (results, try await claim(next))
    } catch {
      // The outcomes are written. The next claim meets the error again.
      return (results, Claim(timeUntilNextDue: .zero))
    }
  }

  public func renew(_ leases: [Lease], for duration: Duration) async throws(QudoError) -> [Lease?] {
    try await writer.write(isDurable: false, isSmall: leases.count <= Self.small) { transaction throws(QudoError) in
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
    try await reader.read { snapshot throws(QudoError) in try snapshot.find(query) }
  }

  public func count(_ kinds: [Kind]?) async throws(QudoError) -> [JobCount] {
    try await reader.read { snapshot throws(QudoError) in try snapshot.count(kinds) }
  }
}
