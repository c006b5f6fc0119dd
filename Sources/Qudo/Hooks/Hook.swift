/// What the queue and the worker call.
///
/// Nothing here has a default, so that a combinator which forgets to forward a point does not compile. Write a
/// ``Hook`` instead, where every point has one.
public protocol HookSet: Sendable {
  /// What it hears of.
  static var points: HookPoints { get }

  /// A job is about to be enqueued, and may be changed. An error stops the enqueue of the whole batch.
  func willEnqueue(_ job: inout NewJob) throws

  /// The job is about to be stored, after all hooks' ``willEnqueue(_:)``: compress or encrypt its payload here, whoever
  /// encoded it, and note in its ``NewJob/meta`` what the reverse needs. An error stops the enqueue of the whole batch.
  func serialize(_ job: inout NewJob) throws

  /// A job was enqueued, or kept by another job with its unique key.
  func didEnqueue(_ job: borrowing NewJob, result: EnqueueResult) async

  /// A job was enqueued as a part of the application's own transaction, which may still be rolled back: with
  /// `enqueue(_:in:)` of `QudoSQLite`, or as a replacement with its `JobContext.complete(in:)`. Nothing tells Qudo what becomes of
  /// that transaction. ``didEnqueue(_:result:)`` is not called for it.
  func didEnqueueInTransaction(_ job: borrowing NewJob, result: EnqueueResult)

  /// A worker has claimed a job. It may still be given back without a run.
  func didClaim(_ job: borrowing ClaimedJob)

  /// The reverse of ``serialize(_:)``, before the run. An error fails the run.
  func deserialize(_ job: inout ClaimedJob) throws

  /// A run begins. An error fails it.
  func willWork(_ context: JobContext) async throws

  /// Round the run itself: call `body` once. Task-local values that are set here are seen by the job.
  func around<Result: Sendable, Failure: Error>(
    _ context: JobContext, _ body: () async throws(Failure) -> Result
  ) async throws(Failure) -> Result

  /// A run ended; its outcome is about to be written.
  func didWork(_ run: borrowing FinishedRun) async

  /// A run ended with an error that counts as a failure; called before ``didWork(_:)``.
  func didFail(_ run: borrowing FinishedRun, error failure: any Error) async

  /// A job was taken over by somebody else while it was held or run here, as a renewal found out; its outcome counts for
  /// nothing.
  func leaseLost(_ job: borrowing ClaimedJob)

  /// A worker's claim gave up a job of whatever kind, because its lease expired too often: other workers died or hung with it.
  /// No run ends with that, so that no other point hears of it. The job is in the failure log already.
  ///
  /// - Parameters:
  ///   - job: what is known of it. Its payload is in the failure log only.
  ///   - database: the name of the database that it was in.
  func didGiveUp(_ job: borrowing GivenUpJob, database: String)
}

/// Code at points of a job's life. Name the points that are heard, and write those functions:
///
///     struct Audit: Hook {
///       static let points: HookPoints = [.willEnqueue]
///       func willEnqueue(_ job: inout NewJob) throws { … }
///     }
///
/// After the enqueue, no error of a hook loses a job.
///
/// A point that ``HookSet/points`` does not name is not called, even if its function is there; and a function whose parameters are
/// not those of the protocol, `inout` among them, is another function, which nobody calls.
public protocol Hook: HookSet {}

extension Hook {
  @inlinable public func willEnqueue(_ job: inout NewJob) throws {}
  @inlinable public func serialize(_ job: inout NewJob) throws {}
  @inlinable public func didEnqueue(_ job: borrowing NewJob, result: EnqueueResult) async {}
  @inlinable public func didEnqueueInTransaction(_ job: borrowing NewJob, result: EnqueueResult) {}
  @inlinable public func didClaim(_ job: borrowing ClaimedJob) {}
  @inlinable public func deserialize(_ job: inout ClaimedJob) throws {}
  @inlinable public func willWork(_ context: JobContext) async throws {}
  @inlinable public func around<Result: Sendable, Failure: Error>(
    _ context: JobContext, _ body: () async throws(Failure) -> Result
  ) async throws(Failure) -> Result { try await body() }
  @inlinable public func didWork(_ run: borrowing FinishedRun) async {}
  @inlinable public func didFail(_ run: borrowing FinishedRun, error failure: any Error) async {}
  @inlinable public func leaseLost(_ job: borrowing ClaimedJob) {}
  @inlinable public func didGiveUp(_ job: borrowing GivenUpJob, database: String) {}
}

/// The hook that hears of nothing.
public struct NoHooks: Hook {
  /// For queues without hooks, which have it by default.
  @inlinable public init() {}
  @inlinable public static var points: HookPoints { [] }
}

/// A run that ended.
public struct FinishedRun: Sendable {
  /// What the run knew of its job.
  public let context: JobContext
  /// What is about to be written.
  public let outcome: Settlement.Outcome
  /// How long it took.
  public let duration: Duration

  /// For those who write an engine of their own, or test a hook.
  public init(context: JobContext, outcome: Settlement.Outcome, duration: Duration) {
    self.context = context
    self.outcome = outcome
    self.duration = duration
  }
}
