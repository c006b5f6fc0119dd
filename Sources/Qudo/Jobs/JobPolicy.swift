#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// How a kind's jobs are run, retried and given up.
public struct JobPolicy: Sendable {
  /// How often a failed job is tried again. Default 0.
  public var maxRetries: Int
  /// How long a failed job waits before its next attempt. Default: not at all.
  public var retryDelay: RetryDelay
  /// How long a claim holds; it is renewed while the job runs. Default 60 s, at least 100 ms.
  public var leaseDuration: Duration
  /// When a run's task is cancelled for having taken too long. Default: never. A job that ignores its cancellation is
  /// counted as failed after ``WorkerOptions/cancellationGracePeriod``, keeps its slot, and may by then run again elsewhere.
  public var timeLimit: Duration?
  /// How many lost leases send a job to the failure log. Default 5.
  public var maxExpiredLeases: Int
  /// Whether finished runs get a row in the status log. Default: no.
  public var recordsStatus: Bool
  /// How many jobs of the kind run at once in one worker. Default: as many as the worker runs.
  public var maxConcurrency: Int?
  /// Where the jobs run. Default: on Swift's pool.
  public var execution: Execution

  /// Where the jobs of a kind run.
  public enum Execution: Hashable, Sendable {
    /// On Swift's pool, which has one thread per core. For jobs that await what takes long.
    case cooperative
    /// On threads of the worker's own, one per running job. For jobs that block their thread: that call a synchronous client, wait
    /// for a lock, a semaphore or a child process, or compute for long without suspending. On Swift's pool, as many of them as
    /// there are cores stop everything else that is asynchronous in the process.
    ///
    /// A thread is made when no other is idle, and ends after 5 s without a job. The hooks round a run, and the child tasks that it makes, run
    /// there as well; tasks that it makes with `Task { }`, and actors with executors of their own, do not.
    case blocking
  }

  /// Each with its default.
  public init(
    maxRetries: Int = 0, retryDelay: RetryDelay = .fixed(.zero), leaseDuration: Duration = .seconds(60), timeLimit: Duration? = nil,
    maxExpiredLeases: Int = 5, recordsStatus: Bool = false, maxConcurrency: Int? = nil, execution: Execution = .cooperative
  ) {
    self.maxRetries = maxRetries
    self.retryDelay = retryDelay
    self.leaseDuration = leaseDuration
    self.timeLimit = timeLimit
    self.maxExpiredLeases = maxExpiredLeases
    self.recordsStatus = recordsStatus
    self.maxConcurrency = maxConcurrency
    self.execution = execution
  }

  func check(_ kind: Kind) throws(QudoError) {
    // A renewal, at a third of the lease, must have time to reach the disk.
    guard leaseDuration >= .milliseconds(100) else { throw QudoError(.invalidArgument, "the lease of \(kind) is under 100 ms") }
    guard maxExpiredLeases >= 1 else { throw QudoError(.invalidArgument, "the lost limit of \(kind) is under 1") }
    guard maxRetries >= 0 else { throw QudoError(.invalidArgument, "the number of retries of \(kind) is negative") }
    guard maxConcurrency ?? 1 >= 1 else { throw QudoError(.invalidArgument, "the concurrency of \(kind) is under 1") }
    guard timeLimit ?? .seconds(1) > .zero else { throw QudoError(.invalidArgument, "the time limit of \(kind) is not above 0") }
    try retryDelay.check(kind)
  }
}

/// The wait between a failed attempt and the next.
public enum RetryDelay: Sendable {
  /// The same each time.
  case fixed(Duration)
  /// `base`, then twice as long each time, at most `cap`; each made shorter by a random share of it, up to `jitter`
  /// (0 to 1), so that jobs which failed together do not come back together.
  case exponential(base: Duration, cap: Duration, jitter: Double = 0)
  /// By the job and its failed attempt, which starts at 1.
  case computed(@Sendable (ClaimedJob, _ attempt: Int) -> Duration)

  func check(_ kind: Kind) throws(QudoError) {
    guard case .exponential(let base, let cap, let jitter) = self else { return }
    guard base >= .zero else { throw QudoError(.invalidArgument, "the retry delay of \(kind) has a negative base: give 0 or more") }
    guard cap >= base else {
      throw QudoError(.invalidArgument, "the retry delay of \(kind) has a cap of \(cap.inUnits), below its base of \(base.inUnits): give a higher cap")
    }
    guard (0...1).contains(jitter) else {
      throw QudoError(.invalidArgument, "the jitter of \(kind)'s retry delay is \(jitter): give a share from 0 to 1")
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

/// Thrown by a job that must not be tried again. It is logged as failed.
public struct Abort: Error, Sendable, CustomStringConvertible {
  public var description: String
  /// What the failure log is to say.
  public init(_ message: String) { description = message }
}

/// Thrown by a job that wants to run later. It did not fail; no attempt is counted unless asked.
public struct Snooze: Error, Sendable {
  /// How long it waits; a negative one counts as none.
  public var duration: Duration
  /// Whether this run was an attempt, of which the policy allows so many.
  public var countsAttempt: Bool
  /// How long to wait, and whether this run was an attempt. Default: it was not.
  public init(for duration: Duration, countsAttempt: Bool = false) {
    self.duration = duration
    self.countsAttempt = countsAttempt
  }
}

/// What a run that was stopped for its time limit failed with.
struct TimeLimitExceeded: Error, CustomStringConvertible {
  let limit: Duration
  var ignored = false
  var description: String { "exceeded its time limit of \(limit.inUnits)\(ignored ? " and ignored its cancellation" : "")" }
}

/// What becomes of a run that threw. Pure: no clock, no database.
///
/// - Parameter random: 0 to 1, for the jitter.
func settlementOutcome(failure: any Error, job: ClaimedJob, policy: JobPolicy, random: Double) -> Settlement.Outcome {
  switch failure {
  case let snooze as Snooze: return .snoozed(max(snooze.duration, .zero), countsAttempt: snooze.countsAttempt)
  case let abort as Abort: return .aborted(message: logged(abort))
  case _ where job.attempt > policy.maxRetries: return .failed(message: logged(failure))
  case let failure as JobHandler.Failure: return .retry(after: max(failure.retryDelay, .zero), message: logged(failure))
  default:
    let delay = policy.retryDelay.delay(after: job.attempt, of: job, random: random)
    return .retry(after: delay, message: logged(failure))
  }
}

/// The error's own words, of which the log keeps 16 KiB: what a `LocalizedError` says of itself, else its description.
private func logged(_ error: any Error) -> String {
  let error = (error as? JobHandler.Failure)?.error ?? error
  let text = (error as? any LocalizedError)?.errorDescription ?? String(describing: error)
  guard text.utf8.count > 16384 else { return text }
  return String(decoding: text.utf8.prefix(16384), as: UTF8.self) + "…"
}
