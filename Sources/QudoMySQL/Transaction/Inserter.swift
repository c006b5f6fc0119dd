#if MySQL
internal import Qudo

/// Groups concurrent enqueues. Callers that enqueue while all connections are busy share a transaction, and
/// with it the round trip and the sync; each gets its answer after the commit. A caller that finds a free
/// connection does not wait for others.
final class Inserter: Sendable {
  private struct Call: Sendable {
    let jobs: [NewJob]
    /// Whether it has its own transaction: a maximum of waiting jobs is for all jobs of one call.
    let isAlone: Bool
    let deadline: ContinuousClock.Instant
    let answer: @Sendable (Result<[InsertResult], QudoError>) -> Void
  }

  private struct State {
    var calls: [Call] = []
    /// The number of runners. Each has a connection, or waits for one, and then writes the calls that are
    /// waiting.
    var runners = 0
    var isClosed = false
    var closers: [@Sendable () -> Void] = []

    mutating func takeClosers() -> [@Sendable () -> Void] {
      guard isClosed, runners == 0 else { return [] }
      defer { closers = [] }
      return closers
    }
  }

  /// The maximum number of jobs in a shared transaction.
  private static let most = 1000

  private let pool: Pool
  private let state = Locked(State())

  init(_ pool: Pool) { self.pool = pool }

  /// Inserts jobs. Timeout and cancellation work as in ``Pool/transact(_:)``.
  func insert(_ jobs: [NewJob]) async throws(QudoError) -> [InsertResult] {
    guard !Task.isCancelled else {
      throw QudoError(.cancelled, "the task was cancelled before anything was written")
    }
    let result: Result<[InsertResult], QudoError> = await withContinuation { continuation in
      let call = Call(
        jobs: jobs, isAlone: jobs.contains { $0.maxWaiting != nil }, deadline: .now + pool.access.timeout
      ) { continuation.resume(returning: $0) }
      switch state.withLock({ Self.add(call, to: &$0, runners: pool.access.settings.pool) }) {
      case nil: call.answer(.failure(QudoError(.closed, "the database was closed")))
      case true?: start()
      case false?: break
      }
    }
    return try result.get()
  }

  /// - Returns: Whether to start another runner; nil if the inserter is closed.
  private static func add(_ call: Call, to state: inout State, runners: Int) -> Bool? {
    guard !state.isClosed else { return nil }
    state.calls.append(call)
    guard state.runners < runners else { return false }
    state.runners += 1
    return true
  }

  /// Refuses later calls, and returns when all accepted calls are done.
  func close() async {
    await withContinuation { continuation in
      let closers = state.withLock { state in
        state.isClosed = true
        state.closers.append { continuation.resume() }
        return state.takeClosers()
      }
      for closer in closers { closer() }
    }
  }

  private func start() {
    let deadline = ContinuousClock.now + pool.access.timeout
    pool.use(until: deadline, refuse: { self.refuse($0) }) { pooled in
      let group = self.take()
      let results = self.write(group, pooled, until: deadline)
      return {
        Interleaving.point()
        for (call, result) in zip(group, results) { call.answer(result) }
        self.goOn()
      }
    }
  }

  private func take() -> [Call] {
    state.withLock { state in
      var (count, jobs) = (0, 0)
      for call in state.calls {
        guard count == 0 || !call.isAlone && jobs + call.jobs.count <= Self.most else { break }
        count += 1
        jobs += call.jobs.count
        if call.isAlone { break }
      }
      let group = Array(state.calls.prefix(count))
      state.calls.removeFirst(count)
      return group
    }
  }

  private func goOn() {
    let (isDone, closers) = state.withLock { state in
      if state.calls.isEmpty { state.runners -= 1 }
      return (state.calls.isEmpty, state.takeClosers())
    }
    for closer in closers { closer() }
    if !isDone { start() }
  }

  /// Refuses calls after no connection became free in time, or after the driver was closed. Calls that came
  /// later still have time.
  private func refuse(_ error: QudoError) {
    let now = ContinuousClock.now
    let refused = state.withLock { state in
      let isLate = { (call: Call) in error.code == .closed || call.deadline <= now }
      defer { state.calls.removeAll(where: isLate) }
      return state.calls.filter(isLate)
    }
    for call in refused { call.answer(.failure(error)) }
    goOn()
  }

  /// Writes the calls in one transaction. If a call makes it fail, each call gets its own transaction, so
  /// that only the faulty call fails.
  private func write(_ group: [Call], _ pooled: PooledConnection, until deadline: ContinuousClock.Instant)
    -> [Result<[InsertResult], QudoError>]
  {
    guard !group.isEmpty else { return [] }
    let jobs = group.count == 1 ? group[0].jobs : group.flatMap(\.jobs)
    switch pool.run(
      pooled, until: deadline, { transaction throws(QudoError) in try transaction.run(inserting: jobs) })
    {
    case .success(let results):
      var rest = results[...]
      return group.map { call in
        defer { rest = rest.dropFirst(call.jobs.count) }
        return .success(Array(rest.prefix(call.jobs.count)))
      }
    case .failure(let error):
      switch error.code {
      case _ where group.count == 1: return [.failure(error)]
      case .unreachable, .outcomeUnknown, .busy, .closed: return group.map { _ in .failure(error) }
      default: return group.flatMap { write([$0], pooled, until: deadline) }
      }
    }
  }
}
#endif
