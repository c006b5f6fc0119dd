internal import ArgumentParser
internal import Qudo

extension Expiry {
  /// Parses a duration such as `30m`, or a time as ISO 8601 with a zone.
  ///
  /// - Throws: `ValidationError` for any other text, and for a duration that is not above 0.
  init(parsing text: String) throws {
    if let duration = try? Duration(parsing: text) {
      guard duration > .zero else { throw ValidationError("the expiry must be above 0") }
      self = .after(duration)
    } else if let time = try? Timestamp(parsing: text) {
      self = .at(time)
    } else {
      throw ValidationError(
        "'\(SafeText.terminalSafe(text, limit: 40))' is neither a duration such as 30m nor a time such as 2026-03-01T12:00:00Z"
      )
    }
  }
}
