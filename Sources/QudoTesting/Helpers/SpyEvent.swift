public import Qudo

/// An event that a ``SpyHook`` recorded.
public enum SpyEvent: Hashable, Sendable {
  /// A job will be enqueued, with the payload as the codec wrote it.
  case willEnqueue(Kind, Payload)
  /// The payload is serialized, as the hooks before the spy left it.
  case serialize(Kind, Payload)
  /// A job was enqueued, with the result.
  case didEnqueue(Kind, EnqueueResult)
  /// A job was enqueued, with the result, in a transaction that may still be rolled back.
  case didEnqueueInTransaction(Kind, EnqueueResult)
  /// A worker claimed the job.
  case didClaim(Kind, job: Int64)
  /// The payload is deserialized, as the hooks after the spy left it.
  case deserialize(Kind, job: Int64, Payload)
  /// A worker will run the job, with the number of the run.
  case willWork(Kind, job: Int64, attempt: Int)
  /// The job's own code begins to run.
  case begins(Kind, job: Int64)
  /// The job's own code has returned or thrown.
  case ends(Kind, job: Int64)
  /// The run failed, with the description of the error.
  case didFail(Kind, job: Int64, error: String)
  /// The run ended, with the outcome about to be written.
  case didWork(Kind, job: Int64, SpyOutcome)
  /// The database has answered the outcome of the run.
  case didSettle(Kind, job: Int64, SpySettlement)
  /// A renewal found that the worker has lost the job's lease.
  case leaseLost(Kind, job: Int64)
  /// A claim gave up the job after this many expired leases.
  case didGiveUp(Kind, job: Int64, expiredLeases: Int)

  /// The name of the hook point, such as `willEnqueue`. The two events of `around` are `begins` and `ends`.
  public var name: String {
    switch self {
    case .willEnqueue: "willEnqueue"
    case .serialize: "serialize"
    case .didEnqueue: "didEnqueue"
    case .didEnqueueInTransaction: "didEnqueueInTransaction"
    case .didClaim: "didClaim"
    case .deserialize: "deserialize"
    case .willWork: "willWork"
    case .begins: "begins"
    case .ends: "ends"
    case .didFail: "didFail"
    case .didWork: "didWork"
    case .didSettle: "didSettle"
    case .leaseLost: "leaseLost"
    case .didGiveUp: "didGiveUp"
    }
  }
}

/// The outcome of a run in a comparable form; see ``/Qudo/Settlement/Outcome``.
public enum SpyOutcome: Hashable, Sendable {
  /// The run completed, with the number of replacement jobs.
  case completed(replacements: Int)
  /// The job will be retried after this delay.
  case retry(after: Duration)
  /// The job snoozed for the requested delay.
  case snoozed(Duration, countsAttempt: Bool)
  /// The last attempt failed.
  case failed
  /// The job aborted: it asked for no retry.
  case aborted
  /// The worker released the job.
  case released

  /// Converts an outcome.
  public init(_ outcome: Settlement.Outcome) {
    self =
      switch outcome {
      case .completed(let jobs): .completed(replacements: jobs.count)
      case .retry(let delay, _): .retry(after: delay)
      case .snoozed(let duration, let counts): .snoozed(duration, countsAttempt: counts)
      case .failed: .failed
      case .aborted: .aborted
      case .released: .released
      }
  }
}

/// The answer to the outcome of a run in a comparable form; see ``/Qudo/SettledRun``.
public enum SpySettlement: Hashable, Sendable {
  /// The outcome is written, with the ids of the replacements.
  case settled(SpyOutcome, replacements: [Int64] = [])
  /// The job was cancelled while it ran.
  case cancelled
  /// The worker had lost the lease; nothing was written.
  case leaseLost

  /// Converts a settled run.
  public init(_ run: borrowing SettledRun) {
    switch run.result {
    case .settled(let replacements):
      self = .settled(SpyOutcome(run.outcome), replacements: replacements.map(\.id.number))
    case .cancelled: self = .cancelled
    case .leaseLost: self = .leaseLost
    }
  }
}
