/// One of two hooks, chosen when the queue is created: `if local { A() } else { B() }`. Costs a branch per
/// call.
///
/// The chosen hook is called only at the points that it names.
public enum _EitherHook<First: HookSet, Second: HookSet>: HookSet {
  /// The hook after `if`.
  case first(First)
  /// The hook after `else`.
  case second(Second)

  @inlinable public static var points: HookPoints { First.points.union(Second.points) }

  @inlinable public func willEnqueue(_ job: inout NewJob) throws {
    switch self {
    case .first(let hook): if First.points.contains(.willEnqueue) { try hook.willEnqueue(&job) }
    case .second(let hook): if Second.points.contains(.willEnqueue) { try hook.willEnqueue(&job) }
    }
  }

  @inlinable public func serialize(_ job: inout NewJob) throws {
    switch self {
    case .first(let hook): if First.points.contains(.serialize) { try hook.serialize(&job) }
    case .second(let hook): if Second.points.contains(.serialize) { try hook.serialize(&job) }
    }
  }

  @inlinable public func didEnqueue(_ job: borrowing NewJob, result: EnqueueResult) async {
    switch self {
    case .first(let hook):
      if First.points.contains(.didEnqueue) { await hook.didEnqueue(job, result: result) }
    case .second(let hook):
      if Second.points.contains(.didEnqueue) { await hook.didEnqueue(job, result: result) }
    }
  }

  @inlinable public func didEnqueueInTransaction(_ job: borrowing NewJob, result: EnqueueResult) {
    switch self {
    case .first(let hook):
      if First.points.contains(.didEnqueueInTransaction) { hook.didEnqueueInTransaction(job, result: result) }
    case .second(let hook):
      if Second.points.contains(.didEnqueueInTransaction) {
        hook.didEnqueueInTransaction(job, result: result)
      }
    }
  }

  @inlinable public func didClaim(_ job: borrowing ClaimedJob) {
    switch self {
    case .first(let hook): if First.points.contains(.didClaim) { hook.didClaim(job) }
    case .second(let hook): if Second.points.contains(.didClaim) { hook.didClaim(job) }
    }
  }

  @inlinable public func deserialize(_ job: inout ClaimedJob) throws {
    switch self {
    case .first(let hook): if First.points.contains(.deserialize) { try hook.deserialize(&job) }
    case .second(let hook): if Second.points.contains(.deserialize) { try hook.deserialize(&job) }
    }
  }

  @inlinable public func willWork(_ context: JobContext) async throws {
    switch self {
    case .first(let hook): if First.points.contains(.willWork) { try await hook.willWork(context) }
    case .second(let hook): if Second.points.contains(.willWork) { try await hook.willWork(context) }
    }
  }

  @inlinable public func around<Result: Sendable, Failure: Error>(
    _ context: JobContext, _ body: () async throws(Failure) -> Result
  ) async throws(Failure) -> Result {
    switch self {
    case .first(let hook) where First.points.contains(.around): try await hook.around(context, body)
    case .second(let hook) where Second.points.contains(.around): try await hook.around(context, body)
    case .first, .second: try await body()
    }
  }

  @inlinable public func didWork(_ run: borrowing FinishedRun) async {
    switch self {
    case .first(let hook): if First.points.contains(.didWork) { await hook.didWork(run) }
    case .second(let hook): if Second.points.contains(.didWork) { await hook.didWork(run) }
    }
  }

  @inlinable public func didFail(_ run: borrowing FinishedRun, error failure: any Error) async {
    switch self {
    case .first(let hook): if First.points.contains(.didFail) { await hook.didFail(run, error: failure) }
    case .second(let hook): if Second.points.contains(.didFail) { await hook.didFail(run, error: failure) }
    }
  }

  @inlinable public func didSettle(_ run: borrowing SettledRun) async {
    switch self {
    case .first(let hook): if First.points.contains(.didSettle) { await hook.didSettle(run) }
    case .second(let hook): if Second.points.contains(.didSettle) { await hook.didSettle(run) }
    }
  }

  @inlinable public func leaseLost(_ job: borrowing ClaimedJob) {
    switch self {
    case .first(let hook): if First.points.contains(.leaseLost) { hook.leaseLost(job) }
    case .second(let hook): if Second.points.contains(.leaseLost) { hook.leaseLost(job) }
    }
  }

  @inlinable public func didGiveUp(_ job: borrowing GivenUpJob, database: String) {
    switch self {
    case .first(let hook): if First.points.contains(.didGiveUp) { hook.didGiveUp(job, database: database) }
    case .second(let hook): if Second.points.contains(.didGiveUp) { hook.didGiveUp(job, database: database) }
    }
  }
}
