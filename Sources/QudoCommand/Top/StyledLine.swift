/// How a piece of text looks. Color alone says nothing.
enum Style: Equatable {
  case plain, bold, dim, good, warning, bad, accent, heading, selected

  /// The parameters of the terminal's SGR sequence; empty for none.
  func parameters(_ attributes: Attributes) -> String {
    guard attributes != .none else { return "" }
    let isColored = attributes == .colors
    return switch self {
    case .plain: ""
    case .bold: "1"
    case .dim: "2"
    case .good: isColored ? "32" : ""
    case .warning: isColored ? "33" : "1"
    case .bad: isColored ? "1;31" : "1"
    case .accent: isColored ? "36" : ""
    case .heading: isColored ? "1;36" : "1"
    case .selected: "7"
    }
  }

  /// The abilities of a terminal: colors and characters.
  enum Attributes: Equatable {
    case none
    /// Bold, dim and reverse text, for `NO_COLOR`.
    case monochrome
    case colors
  }
}

/// A line of the screen. Its text is safe for a terminal.
struct StyledLine: Equatable {
  private(set) var pieces: [(text: String, style: Style)] = []

  init() {}
  init(_ text: String, _ style: Style = .plain) { add(text, style) }

  static func == (a: Self, b: Self) -> Bool {
    a.pieces.elementsEqual(b.pieces) { $0.text == $1.text && $0.style == $1.style }
  }

  mutating func add(_ text: String, _ style: Style = .plain) { pieces.append((text, style)) }
  mutating func add(_ other: StyledLine) { pieces += other.pieces }

  var text: String { pieces.map(\.text).joined() }
  var width: Int { pieces.reduce(0) { $0 + TextWidth.of($1.text) } }

  /// Returns the line in exactly `width` columns.
  func fitted(_ width: Int, mark: Character = "…") -> StyledLine {
    let taken = self.width
    var line = self
    if taken <= width {
      line.add(String(repeating: " ", count: width - taken))
      return line
    }
    line.pieces = []
    var left = width
    for piece in pieces {
      let own = TextWidth.of(piece.text)
      if own < left {
        line.pieces.append(piece)
        left -= own
      } else {
        if left > 0 { line.add(TextWidth.fit(piece.text + " ", left, mark: mark), piece.style) }
        break
      }
    }
    return line
  }

  /// Returns the line with one style for all of it.
  func restyled(_ style: Style) -> StyledLine { StyledLine(text, style) }

  /// Returns the line with what a terminal without UTF-8 cannot show as question marks.
  var ascii: StyledLine {
    var line = StyledLine()
    for piece in pieces {
      var text = ""
      for scalar in piece.text.unicodeScalars {
        text += scalar.isASCII ? String(scalar) : String(repeating: "?", count: TextWidth.of(scalar))
      }
      line.add(text, piece.style)
    }
    return line
  }

  /// Returns the text with the terminal's sequences.
  func terminal(_ attributes: Style.Attributes) -> String {
    var text = ""
    for piece in pieces where !piece.text.isEmpty {
      let parameters = piece.style.parameters(attributes)
      text += parameters.isEmpty ? piece.text : "\u{1B}[\(parameters)m\(piece.text)\u{1B}[0m"
    }
    return text
  }
}
