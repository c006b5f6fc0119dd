#if MySQL
internal import Dispatch
internal import Qudo

/// A limited number of connections. If none is free, a caller waits in line until the driver's timeout.
final class Pool: Sendable {
  private struct Waiter: Sendable {
    let start: @Sendable (PooledConnection) -> Void
    let refuse: @Sendable (QudoError) -> Void
  }

  let access: ConnectionFactory
  let doorbell: Doorbell
  let jobWatch: Watch
  private let queue: Locked<PoolQueue<PooledConnection, Waiter>>
  /// Its own queue: Dispatch's global queues have only as many threads as cores while all of them compute.
  private let watcher = DispatchQueue(label: "qudo.mysql.watch")
  private let closers = Locked<[@Sendable () -> Void]>([])

  init(_ access: ConnectionFactory) {
    self.access = access
    queue = Locked(PoolQueue(capacity: access.settings.pool))
    // The pool and its watch call each other, and neither of them retains the pool.
    let place = Locked<Weak>(Weak())
    let jobWatch = Watch(
      access, isOpen: { place.withLock { $0.pool } != nil },
      ring: { place.withLock { $0.pool }?.doorbell.ring() },
      looked: { place.withLock { $0.pool }?.closeUnused() })
    self.jobWatch = jobWatch
    doorbell = Doorbell(findsAll: true) { hasListeners in jobWatch.setActive(hasListeners) }
    place.withLock { $0.pool = self }
  }

  private struct Weak {
    weak var pool: Pool?
  }

  /// Runs `body` in a transaction, on a thread that belongs to the connection; see ``PooledConnection``.
  ///
  /// Cancellation has no effect once the operation waits: it is carried out, and the caller gets its result.
  func transact<Result: Sendable>(
    _ body: @escaping @Sendable (Transaction) throws(QudoError) -> Result
  ) async throws(QudoError) -> Result {
    guard !Task.isCancelled else {
      throw QudoError(.cancelled, "the task was cancelled before anything was done")
    }
    let deadline = ContinuousClock.now + access.timeout
    let result: Swift.Result<Result, QudoError> = await withContinuation { continuation in
      use(until: deadline, refuse: { continuation.resume(returning: .failure($0)) }) { pooled in
        let answer = self.run(pooled, until: deadline, body)
        return { continuation.resume(returning: answer) }
      }
    }
    return try result.get()
  }

  /// Calls `body` with a connection, on its thread, and then the closure that `body` returned. Usually the
  /// connection is free again by then.
  func use(
    until deadline: ContinuousClock.Instant, refuse: @escaping @Sendable (QudoError) -> Void,
    _ body: @escaping @Sendable (PooledConnection) -> @Sendable () -> Void
  ) {
    let start: @Sendable (PooledConnection) -> Void = { pooled in
      pooled.thread.async {
        Interleaving.point()
        let answer = body(pooled)
        // Pass the connection on first, so that it is not idle while the caller gets its answer.
        let hasToPrune = pooled.hasToPrune
        if !hasToPrune { self.leave(pooled) }
        answer()
        guard hasToPrune else { return }
        pooled.pruneReceipts()
        self.leave(pooled)
      }
    }
    submit(until: deadline, Waiter(start: start, refuse: refuse))
  }

  /// Runs `body` in a transaction. Call this on the connection's thread.
  func run<Result>(
    _ pooled: PooledConnection, until deadline: ContinuousClock.Instant,
    _ body: (Transaction) throws(QudoError) -> Result
  ) -> Swift.Result<Result, QudoError> {
    do throws(QudoError) {
      let (result, effects) = try pooled.transact(until: deadline, body)
      if effects.wakes { doorbell.ring() }
      return .success(result)
    } catch {
      return .failure(error)
    }
  }

  /// Closes unused connections: a worker with nothing to do needs only the connection of its watch.
  private func closeUnused() {
    for pooled in queue.withLock({ $0.takeIdle() }) {
      pooled.thread.async {
        pooled.closeIfUnused()
        self.leave(pooled)
      }
    }
  }

  private func submit(until deadline: ContinuousClock.Instant, _ waiter: Waiter) {
    switch queue.withLock({ [access] in $0.enter(waiter, until: deadline) { PooledConnection(access) } }) {
    case .granted(let pooled): waiter.start(pooled)
    case .queued(let startsWatch): if startsWatch { watch() }
    case .closed: waiter.refuse(QudoError(.closed, "the database was closed"))
    }
  }

  private func leave(_ pooled: PooledConnection) {
    if let next = queue.withLock({ $0.leave(pooled) }) { next.start(pooled) } else { closeIfDone() }
  }

  private func watch() {
    let tick = min(max(access.timeout / 4, .milliseconds(10)), .seconds(1))
    watcher.asyncAfter(deadline: .now() + .microseconds(Int(tick.wholeMicroseconds))) { [weak self] in
      guard let self else { return }
      let (expired, goesOn) = queue.withLock { ($0.takeExpired(.now), $0.keepWatching()) }
      let late = QudoError(
        .busy,
        """
        \(access.settings.name): all \(access.settings.pool) connections were in use until \
        the timeout: raise the option pool, \
        or try again later
        """)
      for waiter in expired { waiter.refuse(late) }
      if goesOn { watch() }
    }
  }

  var waitingCount: Int { queue.withLock { $0.waitingCount } }

  /// Refuses later operations. Returns when all accepted operations are done and the connections are closed.
  func close() async {
    await withContinuation { continuation in
      closers.withLock { $0.append { continuation.resume() } }
      queue.withLock { $0.close() }
      closeIfDone()
    }
  }

  private func closeIfDone() {
    guard let connections = queue.withLock({ $0.takeConnections() }) else { return }
    let closers = closers.withLock { closers in
      defer { closers = [] }
      return closers
    }
    Interleaving.point()
    let group = DispatchGroup()
    for pooled in connections { pooled.thread.async(group: group) { pooled.close() } }
    jobWatch.close(group)
    group.notify(queue: .global()) { for closer in closers { closer() } }
  }
}
#endif
