package import Qudo

/// The stored numbers of the logs' enumerations. A number of a newer version is read as a failure.
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

  init(number: Int64) { self = Self.allCases.first { $0.number == number } ?? .failed }
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

  init(number: Int64) { self = Self.allCases.first { $0.number == number } ?? .failed }
}
