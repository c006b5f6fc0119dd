internal import Qudo

/// How many columns of a terminal text takes, and how to cut it to fit.
///
/// Its own table, because `wcwidth` depends on the locale that the process chose, and differs between systems.
enum TextWidth {
  /// Returns the number of columns of a scalar: 0 for one that combines with the one before, 2 for wide ones.
  static func of(_ scalar: Unicode.Scalar) -> Int {
    let value = scalar.value
    if value < 0x300 { return value < 0x20 || (0x7F..<0xA0).contains(value) || value == 0xAD ? 0 : 1 }
    switch scalar.properties.generalCategory {
    case .nonspacingMark, .enclosingMark, .format, .control, .surrogate: return 0
    default: break
    }
    // The vowels and final consonants of Korean join the consonant before.
    if (0x1160...0x11FF).contains(value) || (0xD7B0...0xD7FF).contains(value) { return 0 }
    return wide.contains { $0.contains(value) } ? 2 : 1
  }

  static func of(_ text: some StringProtocol) -> Int { text.unicodeScalars.reduce(0) { $0 + of($1) } }

  /// The blocks that East Asian Width (UAX #11) calls wide or full-width, and the pictographs that terminals show as wide.
  private static let wide: [ClosedRange<UInt32>] = [
    0x1100...0x115F, 0x231A...0x231B, 0x2329...0x232A, 0x23E9...0x23EC, 0x23F0...0x23F0, 0x23F3...0x23F3,
    0x25FD...0x25FE, 0x2614...0x2615, 0x2648...0x2653, 0x267F...0x267F, 0x2693...0x2693, 0x26A1...0x26A1,
    0x26AA...0x26AB, 0x26BD...0x26BE, 0x26C4...0x26C5, 0x26CE...0x26CE, 0x26D4...0x26D4, 0x26EA...0x26EA,
    0x26F2...0x26F3, 0x26F5...0x26F5, 0x26FA...0x26FA, 0x26FD...0x26FD, 0x2705...0x2705, 0x270A...0x270B,
    0x2728...0x2728, 0x274C...0x274C, 0x274E...0x274E, 0x2753...0x2755, 0x2757...0x2757, 0x2795...0x2797,
    0x27B0...0x27B0, 0x27BF...0x27BF, 0x2B1B...0x2B1C, 0x2B50...0x2B50, 0x2B55...0x2B55, 0x2E80...0x303E,
    0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xA000...0xA4CF, 0xA960...0xA97F, 0xAC00...0xD7A3,
    0xF900...0xFAFF, 0xFE10...0xFE19, 0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x16FE0...0x18CFF,
    0x1AFF0...0x1B2FF, 0x1F004...0x1F004, 0x1F0CF...0x1F0CF, 0x1F18E...0x1F18E, 0x1F191...0x1F19A,
    0x1F200...0x1F265, 0x1F300...0x1F320, 0x1F32D...0x1F335, 0x1F337...0x1F37C, 0x1F37E...0x1F393,
    0x1F3A0...0x1F3CA, 0x1F3CF...0x1F3D3, 0x1F3E0...0x1F3F0, 0x1F3F4...0x1F3F4, 0x1F3F8...0x1F43E,
    0x1F440...0x1F440, 0x1F442...0x1F4FC, 0x1F4FF...0x1F53D, 0x1F54B...0x1F54E, 0x1F550...0x1F567,
    0x1F57A...0x1F57A, 0x1F595...0x1F596, 0x1F5A4...0x1F5A4, 0x1F5FB...0x1F64F, 0x1F680...0x1F6C5,
    0x1F6CC...0x1F6CC, 0x1F6D0...0x1F6D2, 0x1F6D5...0x1F6D7, 0x1F6DC...0x1F6DF, 0x1F6EB...0x1F6EC,
    0x1F6F4...0x1F6FC, 0x1F7E0...0x1F7EB, 0x1F7F0...0x1F7F0, 0x1F90C...0x1F93A, 0x1F93C...0x1F945,
    0x1F947...0x1F9FF, 0x1FA70...0x1FAFF, 0x20000...0x2FFFD, 0x30000...0x3FFFD,
  ]

  enum Alignment { case left, right }

  /// Returns the text in exactly `width` columns: padded with spaces, or cut, with a mark at the end.
  static func fit(_ text: String, _ width: Int, _ alignment: Alignment = .left, mark: Character = "…")
    -> String
  {
    guard width > 0 else { return "" }
    let taken = of(text)
    if taken <= width {
      let padding = String(repeating: " ", count: width - taken)
      return alignment == .left ? text + padding : padding + text
    }
    let (part, columns) = prefix(text, width - 1)
    return part + String(mark) + String(repeating: " ", count: width - 1 - columns)
  }

  /// Returns text that is too long with its middle left out, because what tells names from others is often at their ends.
  static func middle(_ text: String, _ width: Int, mark: Character = "…") -> String {
    guard width > 4, of(text) > width else { return text }
    let head = prefix(text, (width - 1) / 3)
    var tail = String.UnicodeScalarView()
    var left = width - 1 - head.columns
    var marks: [Unicode.Scalar] = []
    for scalar in text.unicodeScalars.reversed() {
      let own = of(scalar)
      if own == 0 {
        marks.append(scalar)
        continue
      }
      guard own <= left else { break }
      tail.insert(contentsOf: [scalar] + marks.reversed(), at: tail.startIndex)
      marks = []
      left -= own
    }
    return head.text + String(mark) + String(tail)
  }

  /// Returns as much of the text as `width` columns hold, with the marks that combine with its last character, and how many it takes.
  static func prefix(_ text: some StringProtocol, _ width: Int) -> (text: String, columns: Int) {
    var part = String.UnicodeScalarView()
    var columns = 0
    for scalar in text.unicodeScalars {
      let own = of(scalar)
      if columns + own > width { break }
      part.append(scalar)
      columns += own
    }
    return (String(part), columns)
  }

  /// Returns the text in lines of at most `width` columns.
  static func wrap(_ text: String, _ width: Int) -> [String] {
    var lines: [String] = []
    var rest = text[...]
    while !rest.isEmpty {
      let part = prefix(rest, max(width, 2)).text
      guard !part.isEmpty else { break }
      lines.append(part)
      let count = part.unicodeScalars.count
      let start = rest.unicodeScalars.index(rest.unicodeScalars.startIndex, offsetBy: count)
      rest = rest[start...]
    }
    return lines.isEmpty ? [""] : lines
  }
}

/// Text from a database for a cell of the screen.
enum CellText {
  /// Returns the text without anything that controls a terminal, and without what makes its width uncertain.
  static func safe(_ text: String, limit: Int = 400) -> String {
    plain(SafeText.terminalSafe(text, limit: limit))
  }
  /// The bytes of a payload that a cell needs: those of 400 characters, and some to see that there are more.
  static let payloadBytes = 4 * 400 + 8
  static func safe(_ payload: Payload?, limit: Int = 400) -> String {
    plain(SafeText.terminalSafe(payload, limit: limit))
  }

  /// Drops the selectors that make some terminals show a character wide, and marks at the beginning, which would join the cell before.
  private static func plain(_ text: String) -> String {
    var kept = String.UnicodeScalarView()
    for scalar in text.unicodeScalars where !(0xFE00...0xFE0F).contains(scalar.value) {
      if kept.isEmpty, TextWidth.of(scalar) == 0 { continue }
      kept.append(scalar)
    }
    return String(kept)
  }
}
