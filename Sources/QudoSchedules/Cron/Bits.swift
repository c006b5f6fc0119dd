extension UInt64 {
  /// The lowest bit that is set, at `bit` or above.
  func lowest(from bit: Int) -> Int? {
    guard bit < 64 else { return nil }
    let rest = self >> UInt64(bit)
    return rest == 0 ? nil : rest.trailingZeroBitCount + bit
  }

  /// The highest bit that is set, at `bit` or below.
  func highest(through bit: Int) -> Int? {
    guard bit >= 0 else { return nil }
    let rest = bit >= 63 ? self : self & ((2 << UInt64(bit)) - 1)
    return rest == 0 ? nil : rest.highestBit
  }

  /// The highest bit that is set; -1 if none is.
  var highestBit: Int { 63 - leadingZeroBitCount }

  /// Clears the lowest bit that is set, and returns its number.
  mutating func removeLowest() -> Int? {
    guard self != 0 else { return nil }
    defer { self &= self - 1 }
    return trailingZeroBitCount
  }
}

extension Int64 {
  /// The quotient, rounded down, for a positive divisor.
  func flooredQuotient(by divisor: Int64) -> Int64 {
    let quotient = self / divisor
    return self % divisor < 0 ? quotient - 1 : quotient
  }

  /// The remainder that is not negative, for a positive divisor.
  func flooredRemainder(by divisor: Int64) -> Int64 {
    let rest = self % divisor
    return rest < 0 ? rest + divisor : rest
  }
}
