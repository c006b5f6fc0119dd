#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// The rules for running, retrying and giving up jobs of a kind.
///
/// See the example `Tests/Examples/Sources/Retry`.
public struct JobPolicy: Sendable {
  /// The number of retries after the first failed run. Default 0.
  public var maxRetries: Int
  /// The delay between a failed run and the next attempt. Default: none.
  public var retryDelay: RetryDelay
  /// The duration of a lease, which the worker renews while the job runs. At least 100 ms; default 60 s.
  public var leaseDuration: Duration
  /// The run time after which the worker cancels the job's task. Default: no limit.
  ///
  /// If the job ignores its cancellation, it counts as failed after
  /// ``WorkerOptions/cancellationGracePeriod``. It still occupies its slot, and may by then run again
  /// elsewhere.
  public var timeLimit: Duration?
  /// The number of expired leases after which a job is given up and moves to the failure log. Default 5.
  public var maxExpiredLeases: Int
  /// Whether finished runs are recorded in the status log. Default: no.
  public var recordsStatus: Bool
  /// The maximum number of jobs of the kind that one worker runs at the same time. Default: limited only by the worker.
  public var maxConcurrency: Int?
  /// The maximum number of jobs of the kind that run at the same time in a database, in all processes together. Default: no limit.
  ///
  /// Each claim counts the running jobs, so a dead worker blocks no other one once its jobs are recovered. Only workers
  /// that state a maximum obey it: give all of them the same one. If you lower it, running jobs continue, and no further
  /// one begins until few enough are left. Prefetched jobs count as running; a worker prefetches only quick jobs, see
  /// ``WorkerOptions/prefetchWindow``. A worker with several databases runs at most this number across all of them. The
  /// databases need ``Capabilities/maxRunning``.
  public var maxRunning: Int?
  /// The maximum rate at which jobs of the kind begin in a database, across all processes. Default: no limit.
  ///
  /// Retries count as much as first attempts. A job counts when it is claimed, so a worker with such a kind prefetches
  /// nothing: give quick kinds a separate worker. If the worker stops before a claimed job began, the job does not count.
  /// Only workers that state a rate obey it: give all of them the same one. With several databases, each has the full rate.
  /// ``JobContext/throttle(for:)`` delays the whole kind, for example after a 429 from the service that the jobs call. The
  /// databases need ``Capabilities/rateLimits``.
  public var rate: RateLimit?
  /// The threads that the jobs run on. Default: Swift's pool.
  public var execution: Execution
  /// The kind of the job that a final failure enqueues, in the same transaction: when a run fails for good or aborts,
  /// and when any process gives the job up because its leases expired. Default: none.
  ///
  /// The new job has the payload, the priority and the metadata of the failed one, and ``JobContext/failedJob`` tells its
  /// handler what failed. It is due immediately and has no unique key. A job that is cancelled or expires has not failed.
  ///
  /// A worker stores this kind in the database when it starts, for all workers: the last one to start decides. It needs a
  /// ``ControlDriver``.
  public var onFinalFailure: Kind?

  /// The threads that jobs of a kind run on.
  public enum Execution: Hashable, Sendable {
    /// Swift's pool, which has one thread per core. For jobs that suspend while they wait.
    case cooperative
    /// The worker's own threads, one per running job. For jobs that block their thread.
    ///
    /// Such a job calls a synchronous client, waits for a lock, a semaphore or a child process, or computes
    /// for long without suspending. On Swift's pool, as many of them as there are cores would stop all other
    /// asynchronous code of the process.
    ///
    /// The worker creates a thread when none is idle, and ends it after 5 s without a job. The hooks around a
    /// run, and the child tasks of the job, run on these threads too. Tasks that the job creates with
    /// `Task { }`, and actors with their own executors, do not.
    case blocking
  }

  /// Creates a policy; the defaults are those of the properties.
  public init(
    maxRetries: Int = 0, retryDelay: RetryDelay = .fixed(.zero), leaseDuration: Duration = .seconds(60),
    timeLimit: Duration? = nil,
    maxExpiredLeases: Int = 5, recordsStatus: Bool = false, maxConcurrency: Int? = nil,
    maxRunning: Int? = nil, rate: RateLimit? = nil, execution: Execution = .cooperative,
    onFinalFailure: Kind? = nil
  ) {
    self.maxRetries = maxRetries
    self.retryDelay = retryDelay
    self.leaseDuration = leaseDuration
    self.timeLimit = timeLimit
    self.maxExpiredLeases = maxExpiredLeases
    self.recordsStatus = recordsStatus
    self.maxConcurrency = maxConcurrency
    self.maxRunning = maxRunning
    self.rate = rate
    self.execution = execution
    self.onFinalFailure = onFinalFailure
  }

  /// The number of jobs of the kind that a worker holds at most.
  var maxHeld: Int? {
    guard let maxConcurrency, let maxRunning else { return maxConcurrency ?? maxRunning }
    return min(maxConcurrency, maxRunning)
  }

  package func check(_ kind: Kind) throws(QudoError) {
    // The renewal after a third of the lease must have time to reach the disk.
    guard leaseDuration >= .milliseconds(100) else {
      throw QudoError(.invalidArgument, "the lease duration of \(kind) is under 100 ms: give a longer one")
    }
    guard maxExpiredLeases >= 1 else {
      throw QudoError(
        .invalidArgument, "the maximum number of expired leases of \(kind) is under 1: give 1 or more")
    }
    guard maxRetries >= 0 else {
      throw QudoError(
        .invalidArgument, "the maximum number of retries of \(kind) is negative: give 0 or more")
    }
    guard maxConcurrency ?? 1 >= 1 else {
      throw QudoError(.invalidArgument, "the maximum concurrency of \(kind) is under 1: give 1 or more")
    }
    guard maxRunning ?? 1 >= 1 else {
      throw QudoError(
        .invalidArgument,
        "the maximum number of running jobs of \(kind) is under 1: give 1 or more, or pause the kind")
    }
    try rate?.check(kind)
    guard timeLimit ?? .seconds(1) > .zero else {
      throw QudoError(.invalidArgument, "the time limit of \(kind) is not above 0: give a longer one")
    }
    if let onFinalFailure { try FailureRoute(kind, to: onFinalFailure).check() }
    try retryDelay.check(kind)
  }
}

