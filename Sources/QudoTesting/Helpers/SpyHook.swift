public import Qudo

/// A hook for tests that records an event for each hook point and changes nothing. Copies share their events.
///
///     let spy = SpyHook()
///     let queue = Queue(driver) { spy }
///     …
///     #expect(spy.events.last == .didSettle("mail.send", job: 1, .settled(.completed(replacements: 0))))
///
/// Its position among the other hooks decides when it is called.
public struct SpyHook: Hook {
  /// All hook points.
  public static let points: HookPoints = [
    .willEnqueue, .serialize, .didEnqueue, .didEnqueueInTransaction, .didClaim, .deserialize, .willWork,
    .around, .didWork, .didFail, .didSettle, .leaseLost, .didGiveUp,
  ]

  private struct State {
    var events: [SpyEvent] = []
    var dropped = 0
    var waiters: [(count: Int, continuation: Continuation<Void, Never>)] = []
  }
  private let state = Locked(State())
  private let limit: Int

  /// - Parameter limit: the maximum number of events to keep; later ones are dropped. Default 10,000.
  public init(limit: Int = 10_000) { self.limit = limit }

  /// The recorded events, in order.
  public var events: [SpyEvent] { state.withLock { $0.events } }

  /// The number of events dropped because of the limit.
  public var dropped: Int { state.withLock { $0.dropped } }

  /// Deletes the recorded events.
  public func reset() {
    state.withLock { state in
      state.events = []
      state.dropped = 0
    }
  }

  /// Waits until at least `count` events are recorded, for a worker that runs concurrently with the test.
  public func events(atLeast count: Int) async -> [SpyEvent] {
    await withContinuation { continuation in
      let isMet = state.withLock { state in
        if state.events.count + state.dropped >= count { return true }
        state.waiters.append((count, continuation))
        return false
      }
      if isMet { continuation.resume() }
    }
    return events
  }

  private func hear(_ event: SpyEvent) {
    let met = state.withLock { state in
      if state.events.count < limit { state.events.append(event) } else { state.dropped += 1 }
      let count = state.events.count + state.dropped
      let met = state.waiters.filter { $0.count <= count }.map(\.continuation)
      state.waiters.removeAll { $0.count <= count }
      return met
    }
    for waiter in met { waiter.resume() }
  }

  // MARK: The points

  public func willEnqueue(_ job: inout NewJob) throws { hear(.willEnqueue(job.kind, job.payload)) }
  public func serialize(_ job: inout NewJob) throws { hear(.serialize(job.kind, job.payload)) }
  public func didEnqueue(_ job: borrowing NewJob, result: EnqueueResult) async {
    hear(.didEnqueue(job.kind, result))
  }
  public func didEnqueueInTransaction(_ job: borrowing NewJob, result: EnqueueResult) {
    hear(.didEnqueueInTransaction(job.kind, result))
  }
  public func didClaim(_ job: borrowing ClaimedJob) { hear(.didClaim(job.kind, job: job.id)) }
  public func deserialize(_ job: inout ClaimedJob) throws {
    hear(.deserialize(job.kind, job: job.id, job.payload))
  }
  public func willWork(_ context: JobContext) async throws {
    hear(.willWork(context.kind, job: context.job.id, attempt: context.attempt))
  }
  public func around<Result: Sendable, Failure: Error>(
    _ context: JobContext, _ body: () async throws(Failure) -> Result
  ) async throws(Failure) -> Result {
    hear(.begins(context.kind, job: context.job.id))
    defer { hear(.ends(context.kind, job: context.job.id)) }
    return try await body()
  }
  public func didWork(_ run: borrowing FinishedRun) async {
    hear(.didWork(run.context.kind, job: run.context.job.id, SpyOutcome(run.outcome)))
  }
  public func didFail(_ run: borrowing FinishedRun, error failure: any Error) async {
    hear(.didFail(run.context.kind, job: run.context.job.id, error: String(describing: failure)))
  }
  public func didSettle(_ run: borrowing SettledRun) async {
    hear(.didSettle(run.kind, job: run.id.number, SpySettlement(run)))
  }
  public func leaseLost(_ job: borrowing ClaimedJob) { hear(.leaseLost(job.kind, job: job.id)) }
  public func didGiveUp(_ job: borrowing GivenUpJob, database: String) {
    hear(.didGiveUp(job.kind, job: job.id, expiredLeases: job.expiredLeases))
  }
}
