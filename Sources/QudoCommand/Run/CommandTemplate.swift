internal import Qudo

/// A command line in which `{}` stands for the payload. It runs without a shell.
struct CommandTemplate: Sendable, Equatable {
  let words: [String]
  /// The bytes of each word, split at the payload placeholders.
  private let pieces: [[ArraySlice<UInt8>]]

  /// Splits into words like a shell: blanks separate words; '...' keeps everything; "..." keeps everything
  /// but \\ before " and \\; \\ keeps the next character.
  ///
  /// Works on scalars, so that a blank or a quote counts even before a combining mark, and so does each half
  /// of a Windows line break.
  init(_ text: String) throws(QudoError) {
    var words: [String] = []
    var word: String?
    var quote: Unicode.Scalar?
    var scalars = text.unicodeScalars.makeIterator()
    func add(_ scalar: Unicode.Scalar) {
      var longer = word ?? ""
      longer.unicodeScalars.append(scalar)
      word = longer
    }
    while let scalar = scalars.next() {
      switch (quote, scalar) {
      case (nil, " "), (nil, "\t"), (nil, "\n"), (nil, "\r"):
        if let done = word { words.append(done) }
        word = nil
      case (nil, "'"), (nil, "\""):
        quote = scalar
        word = word ?? ""
      case (let open?, _) where open == scalar:
        quote = nil
      case (nil, "\\"):
        guard let next = scalars.next() else { throw Self.unfinished(text, "a backslash") }
        add(next)
      case ("\"", "\\"):
        guard let next = scalars.next() else { throw Self.unfinished(text, "a backslash") }
        if next != "\"", next != "\\" { add("\\") }
        add(next)
      default:
        add(scalar)
      }
    }
    guard quote == nil else { throw Self.unfinished(text, "a quote") }
    if let word { words.append(word) }
    guard let program = words.first, !program.isEmpty else {
      throw QudoError(.invalidArgument, "the command '\(SafeText.terminalSafe(text))' is empty")
    }
    self.words = words
    pieces = words.map { Self.split(Array($0.utf8)) }
  }

  /// Returns the parts before, between and after each `{}`.
  private static func split(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] {
    var pieces: [ArraySlice<UInt8>] = []
    var start = 0
    var index = 0
    while index + 1 < bytes.count {
      if bytes[index] == UInt8(ascii: "{"), bytes[index + 1] == UInt8(ascii: "}") {
        pieces.append(bytes[start..<index])
        (start, index) = (index + 2, index + 2)
      } else {
        index += 1
      }
    }
    return pieces + [bytes[start...]]
  }

  private static func unfinished(_ text: String, _ what: String) -> QudoError {
    QudoError(.invalidArgument, "the command '\(SafeText.terminalSafe(text))' ends within \(what)")
  }

  private var takesPayload: Bool { pieces.contains { $0.count > 1 } }

  /// Returns the program and its arguments for a payload. Whatever its bytes are, the payload stays within
  /// its argument.
  ///
  /// - Throws: `Abort` for a payload with a NUL byte, which no argument can hold; a retry would fail too.
  func filled(with payload: [UInt8]) throws(Abort) -> [[UInt8]] {
    guard takesPayload else { return words.map { Array($0.utf8) } }
    guard !payload.contains(0) else {
      throw Abort(
        "the payload has a NUL byte and cannot be an argument. Let the command read it from standard input")
    }
    return pieces.map { Array($0.joined(separator: payload)) }
  }
}
