/// How a kind's jobs are run, retried and given up.
public struct JobPolicy: Sendable {
  /// How often a failed job is tried again. Default 0.
  public var maxRetries = 0
  /// How long a failed job waits before its next attempt. Default: not at all.
  public var retryDelay = RetryDelay.fixed(.zero)
  /// How long a claim holds; it is renewed while the job runs. Default 60 s.
  public var lease = Duration.seconds(60)
  /// How many lost leases send a job to the failure log. Default 5.
  public var lostLimit = 5

  public init() {}
}

/// The wait between a failed attempt and the next.
public enum RetryDelay: Sendable {
  case fixed(Duration)
  /// `base`, then twice as long each time, at most `cap`.
  case exponential(base: Duration, cap: Duration)
  /// By the job and its failed attempt, which starts at 1.
  case computed(@Sendable (ClaimedJob, _ attempt: Int) -> Duration)

  func delay(after attempt: Int, of job: ClaimedJob) -> Duration {
    switch self {
    case .fixed(let delay): max(delay, .zero)
    case .exponential(let base, let cap): max(.zero, min(cap, Self.double(base, times: attempt - 1, cap: cap)))
    case .computed(let compute): max(.zero, compute(job, attempt))
    }
  }

  private static func double(_ base: Duration, times: Int, cap: Duration) -> Duration {
    var delay = base
    for _ in 0..<min(max(times, 0), 64) where delay < cap { delay *= 2 }
    return delay
  }
}

/// Thrown by a job that must not be tried again. It is logged as failed.
public struct Abort: Error, Sendable, CustomStringConvertible {
  public var description: String
  public init(_ message: String) { description = message }
}

/// What becomes of a run. Pure: no clock, no database.
func decide(failure: any Error, job: ClaimedJob, policy: JobPolicy) -> Settlement.Outcome {
  let message = String(describing: failure)
  guard !(failure is Abort), job.attempt <= policy.maxRetries else { return .failed(message: message) }
  return .retry(after: policy.retryDelay.delay(after: job.attempt, of: job), message: message)
}
