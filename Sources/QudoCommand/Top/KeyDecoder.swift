/// A key that the user pressed.
enum Key: Equatable {
  case character(Character)
  /// A letter with Ctrl, in lower case.
  case control(Character)
  case enter, tab, backTab, escape, backspace, delete
  case up, down, left, right, home, end, pageUp, pageDown
  /// Text that was pasted, and not typed.
  case paste(String)
}

/// Turns the bytes that a terminal sends into keys. A sequence may come in several reads.
struct KeyDecoder {
  private var pending: [UInt8] = []
  /// The text of a paste that has not ended; nil outside of one.
  private var pasted: [UInt8]?
  /// The longest sequence; a longer one is dropped.
  private static let mostBytes = 64
  /// The most of a paste that is kept.
  private static let mostPasted = 1024
  /// The markers around pasted text in bracketed-paste mode: xterm's documentation, "Bracketed Paste Mode".
  private static let (pasteBegin, pasteEnd) = (Array("\u{1B}[200~".utf8), Array("\u{1B}[201~".utf8))

  /// Whether bytes of an unfinished sequence are kept.
  var isPending: Bool { !pending.isEmpty }

  /// How long to wait for other bytes before ``flush()``, in milliseconds; nil if nothing is unfinished.
  ///
  /// A paste comes over a network in pieces. If its end never comes, it must not take keys forever.
  var patience: Int32? { pasted != nil ? 1000 : isPending ? 100 : nil }

  /// Returns the keys that are complete.
  mutating func decode(_ bytes: some Sequence<UInt8>) -> [Key] {
    pending += bytes
    var keys: [Key] = []
    while true {
      if pasted != nil {
        guard let key = takePaste() else { break }
        keys.append(key)
      } else if pending.starts(with: Self.pasteBegin) {
        pending.removeFirst(Self.pasteBegin.count)
        pasted = []
      } else if let (key, count) = Self.first(pending[...]) {
        pending.removeFirst(count)
        if let key { keys.append(key) }
      } else {
        break
      }
    }
    if pending.count > Self.mostBytes { pending = [] }
    return keys
  }

  /// Ends an unfinished sequence: it was the Escape key. Ends an unfinished paste.
  mutating func flush() -> [Key] {
    defer { (pending, pasted) = ([], nil) }
    if let pasted { return [Self.paste(pasted + pending)] }
    return pending.first == 0x1B ? [.escape] : []
  }

  /// Moves pasted text out of the pending bytes.
  ///
  /// - Returns: The paste if it is complete.
  private mutating func takePaste() -> Key? {
    guard var text = pasted else { return nil }
    let end = pending.indices.first { pending[$0...].starts(with: Self.pasteEnd) }
    // Without an end, the last bytes may be the beginning of it.
    let kept = end == nil ? Self.beginning(of: Self.pasteEnd, endsIn: pending) : 0
    let count = end ?? pending.count - kept
    text += pending.prefix(min(count, max(0, Self.mostPasted - text.count)))
    pending.removeFirst(count + (end == nil ? 0 : Self.pasteEnd.count))
    pasted = end == nil ? text : nil
    return end == nil ? nil : Self.paste(text)
  }

  /// Returns how many of the last bytes are the beginning of a sequence.
  private static func beginning(of sequence: [UInt8], endsIn bytes: [UInt8]) -> Int {
    (0..<sequence.count).reversed().first { bytes.suffix($0).elementsEqual(sequence.prefix($0)) } ?? 0
  }

  /// The text without what is none, such as the rest of a character that was cut, and controls.
  private static func paste(_ bytes: [UInt8]) -> Key {
    .paste(
      String(
        String(decoding: bytes, as: UTF8.self).unicodeScalars.filter {
          $0.value != 0xFFFD && $0.properties.generalCategory != .control
        }.map { Character($0) }))
  }

