/// Two hooks, called one after the other, each only at the points that it names.
///
/// `deserialize` runs in reverse order, to undo `serialize`, and the `around` of the second is the inner one.
public struct _PairHook<First: HookSet, Second: HookSet>: HookSet {
  /// The hook that is called first.
  public let first: First
  /// The hook that is called second.
  public let second: Second

  /// Creates a pair in the order of the calls.
  @inlinable public init(_ first: First, _ second: Second) {
    self.first = first
    self.second = second
  }

  @inlinable public static var points: HookPoints { First.points.union(Second.points) }

  @inlinable public func willEnqueue(_ job: inout NewJob) throws {
    if First.points.contains(.willEnqueue) { try first.willEnqueue(&job) }
    if Second.points.contains(.willEnqueue) { try second.willEnqueue(&job) }
  }

  @inlinable public func serialize(_ job: inout NewJob) throws {
    if First.points.contains(.serialize) { try first.serialize(&job) }
    if Second.points.contains(.serialize) { try second.serialize(&job) }
  }

  @inlinable public func didEnqueue(_ job: borrowing NewJob, result: EnqueueResult) async {
    if First.points.contains(.didEnqueue) { await first.didEnqueue(job, result: result) }
    if Second.points.contains(.didEnqueue) { await second.didEnqueue(job, result: result) }
  }

  @inlinable public func didEnqueueInTransaction(_ job: borrowing NewJob, result: EnqueueResult) {
    if First.points.contains(.didEnqueueInTransaction) { first.didEnqueueInTransaction(job, result: result) }
    if Second.points.contains(.didEnqueueInTransaction) {
      second.didEnqueueInTransaction(job, result: result)
    }
  }

  @inlinable public func didClaim(_ job: borrowing ClaimedJob) {
    if First.points.contains(.didClaim) { first.didClaim(job) }
    if Second.points.contains(.didClaim) { second.didClaim(job) }
  }

  @inlinable public func deserialize(_ job: inout ClaimedJob) throws {
    if Second.points.contains(.deserialize) { try second.deserialize(&job) }
    if First.points.contains(.deserialize) { try first.deserialize(&job) }
  }

  @inlinable public func willWork(_ context: JobContext) async throws {
    if First.points.contains(.willWork) { try await first.willWork(context) }
    if Second.points.contains(.willWork) { try await second.willWork(context) }
  }

  @inlinable public func around<Result: Sendable, Failure: Error>(
    _ context: JobContext, _ body: () async throws(Failure) -> Result
  ) async throws(Failure) -> Result {
    guard First.points.contains(.around) else { return try await second.around(context, body) }
    guard Second.points.contains(.around) else { return try await first.around(context, body) }
    return try await first.around(context) { () async throws(Failure) -> Result in
      try await second.around(context, body)
    }
  }

  @inlinable public func didWork(_ run: borrowing FinishedRun) async {
    if First.points.contains(.didWork) { await first.didWork(run) }
    if Second.points.contains(.didWork) { await second.didWork(run) }
  }

  @inlinable public func didFail(_ run: borrowing FinishedRun, error failure: any Error) async {
    if First.points.contains(.didFail) { await first.didFail(run, error: failure) }
    if Second.points.contains(.didFail) { await second.didFail(run, error: failure) }
  }

  @inlinable public func didSettle(_ run: borrowing SettledRun) async {
    if First.points.contains(.didSettle) { await first.didSettle(run) }
    if Second.points.contains(.didSettle) { await second.didSettle(run) }
  }

  @inlinable public func leaseLost(_ job: borrowing ClaimedJob) {
    if First.points.contains(.leaseLost) { first.leaseLost(job) }
    if Second.points.contains(.leaseLost) { second.leaseLost(job) }
  }

  @inlinable public func didGiveUp(_ job: borrowing GivenUpJob, database: String) {
    if First.points.contains(.didGiveUp) { first.didGiveUp(job, database: database) }
    if Second.points.contains(.didGiveUp) { second.didGiveUp(job, database: database) }
  }
}
