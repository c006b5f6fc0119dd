#if Metrics
public import Metrics
public import Qudo

/// Counts what becomes of jobs, and measures how long they wait and run.
///
///     let queue = Queue(driver) { MetricsHook() }
///
/// Each metric has the dimension `kind`. The labels, after the prefix and an underscore:
///
/// | label | what |
/// |---|---|
/// | `enqueued` | jobs that were stored, by an enqueue or as a replacement; in the application's own transaction, even if it is rolled back |
/// | `conflicts` | enqueues that stored no new job: a live job with the unique key was kept or overwritten, or the idempotency key was known |
/// | `claimed` | jobs that a worker took, run or not |
/// | `completed` | runs that completed their job |
/// | `replaced` | those of them that left other jobs in their place |
/// | `retried` | runs that failed and are to be retried |
/// | `failed` | runs that failed for good |
/// | `aborted` | runs whose job asked not to be retried |
/// | `snoozed` | runs whose job asked to run again later |
/// | `released` | runs that ended because the worker was stopped or had lost the lease; their job goes back |
/// | `leases_lost` | leases that a renewal found lost: another worker has the job, or it is gone |
/// | `given_up` | jobs that a worker's claim gave up because their leases expired too often, including those of other workers' kinds |
/// | `expired` | jobs that a worker's claim found still waiting at their expiry |
/// | `run_duration` | timer: how long a run took, whatever came of it |
/// | `wait` | timer: from the moment a job was due, or enqueued if that was later, to the beginning of its run |
///
/// Outcomes are counted as they are decided, just before they are written. `failed` counts runs; a job that goes to the
/// failure log because its workers died has no run that ended, and is in `given_up` instead.
public struct MetricsHook: Hook {
  /// The points that the hook uses.
  public static let points: HookPoints = [
    .didEnqueue, .didEnqueueInTransaction, .didClaim, .willWork, .didWork, .leaseLost, .didGiveUp,
  ]

  private let metrics: MetricsByKind
  private let clock: any QueueClock

  /// - Parameters:
  ///   - prefix: the prefix of the labels. Default `qudo`.
  ///   - factory: where the metrics go. Default: the system's, as it is now; bootstrap it first.
  ///   - clock: the clock that measures `wait`. Default: the system clock. If the driver has another clock, pass that one.
  public init(
    prefix: String = "qudo", factory: any MetricsFactory = MetricsSystem.factory,
    clock: any QueueClock = SystemClock()
  ) {
    metrics = MetricsByKind(prefix: prefix, factory: factory)
    self.clock = clock
  }

  /// Counts it, or the conflict.
  public func didEnqueue(_ job: borrowing NewJob, result: EnqueueResult) async { count(job.kind, result) }

  /// Counts it, or the conflict: before the application commits, even if it rolls back.
  public func didEnqueueInTransaction(_ job: borrowing NewJob, result: EnqueueResult) {
    count(job.kind, result)
  }

  private func count(_ kind: Kind, _ result: EnqueueResult) {
    let metrics = metrics[kind]
    switch result {
    case .inserted: metrics.enqueued.increment()
    case .existing, .overwritten, .conflict: metrics.conflicts.increment()
    }
  }

  /// Counts it.
  public func didClaim(_ job: borrowing ClaimedJob) { metrics[job.kind].claimed.increment() }

  /// Measures how long the job has waited.
  public func willWork(_ context: JobContext) async throws {
    let since = max(context.job.dueAt, context.enqueuedAt)
    let wait = clock.now().wall.microseconds.clampedMinus(since.microseconds)
    metrics[context.kind].wait.recordMicroseconds(max(wait, 0))
  }

  /// Measures how long the run took, and counts its outcome.
  public func didWork(_ run: borrowing FinishedRun) async {
    let metrics = metrics[run.context.kind]
    metrics.duration.record(duration: run.duration)
    switch run.outcome {
    case .completed(let replacements):
      metrics.completed.increment()
      if !replacements.isEmpty { metrics.replaced.increment() }
    case .retry: metrics.retried.increment()
    case .failed: metrics.failed.increment()
    case .aborted: metrics.aborted.increment()
    case .snoozed: metrics.snoozed.increment()
    case .released: metrics.released.increment()
    }
  }

  /// Counts it.
  public func leaseLost(_ job: borrowing ClaimedJob) { metrics[job.kind].leasesLost.increment() }

  /// Counts it.
  public func didGiveUp(_ job: borrowing GivenUpJob, database: String) {
    let metrics = metrics[job.kind]
    if job.reason == .expired { metrics.expired.increment() } else { metrics.givenUp.increment() }
  }
}
#endif
