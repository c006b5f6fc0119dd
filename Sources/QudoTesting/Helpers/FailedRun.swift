public import Qudo

/// A run of an ``InlineQueue`` that failed.
public struct FailedRun: Sendable {
  /// The job's id.
  public let job: JobID
  /// The job's kind.
  public let kind: Kind
  /// The number of the run; starts at 1.
  public let attempt: Int
  /// The error that the job or a hook threw.
  public let error: any Error
  /// True if the job was given up after this run.
  public let isFinal: Bool
}

/// The error of an enqueue whose jobs ran at once and were given up.
public struct FailedJobs: Error, CustomStringConvertible {
  /// The last run of each of these jobs, in order.
  public let failures: [FailedRun]

  public var description: String {
    failures.map { "\($0.kind) \($0.job) failed at attempt \($0.attempt): \($0.error)" }.joined(
      separator: "\n")
  }
}

/// A hook that records failed runs.
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
