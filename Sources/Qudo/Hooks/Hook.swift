/// The functions that a queue and its worker call at points in a job's life.
///
/// To write hooks, adopt ``Hook`` instead, which has a default for every function. This protocol has none, so
/// that a combinator that forgets to forward a point does not compile.
public protocol HookSet: Sendable {
  /// The points at which the hook is called.
  static var points: HookPoints { get }

  /// Called before a job is enqueued; may change it. An error stops the enqueue of the whole batch.
  func willEnqueue(_ job: inout NewJob) throws

  /// Called before a job is stored, after ``willEnqueue(_:)`` of all hooks.
  ///
  /// Compress or encrypt the payload here, independent of its codec, and store in ``NewJob/metadata`` what
  /// ``deserialize(_:)`` needs. An error stops the enqueue of the whole batch.
  func serialize(_ job: inout NewJob) throws

  /// Called after a job was enqueued, or kept out by another job with the same unique key.
  func didEnqueue(_ job: borrowing NewJob, result: EnqueueResult) async

  /// Called after a job was enqueued in the application's own transaction, which may still roll back.
  ///
  /// This happens with `enqueue(_:in:)` of `QudoSQLite`, and for replacements with
  /// `JobContext.complete(in:)`. Qudo does not learn whether that transaction commits, and does not call
  /// ``didEnqueue(_:result:)`` for the job.
  func didEnqueueInTransaction(_ job: borrowing NewJob, result: EnqueueResult)

  /// Called after a worker claimed a job. The worker may still release it without a run.
  func didClaim(_ job: borrowing ClaimedJob)

  /// Reverses ``serialize(_:)`` before the run. An error fails the run.
  func deserialize(_ job: inout ClaimedJob) throws

  /// Called before a run. An error fails the run.
  func willWork(_ context: JobContext) async throws

  /// Wraps the run: call `body` once. The job sees the task-local values that are set here.
  func around<Result: Sendable, Failure: Error>(
    _ context: JobContext, _ body: () async throws(Failure) -> Result
  ) async throws(Failure) -> Result

  /// Called after a run, before its outcome is written.
  func didWork(_ run: borrowing FinishedRun) async

  /// Called after a run that failed, before ``didWork(_:)``.
  func didFail(_ run: borrowing FinishedRun, error failure: any Error) async

  /// Called after the outcome of a run was written, that is, after the commit; or once the database has answered
  /// that the worker can no longer write it.
  ///
  /// The worker calls it at most once for each run, after ``didEnqueue(_:result:)`` for the run's replacements. If the
  /// process dies between the commit and the call, the hook does not learn of the run. It is not called
  /// for a job that the worker releases without a run, nor if the worker ends before the database has answered. In the
  /// second case the job runs again, unless the last attempt was written after all.
  ///
  /// If a run ignores its cancellation, the worker settles the job without waiting for it, so this call comes before
  /// ``didWork(_:)``.
  ///
  /// The worker calls it for one run after the other and works on meanwhile. If it falls behind by 1,000 runs, the worker
  /// claims no more jobs until it has caught up: do not wait here for another job of the same worker. The worker ends only
  /// when all calls have returned.
  func didSettle(_ run: borrowing SettledRun) async

  /// Called when a renewal finds that this worker has lost a job's lease. The run's outcome is discarded.
  func leaseLost(_ job: borrowing ClaimedJob)

  /// Called after a claim gave up a job, of any kind: because too many of its leases expired, as the workers that ran it
  /// died or hung, or because it still waited at its ``Expiry``. See ``GivenUpJob/reason``.
  ///
  /// No run ends with that, so no other point is called. The job is already in the failure log.
  ///
  /// - Parameters:
  ///   - job: The job without its payload, which is in the failure log.
  ///   - database: The name of the job's database.
  func didGiveUp(_ job: borrowing GivenUpJob, database: String)
}

/// Code that runs at points in a job's life. Name the points in ``HookSet/points`` and write their functions:
///
///     struct Audit: Hook {
///       static let points: HookPoints = [.willEnqueue]
///       func willEnqueue(_ job: inout NewJob) throws { … }
///     }
///
/// Once a job is enqueued, an error of a hook cannot lose it.
///
/// Qudo does not call a function whose point is missing from ``HookSet/points``. A function whose parameters
/// differ from the protocol's, for example without `inout`, is another function and is never called.
///
/// See the example `Tests/Examples/Sources/Hooks`.
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
  @inlinable public func didSettle(_ run: borrowing SettledRun) async {}
  @inlinable public func leaseLost(_ job: borrowing ClaimedJob) {}
  @inlinable public func didGiveUp(_ job: borrowing GivenUpJob, database: String) {}
}

/// A hook without points. Queues without hooks use it.
public struct NoHooks: Hook {
  /// Creates the hook; ``Queue`` uses it by default.
  @inlinable public init() {}
  @inlinable public static var points: HookPoints { [] }
}

/// A run that ended, as ``HookSet/didWork(_:)`` and ``HookSet/didFail(_:error:)`` see it.
public struct FinishedRun: Sendable {
  /// The context that the job ran with.
  public let context: JobContext
  /// The outcome that is about to be written.
  public let outcome: Settlement.Outcome
  /// The duration of the run.
  public let duration: Duration

  /// Creates a finished run, for tests of hooks.
  public init(context: JobContext, outcome: Settlement.Outcome, duration: Duration) {
    self.context = context
    self.outcome = outcome
    self.duration = duration
  }
}
