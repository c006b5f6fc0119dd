internal import Qudo

/// A command with `{}` where the payload goes. No shell is involved.
struct CommandTemplate: Sendable, Equatable {
  let words: [String]

  /// Splits as a shell does: blanks separate; '...' keeps all, "..." all but \\ before " and \\; \\ keeps the next.
  init(_ text: String) throws(QudoError) {
    var words: [String] = []
    var word: String?
    var quote: Character?
    var characters = text.makeIterator()
    while let character = characters.next() {
      switch (quote, character) {
      case (nil, " "), (nil, "\t"), (nil, "\n"):
        if let done = word { words.append(done) }
        word = nil
      case (nil, "'"), (nil, "\""):
        quote = character
        word = word ?? ""
      case (let open?, _) where open == character:
        quote = nil
      case (nil, "\\"):
        guard let next = characters.next() else { throw Self.unfinished(text, "a backslash") }
        word = (word ?? "") + String(next)
      case ("\"", "\\"):
        guard let next = characters.next() else { throw Self.unfinished(text, "a backslash") }
        word = (word ?? "") + (next == "\"" || next == "\\" ? String(next) : "\\" + String(next))
      default:
        word = (word ?? "") + String(character)
      }
    }
    guard quote == nil else { throw Self.unfinished(text, "a quote") }
    if let word { words.append(word) }
    guard let program = words.first, !program.isEmpty else { throw QudoError(.invalidArgument, "the command '\(text)' is empty") }
    self.words = words
  }

  private static func unfinished(_ text: String, _ what: String) -> QudoError {
    QudoError(.invalidArgument, "the command '\(text)' ends within \(what)")
  }

  /// The program and its arguments for one payload, which stays within its argument whatever it contains.
  func filled(with payload: [UInt8]) throws(QudoError) -> [String] {
    guard words.contains(where: { $0.contains("{}") }) else { return words }
    guard !payload.contains(0) else {
      throw QudoError(.invalidArgument, "the payload has a NUL byte and cannot be an argument: read it from standard input")
    }
    guard let text = String(validating: payload, as: UTF8.self) else {
      throw QudoError(.invalidArgument, "the payload is not UTF-8 and cannot be an argument: read it from standard input")
    }
    return words.map { word in
      word.split(separator: "{}", omittingEmptySubsequences: false).joined(separator: text)
    }
  }
}
