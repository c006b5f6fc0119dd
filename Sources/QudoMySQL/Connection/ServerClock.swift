#if MySQL
internal import Logging
internal import Qudo

extension MySQLServerFacts {
  /// The smallest difference that causes a warning.
  static let worthWarning = Duration.seconds(1)

  /// - Parameters:
  ///   - time: The server's time in microseconds, at some moment between the question and the answer.
  ///   - asked: This machine's time at the question.
  ///   - answered: This machine's time at the answer.
  static func clockAhead(_ time: Int64, asked: Timestamp, answered: Timestamp) -> Duration {
    if time > answered.microseconds { return .microseconds(time.clampedMinus(answered.microseconds)) }
    if time < asked.microseconds { return .microseconds(time.clampedMinus(asked.microseconds)) }
    return .zero
  }

  /// The difference for the warning; nil if it is too small to matter.
  var clockWarning: (difference: String, isAhead: Bool)? {
    guard clockAhead >= Self.worthWarning || clockAhead <= .zero - Self.worthWarning else { return nil }
    let isAhead = clockAhead > .zero
    return ("\(isAhead ? clockAhead : .zero - clockAhead)", isAhead)
  }

  /// Warns if the server's clock differs, because it decides due times and leases.
  func warnOfClock(_ name: String) {
    guard let warning = clockWarning else { return }
    Logger(label: "qudo").warning(
      "server clock differs: jobs start \(warning.isAhead ? "early" : "late")",
      metadata: ["database": "\(name)", "difference": "\(warning.isAhead ? "+" : "-")\(warning.difference)"])
  }
}
#endif
