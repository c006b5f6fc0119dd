/// The outcome of a job: unfinished, or how it ended.
public enum JobOutcome: Hashable, Sendable {
  /// The job waits or runs.
  case unfinished(StoredJob)
  /// The job completed. Only kinds with ``JobPolicy/recordsStatus`` have this outcome.
  case completed(StatusRecord)
  /// The job failed for good, was given up, or was cancelled: see ``FailureRecord/reason``.
  case failed(FailureRecord)
  /// The job ended, and no log has a row that says how: it completed without ``JobPolicy/recordsStatus``, or the row was
  /// pruned. On a server, the number may also be one that an enqueue used up and that no job got.
  case unrecorded
  /// The database has not given this number to a job.
  case neverExisted

  /// Whether the job waits or runs.
  public var isUnfinished: Bool { if case .unfinished = self { true } else { false } }
}

extension JobOutcome {
  /// Decides the outcome of a job that is not live; for drivers.
  ///
  /// - Parameters:
  ///   - failure: The job's final row in the failure log.
  ///   - status: The job's newest row in the status log.
  ///   - existed: Whether the database has given the job's number to a job.
  package init(failure: FailureRecord?, status: StatusRecord?, existed: Bool) {
    if let failure {
      self = .failed(failure)
    } else if let status, status.status == .completed || status.status == .replaced {
      self = .completed(status)
    } else {
      self = existed ? .unrecorded : .neverExisted
    }
  }
}
