/// A check that bytes are exactly one MessagePack value.
///
/// It follows the lengths in the headers and does not validate the contents of strings. The header bytes are from
/// the specification: github.com/msgpack/msgpack/blob/master/spec.md, "Overview".
struct MessagePackShape {
  private var rest: ArraySlice<UInt8>
  /// The number of values still expected. Each takes at least one byte, so a count above the remaining bytes is
  /// refused immediately.
  private var missing = 1

  static func isOneValue(_ bytes: [UInt8]) -> Bool {
    var shape = MessagePackShape(rest: bytes[...])
    while shape.missing > 0 {
      guard shape.next(), shape.missing <= shape.rest.count else { return false }
    }
    return shape.rest.isEmpty
  }

  private mutating func next() -> Bool {
    guard let byte = rest.popFirst() else { return false }
    missing -= 1
    switch byte {
    case 0x00...0x7F, 0xE0...0xFF, 0xC0, 0xC2, 0xC3: return true
    case 0x80...0x8F: return holds(2 * Int(byte & 15))
    case 0x90...0x9F: return holds(Int(byte & 15))
    case 0xA0...0xBF: return skip(Int(byte & 31))
    case 0xC4...0xC6: return length(1 << Int(byte - 0xC4)).map { skip($0) } ?? false
    case 0xC7...0xC9: return length(1 << Int(byte - 0xC7)).map { skip($0 + 1) } ?? false
    case 0xCA, 0xCB: return skip(byte == 0xCA ? 4 : 8)
    case 0xCC...0xCF: return skip(1 << Int(byte - 0xCC))
    case 0xD0...0xD3: return skip(1 << Int(byte - 0xD0))
    case 0xD4...0xD8: return skip(1 + (1 << Int(byte - 0xD4)))
    case 0xD9...0xDB: return length(1 << Int(byte - 0xD9)).map { skip($0) } ?? false
    case 0xDC, 0xDD: return length(2 << Int(byte - 0xDC)).map { holds($0) } ?? false
    case 0xDE, 0xDF: return length(2 << Int(byte - 0xDE)).map { holds(2 * $0) } ?? false
    default: return false
    }
  }

  private mutating func holds(_ count: Int) -> Bool {
    missing += count
    return true
  }

  private mutating func skip(_ count: Int) -> Bool {
    guard count <= rest.count else { return false }
    rest = rest.dropFirst(count)
    return true
  }

  private mutating func length(_ size: Int) -> Int? {
    guard size <= rest.count else { return nil }
    defer { rest = rest.dropFirst(size) }
    return rest.prefix(size).reduce(0) { $0 << 8 | Int($1) }
  }
}
