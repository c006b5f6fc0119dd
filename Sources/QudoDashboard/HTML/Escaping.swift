#if Dashboard
/// Turns text into HTML that shows it, whatever is in it.
enum Escaping {
  /// Appends a text. Characters with a meaning in HTML become references; those that nobody sees, or that change the direction of
  /// the writing, become their code: `\u{202e}`.
  static func append(_ text: String, to markup: inout String) {
    var text = text
    let needsNothing = text.withUTF8 { bytes in bytes.allSatisfy { isPlain($0) } }
    if needsNothing {
      markup += text
      return
    }
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": markup += "&amp;"
      case "<": markup += "&lt;"
      case ">": markup += "&gt;"
      case "\"": markup += "&quot;"
      case "'": markup += "&#39;"
      case "`": markup += "&#96;"
      case "\n", "\t": markup.unicodeScalars.append(scalar)
      default:
        if isShown(scalar) {
          markup.unicodeScalars.append(scalar)
        } else {
          markup += "\\u{\(String(scalar.value, radix: 16))}"
        }
      }
    }
  }

  private static func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x20...0x7E:
      byte != UInt8(ascii: "&") && byte != UInt8(ascii: "<") && byte != UInt8(ascii: ">")
        && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "'") && byte != UInt8(ascii: "`")
    default: byte == 0x0A
    }
  }

  private static func isShown(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate, .unassigned: false
    // Those that join letters and emoji are needed; the others hide, or turn the writing around.
    case .format: scalar.value == 0x200C || scalar.value == 0x200D
    default: true
    }
  }
}
#endif
