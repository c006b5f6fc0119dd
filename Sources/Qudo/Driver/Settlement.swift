/// The outcome of a run, for a driver to write.
public struct Settlement: Sendable {
  /// The fate of a job after its run.
  public enum Outcome: Sendable {
    /// The job is deleted, and its replacements are enqueued in the same transaction.
    case completed(replacements: [NewJob] = [])
    /// The failed run is logged, and the job waits for its next attempt.
    case retry(after: Duration, message: String)
    /// The job waits. The run counts as an attempt only if asked.
    case snoozed(Duration, countsAttempt: Bool = false)
    /// The failed run is logged with the payload, and the job is deleted.
    case failed(message: String)
    /// The same as `failed`, because the job asked not to be retried.
    case aborted(message: String)
    /// The job is ready again, as if it had never been claimed.
    case released
  }
  /// The lease that the job ran under.
  public var lease: Lease
  /// The fate of the job.
  public var outcome: Outcome
  /// The duration of the run, if the status log is to record it: the job's last run, or each failed one.
  public var recording: Duration?
  /// False for a job that is released before its run began, even if it ends then because it was cancelled. The token that
  /// the claim took from the bucket of its kind is given back: see ``JobPolicy/rate``. Default: true.
  public var hasBegun = true
  /// The application's own transaction may already have completed the job.
  var mayBeCompletedExternally = false
  /// The run, for the hook point `didSettle`; nil if no hook names it, or if the job was released without a run.
  var run: EndedRun?

  /// Creates the settlement of a run under a lease.
  public init(_ lease: Lease, _ outcome: Outcome, recording: Duration? = nil) {
    self.lease = lease
    self.outcome = outcome
    self.recording = recording
  }

  /// Returns the settlement of a claimed job that is released before its run began.
  static func unbegun(_ lease: Lease) -> Settlement {
    var settlement = Settlement(lease, .released)
    settlement.hasBegun = false
    return settlement
  }
}

/// Whether a settlement was written.
public enum SettleResult: Hashable, Sendable {
  /// It was written. The results of the replacements are in their order.
  case settled(replacements: [InsertResult] = [])
  /// The job was cancelled while it ran, and did not complete: it is in the failure log, whatever the outcome was.
  case cancelled
  /// The lease no longer holds: another claim has the job, or it is gone. Nothing was changed.
  case leaseLost
}
