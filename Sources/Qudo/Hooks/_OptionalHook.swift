/// A hook that may be switched off when the queue is made: `if verbose { Audit() }`. Costs a branch.
public struct _OptionalHook<Wrapped: HookSet>: HookSet {
  /// Nil when it is switched off.
  public let wrapped: Wrapped?

  /// The hook; nil to hear of nothing.
  @inlinable public init(_ wrapped: Wrapped?) { self.wrapped = wrapped }

  @inlinable public static var points: HookPoints { Wrapped.points }

  @inlinable public func willEnqueue(_ job: inout NewJob) throws { try wrapped?.willEnqueue(&job) }

  @inlinable public func serialize(_ job: inout NewJob) throws { try wrapped?.serialize(&job) }

  @inlinable public func didEnqueue(_ job: borrowing NewJob, result: EnqueueResult) async { await wrapped?.didEnqueue(job, result: result) }

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

  @inlinable public func didFail(_ run: borrowing FinishedRun, error failure: any Error) async { await wrapped?.didFail(run, error: failure) }

  @inlinable public func leaseLost(_ job: borrowing ClaimedJob) { wrapped?.leaseLost(job) }

  @inlinable public func didGiveUp(_ job: borrowing GivenUpJob, database: String) { wrapped?.didGiveUp(job, database: database) }
}
