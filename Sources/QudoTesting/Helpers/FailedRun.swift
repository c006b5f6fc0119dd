public import Qudo

/// A run of an ``InlineQueue`` that failed.
public struct FailedRun: Sendable {
  /// The job's name.
  public let job: JobID
  /// What sort of job it is.
  public let kind: Kind
  /// Starts at 1.
  public let attempt: Int
  /// As the job or a hook threw it.
  public let error: any Error
  /// Whether the job was given up with it.
  public let isFinal: Bool
}

/// Jobs that were enqueued, run at once, and given up.
public struct FailedJobs: Error, CustomStringConvertible {
  /// Their last runs, in order.
  public let failures: [FailedRun]

  public var description: String {
    failures.map { "\($0.kind) \($0.job) failed at attempt \($0.attempt): \($0.error)" }.joined(
      separator: "\n")
  }
}

/// Keeps the errors of runs.
struct FailureRecorder: Hook {
  static let points: HookPoints = .didFail
  let runs = Locked<[FailedRun]>([])

  func didFail(_ run: borrowing FinishedRun, error failure: any Error) async {
    let isFinal =
      switch run.outcome {
      case .failed, .aborted: true
      case .completed, .retry, .snoozed, .released: false
      }
    let failed = FailedRun(
      job: run.context.id, kind: run.context.kind, attempt: run.context.attempt, error: failure,
      isFinal: isFinal)
    runs.withLock { $0.append(failed) }
  }
}
