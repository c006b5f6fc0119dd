/// A hook that is called only for jobs of some kinds. See ``HookSet/only(_:)``.
public struct _FilteredHook<Wrapped: HookSet>: HookSet {
  /// The hook to call.
  public let wrapped: Wrapped
  /// The kinds that the hook is called for.
  public let kinds: Set<Kind>

  /// Creates a hook that is called only for jobs of the kinds.
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

  @inlinable public func didSettle(_ run: borrowing SettledRun) async {
    if kinds.contains(run.kind) { await wrapped.didSettle(run) }
  }

  @inlinable public func leaseLost(_ job: borrowing ClaimedJob) {
    if kinds.contains(job.kind) { wrapped.leaseLost(job) }
  }

  @inlinable public func didGiveUp(_ job: borrowing GivenUpJob, database: String) {
    if kinds.contains(job.kind) { wrapped.didGiveUp(job, database: database) }
  }
}

extension HookSet {
  /// Returns a hook that is called only for jobs of these kinds. It costs one set lookup per call.
  @inlinable public func only(_ kinds: Kind...) -> _FilteredHook<Self> { _FilteredHook(self, Set(kinds)) }
}