  /// Returns the first key, or nil for a sequence that means none, and how many bytes it has; nil if it is unfinished.
  private static func first(_ bytes: ArraySlice<UInt8>) -> (Key?, Int)? {
    guard let byte = bytes.first else { return nil }
    switch byte {
    case 0x1B: return sequence(bytes)
    case 0x0D, 0x0A: return (.enter, 1)
    case 0x09: return (.tab, 1)
    case 0x08, 0x7F: return (.backspace, 1)
    case 0x01...0x1A: return (.control(Character(Unicode.Scalar(byte + 0x60))), 1)
    case 0x20...0x7E: return (.character(Character(Unicode.Scalar(byte))), 1)
    case 0xC2...0xF4: return scalar(bytes)
    default: return (nil, 1)
    }
  }

  private static func scalar(_ bytes: ArraySlice<UInt8>) -> (Key?, Int)? {
    let lead = bytes[bytes.startIndex]
    let length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4
    let part = bytes.prefix(length)
    // A byte that continues nothing belongs to the next key.
    if let wrong = part.dropFirst().firstIndex(where: { $0 & 0xC0 != 0x80 }) {
      return (nil, wrong - bytes.startIndex)
    }
    guard part.count == length else { return nil }
    guard let text = String(validating: part, as: UTF8.self), let character = text.first else {
      return (nil, length)
    }
    return (.character(character), length)
  }

  private static func sequence(_ bytes: ArraySlice<UInt8>) -> (Key?, Int)? {
    guard bytes.count > 1 else { return nil }
    switch bytes[bytes.startIndex + 1] {
    case UInt8(ascii: "["): return csi(bytes)
    case UInt8(ascii: "O"):
      guard bytes.count > 2 else { return nil }
      let final = bytes[bytes.startIndex + 2]
      // Not a key of the keypad: the Escape key, and then an O.
      guard (0x40...0x7E).contains(final) else { return (.escape, 1) }
      return (key(final, []), 3)
    case UInt8(ascii: "]"), UInt8(ascii: "P"), UInt8(ascii: "_"), UInt8(ascii: "^"): return string(bytes)
    // The Escape key, and then another one.
    default: return (.escape, 1)
    }
  }

  /// "CSI P ... P I ... I F": ECMA-48, 5.4.
  private static func csi(_ bytes: ArraySlice<UInt8>) -> (Key?, Int)? {
    var parameters: [UInt8] = []
    for (offset, byte) in bytes.dropFirst(2).enumerated() {
      switch byte {
      case 0x30...0x3F: parameters.append(byte)
      case 0x20...0x2F: continue
      case 0x40...0x7E: return (key(byte, parameters), offset + 3)
      // No sequence has this byte: start again with it.
      default: return (nil, offset + 2)
      }
    }
    return nil
  }

  /// An unsolicited report of the terminal: everything up to BEL or ESC \.
  private static func string(_ bytes: ArraySlice<UInt8>) -> (Key?, Int)? {
    var previous: UInt8 = 0
    for (offset, byte) in bytes.enumerated().dropFirst(2) {
      if byte == 0x07 || (previous == 0x1B && byte == UInt8(ascii: "\\")) { return (nil, offset + 1) }
      previous = byte
    }
    return nil
  }

  private static func key(_ final: UInt8, _ parameters: [UInt8]) -> Key? {
    switch Character(Unicode.Scalar(final)) {
    case "A": return .up
    case "B": return .down
    case "C": return .right
    case "D": return .left
    case "H": return .home
    case "F": return .end
    case "Z": return .backTab
    case "M" where parameters.isEmpty: return .enter
    case "~":
      return switch String(decoding: parameters.prefix { $0 != UInt8(ascii: ";") }, as: UTF8.self) {
      case "1", "7": .home
      case "4", "8": .end
      case "3": .delete
      case "5": .pageUp
      case "6": .pageDown
      default: nil
      }
    default: return nil
    }
  }
}
