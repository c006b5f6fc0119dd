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

  private var takesPayload: Bool { words.contains { $0.contains("{}") } }

  /// The program and its arguments for one payload, which stays within its argument whatever bytes it has.
  ///
  /// - Throws: `Abort` for a payload with NUL, which no argument can have: another attempt would find the same.
  func filled(with payload: [UInt8]) throws(Abort) -> [[UInt8]] {
    guard takesPayload else { return words.map { Array($0.utf8) } }
    guard !payload.contains(0) else {
      throw Abort("the payload has a NUL byte and cannot be an argument: let the command read it from standard input")
    }
    return words.map { word in
      let parts = word.split(separator: "{}", omittingEmptySubsequences: false)
      return Array(parts.map { Array($0.utf8) }.joined(separator: payload))
    }
  }
}