extension Driver {
  /// - Throws: ``QudoError/Code/invalidArgument`` if the driver cannot do what a policy asks of it.
  func check(_ policies: some Sequence<(Kind, JobPolicy)>) throws(QudoError) {
    guard !capabilities.isSuperset(of: [.maxRunning, .rateLimits]) else { return }
    for (kind, policy) in policies {
      guard policy.maxRunning == nil || capabilities.contains(.maxRunning) else {
        throw QudoError(
          .invalidArgument,
          "the driver of \(name) cannot limit the running jobs of \(kind) over all processes: use one that can, or maxConcurrency"
        )
      }
      guard policy.rate == nil || capabilities.contains(.rateLimits) else {
        throw QudoError(
          .invalidArgument,
          "the driver of \(name) cannot limit the rate of \(kind): use one that can, or no rate")
      }
    }
  }
}

/// The delay between a failed attempt and the next one.
public enum RetryDelay: Sendable {
  /// The same delay each time.
  case fixed(Duration)
  /// A delay that starts at `base` and doubles each time, up to `cap`. A random share of it, at most `jitter`
  /// (0 to 1), is subtracted so that jobs that failed together do not retry together.
  case exponential(base: Duration, cap: Duration, jitter: Double = 0)
  /// A delay computed from the job and its failed attempt, which starts at 1.
  case computed(@Sendable (ClaimedJob, _ attempt: Int) -> Duration)

  func check(_ kind: Kind) throws(QudoError) {
    guard case .exponential(let base, let cap, let jitter) = self else { return }
    guard base >= .zero else {
      throw QudoError(.invalidArgument, "the retry delay of \(kind) has a negative base: give 0 or more")
    }
    guard cap >= base else {
      throw QudoError(
        .invalidArgument,
        "the retry delay of \(kind) has a cap of \(cap.inUnits), below its base of \(base.inUnits): give a higher cap"
      )
    }
    guard (0...1).contains(jitter) else {
      throw QudoError(
        .invalidArgument, "the jitter of \(kind)'s retry delay is \(jitter): give a share from 0 to 1")
    }
  }

  func delay(after attempt: Int, of job: ClaimedJob, random: Double) -> Duration {
    switch self {
    case .fixed(let delay):
      return max(delay, .zero)
    case .exponential(let base, let cap, let jitter):
      let whole = Self.double(base, times: max(attempt, 1) - 1, cap: cap)
      return max(.zero, whole * (1 - min(max(jitter, 0), 1) * random))
    case .computed(let compute):
      return max(.zero, compute(job, attempt))
    }
  }

  private static func double(_ base: Duration, times: Int, cap: Duration) -> Duration {
    var delay = base
    for _ in 0..<min(max(times, 0), 64) where delay < cap { delay *= 2 }
    return min(delay, cap)
  }
}

/// An error that a job throws to fail without a retry. It goes to the failure log.
public struct Abort: Error, Sendable, CustomStringConvertible {
  public var description: String
  /// Creates the error with a message for the failure log.
  public init(_ message: String) { description = message }
}

/// An error that a job throws to run again later, without a failure and by default without an attempt.
public struct Snooze: Error, Sendable {
  /// The delay before the next run; a negative one counts as zero.
  public var duration: Duration
  /// Whether this run counts as an attempt towards ``JobPolicy/maxRetries``.
  public var countsAttempt: Bool
  /// Creates the error with the delay before the next run.
  public init(for duration: Duration, countsAttempt: Bool = false) {
    self.duration = duration
    self.countsAttempt = countsAttempt
  }
}

/// The failure of a run that exceeded its time limit.
struct TimeLimitExceeded: Error, CustomStringConvertible {
  let limit: Duration
  var ignored = false
  var description: String {
    "exceeded its time limit of \(limit.inUnits)\(ignored ? " and ignored its cancellation" : "")"
  }
}

/// Decides the outcome of a run that threw. A pure function: no clock, no database.
///
/// - Parameter random: 0 to 1, for the jitter.
func settlementOutcome(failure: any Error, job: ClaimedJob, policy: JobPolicy, random: Double)
  -> Settlement.Outcome
{
  switch failure {
  case let snooze as Snooze: return .snoozed(max(snooze.duration, .zero), countsAttempt: snooze.countsAttempt)
  case let abort as Abort: return .aborted(message: logged(abort))
  case _ where job.attempt > policy.maxRetries: return .failed(message: logged(failure))
  case let failure as JobHandler.Failure:
    return .retry(after: max(failure.retryDelay, .zero), message: logged(failure))
  default:
    let delay = policy.retryDelay.delay(after: job.attempt, of: job, random: random)
    return .retry(after: delay, message: logged(failure))
  }
}

/// The log message, at most 16 KiB: the `errorDescription` of a `LocalizedError`, else the description.
private func logged(_ error: any Error) -> String {
  let error = (error as? JobHandler.Failure)?.error ?? error
  let text = (error as? any LocalizedError)?.errorDescription ?? String(describing: error)
  guard text.utf8.count > 16384 else { return text }
  return String(decoding: text.utf8.prefix(16384), as: UTF8.self) + "…"
}
