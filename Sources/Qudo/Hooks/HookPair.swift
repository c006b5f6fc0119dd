/// Two hooks: the first, then the second. What the second stored is the first to be read again, and its `around` is
/// the inner one.
public struct HookPair<First: HookSet, Second: HookSet>: HookSet {
  public let first: First
  public let second: Second

  @inlinable public init(_ first: First, _ second: Second) {
    self.first = first
    self.second = second
  }

  @inlinable public static var points: HookPoints { First.points.union(Second.points) }

  @inlinable public func willEnqueue(_ job: inout NewJob) throws {
    try first.willEnqueue(&job)
    try second.willEnqueue(&job)
  }

  @inlinable public func serialize(_ payload: inout Payload, of kind: Kind) throws {
    try first.serialize(&payload, of: kind)
    try second.serialize(&payload, of: kind)
  }

  @inlinable public func didEnqueue(_ job: borrowing NewJob, _ result: EnqueueResult) async {
    await first.didEnqueue(job, result)
    await second.didEnqueue(job, result)
  }

  @inlinable public func didClaim(_ job: borrowing ClaimedJob) {
    first.didClaim(job)
    second.didClaim(job)
  }

  @inlinable public func deserialize(_ payload: inout Payload, of job: borrowing ClaimedJob) throws {
    try second.deserialize(&payload, of: job)
    try first.deserialize(&payload, of: job)
  }

  @inlinable public func willWork(_ context: JobContext) async throws {
    try await first.willWork(context)
    try await second.willWork(context)
  }

  @inlinable public func around<Result: Sendable, Failure: Error>(
    _ context: JobContext, _ body: () async throws(Failure) -> Result
  ) async throws(Failure) -> Result {
    try await first.around(context) { () async throws(Failure) -> Result in try await second.around(context, body) }
  }

  @inlinable public func didWork(_ run: borrowing FinishedRun) async {
    await first.didWork(run)
    await second.didWork(run)
  }

  @inlinable public func didFail(_ run: borrowing FinishedRun, _ failure: any Error) async {
    await first.didFail(run, failure)
    await second.didFail(run, failure)
  }

  @inlinable public func leaseLost(_ job: borrowing ClaimedJob) {
    first.leaseLost(job)
    second.leaseLost(job)
  }
}
