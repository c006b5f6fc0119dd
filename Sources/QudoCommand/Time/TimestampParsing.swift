internal import Qudo

extension Timestamp {
  /// Parses ISO 8601 with a zone, and truncates to microseconds.
  ///
  /// - Throws: `QudoError` with the code `invalidArgument` for any other text or a nonexistent date.
  init(parsing text: String) throws(QudoError) {
    guard let time = Timestamp(iso8601: text) else {
      throw QudoError(
        .invalidArgument,
        "'\(SafeText.terminalSafe(text, limit: 40))' is not a time. Write, for example, 2026-03-01T12:00:00Z or 2026-03-01T13:00+01:00"
      )
    }
    self = time
  }
}
