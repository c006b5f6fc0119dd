/// A hook that hears of some kinds only; see ``HookSet/only(_:)``.
public struct _FilteredHook<Wrapped: HookSet>: HookSet {
  /// The hook.
  public let wrapped: Wrapped
  /// Of whose jobs it hears.
  public let kinds: Set<Kind>

  /// A hook and the kinds of whose jobs it hears.
  @inlinable public init(_ wrapped: Wrapped, _ kinds: Set<Kind>) {
    self.wrapped = wrapped
    self.kinds = kinds
  }

  @inlinable public static var points: HookPoints { Wrapped.points }

  @inlinable public func willEnqueue(_ job: inout NewJob) throws {
    if kinds.contains(job.kind) { try wrapped.willEnqueue(&job) }
  }

  @inlinable public func serialize(_ job: inout NewJob) throws {
    if kinds.contains(job.kind) { try wrapped.serialize(&job) }
  }

  @inlinable public func didEnqueue(_ job: borrowing NewJob, result: EnqueueResult) async {
    if kinds.contains(job.kind) { await wrapped.didEnqueue(job, result: result) }
  }

  @inlinable public func didEnqueueInTransaction(_ job: borrowing NewJob, result: EnqueueResult) {
    if kinds.contains(job.kind) { wrapped.didEnqueueInTransaction(job, result: result) }
  }

  @inlinable public func didClaim(_ job: borrowing ClaimedJob) {
    if kinds.contains(job.kind) { wrapped.didClaim(job) }
  }

  @inlinable public func deserialize(_ job: inout ClaimedJob) throws {
    if kinds.contains(job.kind) { try wrapped.deserialize(&job) }
  }

  @inlinable public func willWork(_ context: JobContext) async throws {
    if kinds.contains(context.kind) { try await wrapped.willWork(context) }
  }

  @inlinable public func around<Result: Sendable, Failure: Error>(
    _ context: JobContext, _ body: () async throws(Failure) -> Result
  ) async throws(Failure) -> Result {
    guard kinds.contains(context.kind) else { return try await body() }
    return try await wrapped.around(context, body)
  }

  @inlinable public func didWork(_ run: borrowing FinishedRun) async {
    if kinds.contains(run.context.kind) { await wrapped.didWork(run) }
  }

  @inlinable public func didFail(_ run: borrowing FinishedRun, error failure: any Error) async {
    if kinds.contains(run.context.kind) { await wrapped.didFail(run, error: failure) }
  }

  @inlinable public func leaseLost(_ job: borrowing ClaimedJob) {
    if kinds.contains(job.kind) { wrapped.leaseLost(job) }
  }

  @inlinable public func didGiveUp(_ job: borrowing GivenUpJob, database: String) {
    if kinds.contains(job.kind) { wrapped.didGiveUp(job, database: database) }
  }
}

extension HookSet {
  /// The hook, hearing of jobs of these kinds only. Costs a look into a set at each of its points.
  @inlinable public func only(_ kinds: Kind...) -> _FilteredHook<Self> { _FilteredHook(self, Set(kinds)) }
}
