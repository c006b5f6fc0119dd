/// A run and the database's answer to its outcome, as ``HookSet/didSettle(_:)`` sees them.
public struct SettledRun: Sendable {
  /// The database's answer to the outcome of a run.
  public enum Result: Hashable, Sendable {
    /// The outcome is written, with the results of the replacements in their order.
    ///
    /// If the job was completed in the application's own transaction, there are none here:
    /// ``HookSet/didEnqueueInTransaction(_:result:)`` has them. If that transaction was rolled back and the lease was lost
    /// as well, the result is the same, although nothing was written: the worker cannot tell the two apart.
    case settled(replacements: [EnqueueResult] = [])
    /// The job was cancelled while it ran, and did not complete: it is in the failure log, whatever the outcome
    /// was.
    case cancelled
    /// The lease no longer holds: another claim has the job, or it is gone. Nothing was written.
    ///
    /// If an earlier call failed with ``QudoError/Code/outcomeUnknown``, that call may have written the outcome.
    case leaseLost
  }

  /// The job's id.
  public let id: JobID
  /// The job's kind.
  public let kind: Kind
  /// The number of the run, starting at 1.
  public let attempt: Int
  /// The unique key; nil for a job without one.
  public let uniqueKey: String?
  /// The metadata as it is stored, before the hooks' ``HookSet/deserialize(_:)``.
  public let metadata: JobMetadata
  /// The outcome that the worker asked the database to write.
  ///
  /// It is `completed`, without replacements, if the job was completed in the application's own transaction,
  /// whatever the run did then.
  public let outcome: Settlement.Outcome
  /// The duration of the run, or the time until the worker settled the job without it.
  public let duration: Duration
  /// The database's answer.
  public let result: Result

  /// Creates a settled run, for tests of hooks.
  public init(
    id: JobID, kind: Kind, attempt: Int, uniqueKey: String? = nil, metadata: JobMetadata = JobMetadata(),
    outcome: Settlement.Outcome, duration: Duration, result: Result
  ) {
    self.id = id
    self.kind = kind
    self.attempt = attempt
    self.uniqueKey = uniqueKey
    self.metadata = metadata
    self.outcome = outcome
    self.duration = duration
    self.result = result
  }
}

extension SettledRun {
  init(_ run: EndedRun, _ settlement: Settlement, _ result: SettleResult, database: String) {
    let isCompletedExternally = result == .leaseLost && settlement.mayBeCompletedExternally
    self.init(
      id: JobID(database: database, number: settlement.lease.job), kind: run.kind, attempt: run.attempt,
      uniqueKey: run.uniqueKey, metadata: run.metadata,
      outcome: isCompletedExternally ? .completed() : settlement.outcome, duration: run.duration,
      result: isCompletedExternally ? .settled() : Result(result, database: database))
  }
}

extension SettledRun.Result {
  fileprivate init(_ result: SettleResult, database: String) {
    self =
      switch result {
      case .settled(let replacements):
        .settled(replacements: replacements.map { EnqueueResult($0, database: database) })
      case .cancelled: .cancelled
      case .leaseLost: .leaseLost
      }
  }
}

/// The part of a run that ``SettledRun`` needs until the database has answered: all but the payload.
final class EndedRun: Sendable {
  let kind: Kind
  let attempt: Int
  let uniqueKey: String?
  let metadata: JobMetadata
  let duration: Duration

  init(_ job: ClaimedJob, took microseconds: Int64) {
    kind = job.kind
    attempt = job.attempt
    uniqueKey = job.uniqueKey
    metadata = job.metadata
    duration = .microseconds(microseconds)
  }
}
