#if MySQL
internal import Logging
internal import Qudo

extension MySQLServerFacts {
  /// From this difference on a warning is logged.
  static let worthWarning = Duration.seconds(1)

  /// - Parameters:
  ///   - time: the server's, in microseconds, at some moment between the question and the answer.
  ///   - asked: this machine's time.
  static func clockAhead(_ time: Int64, asked: Timestamp, answered: Timestamp) -> Duration {
    if time > answered.microseconds { return .microseconds(time.clampedMinus(answered.microseconds)) }
    if time < asked.microseconds { return .microseconds(time.clampedMinus(asked.microseconds)) }
    return .zero
  }

  /// What to say of the difference; nil if it is too small to matter.
  var clockWarning: (difference: String, isAhead: Bool)? {
    guard clockAhead >= Self.worthWarning || clockAhead <= .zero - Self.worthWarning else { return nil }
    let isAhead = clockAhead > .zero
    return ("\(isAhead ? clockAhead : .zero - clockAhead)", isAhead)
  }

  /// Due times and leases go by the server's clock.
  func warnOfClock(_ name: String) {
    guard let warning = clockWarning else { return }
    Logger(label: "qudo").warning(
      "server clock differs: jobs start \(warning.isAhead ? "early" : "late")",
      metadata: ["database": "\(name)", "difference": "\(warning.isAhead ? "+" : "-")\(warning.difference)"])
  }
}
#endif
