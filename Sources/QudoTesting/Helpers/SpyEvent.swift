public import Qudo

/// What a ``SpyHook`` heard.
public enum SpyEvent: Hashable, Sendable {
  /// With the payload as the codec wrote it.
  case willEnqueue(Kind, Payload)
  /// With the payload as the hooks before the spy left it.
  case serialize(Kind, Payload)
  /// With the answer to the enqueue.
  case didEnqueue(Kind, EnqueueResult)
  /// With the answer to the enqueue, in a transaction that may still be rolled back.
  case didEnqueueInTransaction(Kind, EnqueueResult)
  /// A worker has it.
  case didClaim(Kind, job: Int64)
  /// With the payload as the hooks after the spy left it.
  case deserialize(Kind, job: Int64, Payload)
  /// With the number of the run.
  case willWork(Kind, job: Int64, attempt: Int)
  /// The run itself begins.
  case begins(Kind, job: Int64)
  /// The run itself has returned or thrown.
  case ends(Kind, job: Int64)
  /// With the error in its own words.
  case didFail(Kind, job: Int64, error: String)
  /// With the outcome that is about to be written.
  case didWork(Kind, job: Int64, SpyOutcome)
  /// Somebody else has it.
  case leaseLost(Kind, job: Int64)
  /// A claim gave the job up, after so many expired leases.
  case didGiveUp(Kind, job: Int64, expiredLeases: Int)

  /// The name of the point: `willEnqueue`; of the two of `around` it is `begins` and `ends`.
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
    case .leaseLost: "leaseLost"
    case .didGiveUp: "didGiveUp"
    }
  }
}

/// What became of a run, as far as it can be compared: ``/Qudo/Settlement/Outcome``.
public enum SpyOutcome: Hashable, Sendable {
  /// With the number of the jobs that it was replaced by.
  case completed(replacements: Int)
  /// With the wait before the next attempt.
  case retry(after: Duration)
  /// With the wait that was asked for.
  case snoozed(Duration, countsAttempt: Bool)
  /// It threw, and was the last attempt.
  case failed
  /// It asked not to be tried again.
  case aborted
  /// It was given back.
  case released

  /// - Parameter outcome: the outcome itself.
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
