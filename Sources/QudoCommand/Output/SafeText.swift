internal import Qudo

/// Escapes text from a database, so that no character of it can control a terminal.
enum SafeText {
  /// - Parameter limit: the maximum number of characters; longer text ends with `…`.
  static func terminalSafe(_ text: String, limit: Int = .max) -> String {
    var shown = ""
    var count = 0
    for scalar in text.unicodeScalars {
      guard count < limit else { return shown + "…" }
      let piece = escaped(scalar)
      shown += piece
      count += piece.unicodeScalars.count
    }
    return shown
  }

  /// Escapes a message of several lines. The message may contain escaped parts, so line breaks and backslashes
  /// stay.
  static func lines(_ text: String) -> String {
    var shown = ""
    for scalar in text.unicodeScalars {
      shown += scalar == "\n" || scalar == "\\" ? String(scalar) : escaped(scalar)
    }
    return shown
  }

  static func terminalSafe(_ payload: Payload?, limit: Int = .max) -> String {
    guard let payload else { return "" }
    // Bytes beyond the limit do not matter, except those that complete the last character.
    let bytes = limit < .max ? payload.bytes.prefix(4 * limit + 4) : payload.bytes[...]
    if let text = validPrefix(bytes, whole: bytes.count == payload.bytes.count) {
      return terminalSafe(text, limit: limit)
    }
    let most = limit == .max ? payload.bytes.count : max(1, limit / 2)
    let digits = payload.bytes.prefix(most).map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }
    return "0x" + digits.joined() + (payload.bytes.count > most ? "…" : "")
  }

  private static func validPrefix(_ bytes: ArraySlice<UInt8>, whole: Bool) -> String? {
    for cut in 0...(whole ? 0 : 3) {
      if let text = String(validating: bytes.dropLast(cut), as: UTF8.self) { return text }
    }
    return nil
  }

  private static func escaped(_ scalar: Unicode.Scalar) -> String {
    switch scalar {
    case "\n": return "\\n"
    case "\r": return "\\r"
    case "\t": return "\\t"
    case "\\": return "\\\\"
    default: break
    }
    switch scalar.properties.generalCategory {
    // Format characters can, for example, reverse the writing direction.
    case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate, .unassigned:
      return "\\u{" + String(scalar.value, radix: 16) + "}"
    default: return String(scalar)
    }
  }
}
