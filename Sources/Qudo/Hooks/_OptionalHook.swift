/// A hook that can be left out when the queue is created: `if verbose { Audit() }`. Costs a branch per call.
public struct _OptionalHook<Wrapped: HookSet>: HookSet {
  /// The hook; nil if it is left out.
  public let wrapped: Wrapped?

  /// Creates a hook that forwards to `wrapped`, or does nothing if that is nil.
  @inlinable public init(_ wrapped: Wrapped?) { self.wrapped = wrapped }

  @inlinable public static var points: HookPoints { Wrapped.points }

  @inlinable public func willEnqueue(_ job: inout NewJob) throws { try wrapped?.willEnqueue(&job) }

  @inlinable public func serialize(_ job: inout NewJob) throws { try wrapped?.serialize(&job) }

  @inlinable public func didEnqueue(_ job: borrowing NewJob, result: EnqueueResult) async {
    await wrapped?.didEnqueue(job, result: result)
  }

  @inlinable public func didEnqueueInTransaction(_ job: borrowing NewJob, result: EnqueueResult) {
    wrapped?.didEnqueueInTransaction(job, result: result)
  }

  @inlinable public func didClaim(_ job: borrowing ClaimedJob) { wrapped?.didClaim(job) }

  @inlinable public func deserialize(_ job: inout ClaimedJob) throws { try wrapped?.deserialize(&job) }

  @inlinable public func willWork(_ context: JobContext) async throws { try await wrapped?.willWork(context) }

  @inlinable public func around<Result: Sendable, Failure: Error>(
    _ context: JobContext, _ body: () async throws(Failure) -> Result
  ) async throws(Failure) -> Result {
    guard let wrapped else { return try await body() }
    return try await wrapped.around(context, body)
  }

  @inlinable public func didWork(_ run: borrowing FinishedRun) async { await wrapped?.didWork(run) }

  @inlinable public func didFail(_ run: borrowing FinishedRun, error failure: any Error) async {
    await wrapped?.didFail(run, error: failure)
  }

  @inlinable public func didSettle(_ run: borrowing SettledRun) async { await wrapped?.didSettle(run) }

  @inlinable public func leaseLost(_ job: borrowing ClaimedJob) { wrapped?.leaseLost(job) }

  @inlinable public func didGiveUp(_ job: borrowing GivenUpJob, database: String) {
    wrapped?.didGiveUp(job, database: database)
  }
}
