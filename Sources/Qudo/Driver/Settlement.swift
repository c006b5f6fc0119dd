/// What became of one run, decided; the driver only writes it down.
public struct Settlement: Sendable {
  /// What became of it.
  public enum Outcome: Sendable {
    /// The job goes; the replacements come, in the same transaction.
    case completed(replacements: [NewJob] = [])
    /// A failed run is logged, and the job waits for its next attempt.
    case retry(after: Duration, message: String)
    /// The job waits. An attempt is counted only if asked.
    case snoozed(Duration, countsAttempt: Bool = false)
    /// The last failed run is logged with the payload, and the job goes.
    case failed(message: String)
    /// Likewise, because the job itself asked not to be tried again.
    case aborted(message: String)
    /// The job goes back as if it had never been claimed.
    case released
  }
  /// Of the claim under which it ran.
  public var lease: Lease
  /// What became of it.
  public var outcome: Outcome
  /// How long the run took, if this finished run is to have a row in the status log: the job's last, or each failed one.
  public var recording: Duration?
  /// The job may have been completed in a transaction of the application's already.
  var mayBeCompletedExternally = false

  /// A run under a lease and what became of it.
  public init(_ lease: Lease, _ outcome: Outcome, recording: Duration? = nil) {
    self.lease = lease
    self.outcome = outcome
    self.recording = recording
  }
}

/// What came of one settlement.
public enum SettleResult: Hashable, Sendable {
  /// Written. What became of each replacement is in their order.
  case settled(replacements: [InsertResult] = [])
  /// Another claim has the job, or it is gone. Nothing was changed.
  case leaseLost
}
