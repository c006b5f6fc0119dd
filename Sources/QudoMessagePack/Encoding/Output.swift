/// The bytes so far.
final class Output {
  var bytes: [UInt8] = []

  func null() { bytes.append(0xC0) }
  func bool(_ value: Bool) { bytes.append(value ? 0xC3 : 0xC2) }

  func float(_ value: Float) {
    bytes.append(0xCA)
    bytes.append(bigEndian: value.bitPattern)
  }

  func double(_ value: Double) {
    bytes.append(0xCB)
    bytes.append(bigEndian: value.bitPattern)
  }

  /// The smallest form, without a sign for what is not negative.
  @inline(__always)
  func integer<Number: FixedWidthInteger>(_ value: Number) {
    if value >= 0 {
      positive(UInt64(truncatingIfNeeded: value))
    } else {
      negative(Int64(truncatingIfNeeded: value))
    }
  }

  private func positive(_ value: UInt64) {
    switch value {
    case ...0x7F: bytes.append(UInt8(truncatingIfNeeded: value))
    case ...0xFF: sized(0xCC, UInt8(truncatingIfNeeded: value))
    case ...0xFFFF: sized(0xCD, UInt16(truncatingIfNeeded: value))
    case ...0xFFFF_FFFF: sized(0xCE, UInt32(truncatingIfNeeded: value))
    default: sized(0xCF, value)
    }
  }

  private func negative(_ value: Int64) {
    switch value {
    case (-0x20)...: bytes.append(UInt8(truncatingIfNeeded: value))
    case (-0x80)...: sized(0xD0, UInt8(truncatingIfNeeded: value))
    case (-0x8000)...: sized(0xD1, UInt16(truncatingIfNeeded: value))
    case (-0x8000_0000)...: sized(0xD2, UInt32(truncatingIfNeeded: value))
    default: sized(0xD3, UInt64(bitPattern: value))
    }
  }

  private func sized<Number: FixedWidthInteger>(_ first: UInt8, _ value: Number) {
    bytes.append(first)
    bytes.append(bigEndian: value)
  }

  /// - Returns: false, and nothing is written, if it is longer than 4 GiB.
  func text(_ value: String) -> Bool {
    var value = value
    return value.withUTF8 { utf8 in
      switch utf8.count {
      case ...31: bytes.append(0xA0 | UInt8(utf8.count))
      case ...0xFF: sized(0xD9, UInt8(utf8.count))
      case ...0xFFFF: sized(0xDA, UInt16(utf8.count))
      case ...0xFFFF_FFFF: sized(0xDB, UInt32(utf8.count))
      default: return false
      }
      bytes.append(contentsOf: utf8)
      return true
    }
  }

  /// - Returns: false, and nothing is written, if it is longer than 4 GiB.
  func binary(_ value: some Collection<UInt8>) -> Bool {
    switch value.count {
    case ...0xFF: sized(0xC4, UInt8(value.count))
    case ...0xFFFF: sized(0xC5, UInt16(value.count))
    case ...0xFFFF_FFFF: sized(0xC6, UInt32(value.count))
    default: return false
    }
    bytes.append(contentsOf: value)
    return true
  }

  /// An extension whose length has its own form, or is under 256.
  func other(_ type: Int8, _ content: [UInt8]) {
    switch content.count {
    case 4: bytes.append(0xD6)
    case 8: bytes.append(0xD7)
    default: sized(0xC7, UInt8(truncatingIfNeeded: content.count))
    }
    bytes.append(UInt8(bitPattern: type))
    bytes.append(contentsOf: content)
  }

  /// The first bytes of an array or map with so many elements or pairs; nil for more than 2^32 - 1.
  static func head(_ count: Int, isMap: Bool) -> [UInt8]? {
    var head: [UInt8] = []
    switch count {
    case ...15: head.append((isMap ? 0x80 : 0x90) | UInt8(count))
    case ...0xFFFF:
      head.append(isMap ? 0xDE : 0xDC)
      head.append(bigEndian: UInt16(count))
    case ...0xFFFF_FFFF:
      head.append(isMap ? 0xDF : 0xDD)
      head.append(bigEndian: UInt32(count))
    default: return nil
    }
    return head
  }
}
