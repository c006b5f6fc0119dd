#if Dashboard
internal import Qudo

/// A payload for people: JSON in lines, other text as it is, anything else in hexadecimal. A long one is cut off.
struct Excerpt: Sendable {
  enum Form: Sendable { case json, text, hexadecimal }

  /// How many bytes of a payload are shown in a list, as text, and in hexadecimal.
  static let (listBytes, textBytes, binaryBytes) = (160, 65_536, 4_096)

  let form: Form
  let text: String
  /// The size of the whole payload, in bytes.
  let size: Int
  /// How many bytes of it the text shows.
  let shown: Int

  init(_ payload: Payload) {
    size = payload.bytes.count
    let start = payload.bytes.prefix(Self.textBytes)
    // What wraps another codec is compressed or encrypted.
    guard payload.codec.number <= 1, let (text, count) = Self.utf8(start, isWhole: start.count == size) else {
      let bytes = payload.bytes.prefix(Self.binaryBytes)
      (form, self.text, shown) = (.hexadecimal, Self.hexadecimal(bytes), bytes.count)
      return
    }
    shown = count
    let first = start.first { $0 != 0x20 && $0 != 0x0A && $0 != 0x09 && $0 != 0x0D }
    let isCollection = first == UInt8(ascii: "{") || first == UInt8(ascii: "[")
    if isCollection, count < size || JSONScanner.fault(in: payload.bytes) == nil {
      (form, self.text) = (.json, Self.indented(start.prefix(count)))
    } else {
      (form, self.text) = (payload.codec == .json && count == size ? .json : .text, text)
    }
  }

  var isCutOff: Bool { shown < size }

  /// One line for a list.
  ///
  /// - Parameters:
  ///   - payload: The beginning of the payload, at most ``listBytes``.
  ///   - isCut: Whether the payload is longer.
  static func line(_ payload: Payload, isCut: Bool) -> String {
    let start = payload.bytes[...]
    guard payload.codec.number <= 1, let (text, count) = utf8(start, isWhole: !isCut) else {
      let size = "\(isCut ? "over " : "")\(Figures.bytes(start.count))"
      return start.isEmpty ? "" : "\(size), codec \(payload.codec)"
    }
    let isShortened = isCut || count < start.count
    return String(text.map { $0.isNewline || $0 == "\t" ? " " : $0 }) + (isShortened ? "…" : "")
  }

  /// Returns the text, and how many bytes it is; nil if the bytes are no UTF-8 without control characters.
  private static func utf8(_ bytes: ArraySlice<UInt8>, isWhole: Bool) -> (String, Int)? {
    // A cut may go through a character.
    for cut in 0...(isWhole ? 0 : 3) {
      let part = bytes.dropLast(cut)
      guard !part.isEmpty || bytes.isEmpty, let text = String(validating: part, as: UTF8.self) else {
        continue
      }
      let isText = part.allSatisfy { $0 >= 0x20 || $0 == 0x0A || $0 == 0x0D || $0 == 0x09 }
      return isText ? (text, part.count) : nil
    }
    return nil
  }

  /// Puts each member of JSON on its own line. It changes nothing but white space, so numbers stay as they are.
  private static func indented(_ bytes: ArraySlice<UInt8>) -> String {
    var out: [UInt8] = []
    out.reserveCapacity(bytes.count * 2)
    var depth = 0
    var (isInString, isEscaped, isEmpty) = (false, false, false)
    func newline() {
      out.append(0x0A)
      // Deeper ones are not indented further: a page of brackets must not become a page of spaces.
      out += [UInt8](repeating: 0x20, count: 2 * min(max(depth, 0), 24))
    }
    for byte in bytes {
      if isInString {
        out.append(byte)
        if isEscaped {
          isEscaped = false
        } else if byte == UInt8(ascii: "\\") {
          isEscaped = true
        } else if byte == UInt8(ascii: "\"") {
          isInString = false
        }
        continue
      }
      switch byte {
      case 0x20, 0x09, 0x0A, 0x0D: continue
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        if isEmpty { newline() }
        out.append(byte)
        depth += 1
        isEmpty = true
        continue
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        depth -= 1
        if !isEmpty { newline() }
        out.append(byte)
      case UInt8(ascii: ","):
        out.append(byte)
        newline()
      case UInt8(ascii: ":"): out += [byte, 0x20]
      default:
        if isEmpty { newline() }
        out.append(byte)
        isInString = byte == UInt8(ascii: "\"")
      }
      isEmpty = false
    }
    return String(decoding: out, as: UTF8.self)
  }

  /// Lines of 16 bytes: where they are, their values, and their characters.
  private static func hexadecimal(_ bytes: ArraySlice<UInt8>) -> String {
    func padded(_ number: Int, _ width: Int) -> String {
      let digits = String(number, radix: 16)
      return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
    var lines: [String] = []
    var rest = bytes
    while !rest.isEmpty {
      let part = rest.prefix(16)
      let values = part.map { padded(Int($0), 2) }.joined(separator: " ")
      let characters = part.map { (0x20...0x7E).contains($0) ? Character(Unicode.Scalar($0)) : "." }
      lines.append(
        "\(padded(part.startIndex, 6))  \(values)\(String(repeating: " ", count: 48 - values.count))\(String(characters))"
      )
      rest = rest.dropFirst(16)
    }
    return lines.joined(separator: "\n")
  }
}
#endif
