internal import Qudo

extension Timestamp {
  /// Parses ISO 8601 with a zone, like ``ISO8601/parse(_:)``. Truncates to microseconds.
  ///
  /// - Throws: `QudoError` with the code `invalidArgument` for any other text or a nonexistent date.
  init(parsing text: String) throws(QudoError) {
    guard let (seconds, nanoseconds) = ISO8601.parse(text) else {
      throw QudoError(
        .invalidArgument,
        "'\(SafeText.terminalSafe(text, limit: 40))' is not a time. Write, for example, 2026-03-01T12:00:00Z or 2026-03-01T13:00+01:00"
      )
    }
    self.init(microseconds: seconds * 1_000_000 + nanoseconds / 1000)
  }
}
