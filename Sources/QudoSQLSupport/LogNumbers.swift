package import Qudo

/// The stored numbers of the logs' enumerations. Files and servers have them, so they must not change. A number of a newer
/// version is read as a failure.
extension FailureReason {
  package var number: Int64 {
    switch self {
    case .failed: 0
    case .lost: 1
    case .aborted: 2
    case .cancelled: 3
    case .expired: 4
    case .dropped: 5
    }
  }

  package init(number: Int64) { self = Self.allCases.first { $0.number == number } ?? .failed }
}

extension RunStatus {
  package var number: Int64 {
    switch self {
    case .completed: 0
    case .replaced: 1
    case .failed: 2
    case .aborted: 3
    }
  }

  package init(number: Int64) { self = Self.allCases.first { $0.number == number } ?? .failed }

  /// Creates the status to record, or nil for a run that neither ended the job nor failed.
  package init?(_ outcome: Settlement.Outcome) {
    switch outcome {
    case .completed(let replacements): self = replacements.isEmpty ? .completed : .replaced
    case .retry, .failed: self = .failed
    case .aborted: self = .aborted
    case .snoozed, .released: return nil
    }
  }
}
