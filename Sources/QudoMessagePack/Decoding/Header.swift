/// A value's type and content, without the elements of arrays and maps.
enum Header {
  case null
  case bool(Bool)
  case int(Int64)
  /// One that is beyond `Int64`.
  case large(UInt64)
  case float(Float)
  case double(Double)
  case text(Range<Int>)
  case binary(Range<Int>)
  case array(Int)
  case map(Int)
  case other(Int8, Range<Int>)

  /// For messages. It never contains a value, which may be a secret.
  var words: String {
    switch self {
    case .null: "nil"
    case .bool: "a boolean"
    case .int, .large: "a whole number"
    case .float, .double: "a floating-point number"
    case .text: "text"
    case .binary: "binary data"
    case .array: "an array"
    case .map: "a map"
    case .other(MessagePackTimestamp.type, _): "a timestamp"
    case .other(let type, _): "an extension of type \(type)"
    }
  }
}

extension Input {
  /// The value that begins at a byte, and its end; for an array or map, the end of its count.
  func head(_ at: Int) throws(Fault) -> (head: Header, end: Int) {
    guard at < bytes.count else { throw Fault(byte: at, words: "the bytes end, expected a value") }
    let first = bytes[at]
    switch first {
    case 0x00...0x7F: return (.int(Int64(first)), at + 1)
    case 0x80...0x8F: return (.map(Int(first & 0x0F)), at + 1)
    case 0x90...0x9F: return (.array(Int(first & 0x0F)), at + 1)
    case 0xA0...0xBF: return try text(at, 1, Int(first & 0x1F))
    case 0xC0: return (.null, at + 1)
    case 0xC2, 0xC3: return (.bool(first == 0xC3), at + 1)
    case 0xC4...0xC6: return try binary(at, 1 << Int(first - 0xC4))
    case 0xC7...0xC9: return try other(at, 1 << Int(first - 0xC7))
    case 0xCA: return (.float(Float(bitPattern: UInt32(try number(at, 4)))), at + 5)
    case 0xCB: return (.double(Double(bitPattern: try number(at, 8))), at + 9)
    case 0xCC...0xCF: return try positive(at, 1 << Int(first - 0xCC))
    case 0xD0...0xD3: return try signed(at, 1 << Int(first - 0xD0))
    case 0xD4...0xD8: return try other(at, 0, 1 << Int(first - 0xD4))
    case 0xD9...0xDB:
      let width = 1 << Int(first - 0xD9)
      return try text(at, 1 + width, Int(try number(at, width)))
    case 0xDC, 0xDD:
      let width = 2 << Int(first - 0xDC)
      return (.array(Int(try number(at, width))), at + 1 + width)
    case 0xDE, 0xDF:
      let width = 2 << Int(first - 0xDE)
      return (.map(Int(try number(at, width))), at + 1 + width)
    case 0xE0...0xFF: return (.int(Int64(Int8(bitPattern: first))), at + 1)
    default: throw Fault(byte: at, words: "no value begins with the byte 0xC1")
    }
  }

  /// The number in the bytes after the first.
  private func number(_ at: Int, _ width: Int) throws(Fault) -> UInt64 {
    guard width < bytes.count - at else { throw short(at, 1 + width) }
    var number: UInt64 = 0
    for index in at + 1...at + width { number = number << 8 | UInt64(bytes[index]) }
    return number
  }

  private func positive(_ at: Int, _ width: Int) throws(Fault) -> (Header, Int) {
    let number = try number(at, width)
    return (Int64(exactly: number).map { .int($0) } ?? .large(number), at + 1 + width)
  }

  private func signed(_ at: Int, _ width: Int) throws(Fault) -> (Header, Int) {
    let unused = 64 - 8 * width
    return (.int(Int64(bitPattern: try number(at, width) << unused) >> unused), at + 1 + width)
  }

  private func text(_ at: Int, _ start: Int, _ length: Int) throws(Fault) -> (Header, Int) {
    let range = try range(at, start, length)
    return (.text(range), range.upperBound)
  }

  private func binary(_ at: Int, _ width: Int) throws(Fault) -> (Header, Int) {
    let range = try range(at, 1 + width, Int(try number(at, width)))
    return (.binary(range), range.upperBound)
  }

  private func other(_ at: Int, _ width: Int, _ length: Int? = nil) throws(Fault) -> (Header, Int) {
    let length = if let length { length } else { Int(try number(at, width)) }
    let range = try range(at, 2 + width, length)
    return (.other(Int8(bitPattern: bytes[range.lowerBound - 1]), range), range.upperBound)
  }

  /// The range of this many bytes, `start` after the first.
  private func range(_ at: Int, _ start: Int, _ length: Int) throws(Fault) -> Range<Int> {
    guard bytes.count - at - start >= length else { throw short(at, start + length) }
    return at + start..<at + start + length
  }

  private func short(_ at: Int, _ length: Int) -> Fault {
    Fault(byte: at, words: "the value has \(length) bytes, but only \(bytes.count - at) are left")
  }
}
