internal import Qudo

/// A command with `{}` where the payload goes. No shell is involved.
struct CommandTemplate: Sendable, Equatable {
  let words: [String]
  /// The words' bytes between the places of the payload.
  private let pieces: [[ArraySlice<UInt8>]]

  /// Splits as a shell does: blanks separate; '...' keeps all, "..." all but \\ before " and \\; \\ keeps the next.
  ///
  /// By scalars: with a combining mark after it a blank or a quote is still one, and so is what ends a line in a file of Windows.
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

  /// What lies before, between and after each `{}`.
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

  /// The program and its arguments for one payload, which stays within its argument whatever bytes it has.
  ///
  /// - Throws: `Abort` for a payload with NUL, which no argument can have: another attempt would find the same.
  func filled(with payload: [UInt8]) throws(Abort) -> [[UInt8]] {
    guard takesPayload else { return words.map { Array($0.utf8) } }
    guard !payload.contains(0) else {
      throw Abort(
        "the payload has a NUL byte and cannot be an argument: let the command read it from standard input")
    }
    return pieces.map { Array($0.joined(separator: payload)) }
  }
}
