extension [UInt8] {
  mutating func append<Number: FixedWidthInteger>(bigEndian number: Number) {
    var shift = Number.bitWidth - 8
    while shift >= 0 {
      append(UInt8(truncatingIfNeeded: number >> shift))
      shift -= 8
    }
  }
}

extension ArraySlice<UInt8> {
  /// Of up to 8 bytes.
  func bigEndian() -> UInt64 { reduce(0) { $0 << 8 | UInt64($1) } }
}
