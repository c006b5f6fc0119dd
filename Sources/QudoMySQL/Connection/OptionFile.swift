#if MySQL
/// The client's settings in a MySQL option file, such as `~/.my.cnf`.
///
/// The client library can read the file too, but takes more from it than the user and the password: a host, a
/// socket, statements to run first.
struct OptionFile {
  private(set) var user: String?
  private(set) var password: String?

  /// Reads the text, but not the files that it includes.
  init(_ text: some StringProtocol) {
    var isOfClient = false
    for line in text.split(whereSeparator: \.isNewline) {
      let line = Self.trimmed(line[...])
      switch line.first {
      case nil, "#", ";", "!": continue
      case "[": isOfClient = Self.trimmed(line.dropFirst().prefix { $0 != "]" }) == "client"
      default: if isOfClient { set(line) }
      }
    }
  }

  private mutating func set(_ line: some StringProtocol) {
    // A `password` without a value makes clients ask a person for it.
    guard let sign = line.firstIndex(of: "=") else { return }
    let value = Self.value(String(line[line.index(after: sign)...]))
    switch Self.trimmed(line[..<sign]) {
    case "user": user = value
    case "password": password = value
    default: break
    }
  }

  /// "The value can optionally be enclosed within single quotation marks or double quotation marks, which is
  /// useful if the value contains a # comment character": Using Option Files, in MySQL's manual. All other
  /// cases follow `my_print_defaults`.
  private static func value(_ text: String) -> String {
    let value = trimmed(withoutComment(text)[...])
    guard value.count > 1, let quote = value.first, quote == "'" || quote == "\"", value.last == quote else {
      return unescaped(value)
    }
    return unescaped(String(value.dropFirst().dropLast()))
  }

  private static func withoutComment(_ text: String) -> String {
    var kept = ""
    var quote: Character?
    var isEscaped = false
    for character in text {
      if quote == nil, character == "#" { break }
      if character == "'" || character == "\"", !isEscaped {
        quote = quote == nil ? character : quote == character ? nil : quote
      }
      isEscaped = quote != nil && character == "\\" && !isEscaped
      kept.append(character)
    }
    return kept
  }

  private static let escapes: [Character: Character] = [
    "b": "\u{8}", "t": "\t", "n": "\n", "r": "\r", "s": " ", "\\": "\\", "'": "'", "\"": "\"",
  ]

  private static func unescaped(_ text: String) -> String {
    var plain = ""
    var rest = text[...]
    while let character = rest.popFirst() {
      if character == "\\", let next = rest.first, let meant = escapes[next] {
        plain.append(meant)
        rest.removeFirst()
      } else {
        plain.append(character)
      }
    }
    return plain
  }

  private static func trimmed(_ text: some StringProtocol) -> String {
    guard let first = text.firstIndex(where: { !$0.isWhitespace }),
      let last = text.lastIndex(where: { !$0.isWhitespace })
    else { return "" }
    return String(text[first...last])
  }
}
#endif
