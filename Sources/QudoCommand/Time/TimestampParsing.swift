internal import Qudo

extension Timestamp {
  /// Reads ISO 8601 with a zone, as ``ISO8601/parse(_:)`` does; finer than a microsecond is cut off.
  ///
  /// - Throws: `QudoError` with the code `invalidArgument` for anything else, a date that does not exist among it.
  init(parsing text: String) throws(QudoError) {
    guard let (seconds, nanoseconds) = ISO8601.parse(text) else {
      throw QudoError(
        .invalidArgument,
        "'\(SafeText.terminalSafe(text, limit: 40))' is no time: write for instance 2026-03-01T12:00:00Z or 2026-03-01T13:00+01:00"
      )
    }
    self.init(microseconds: seconds * 1_000_000 + nanoseconds / 1000)
  }
}
