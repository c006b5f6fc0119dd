#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// A time as MessagePack's timestamp has it: seconds since 1970, and nanoseconds to add, up to 999,999,999.
struct MessagePackTimestamp {
  /// The timestamp's extension type.
  static let type: Int8 = -1
  let seconds: Int64
  let nanoseconds: UInt32

  private static let from1970To2001: Int64 = 978_307_200

  /// Beyond it Foundation cannot even print a date.
  private static let limit: Int64 = 1 << 62

  /// Returns nil if the date is not a finite number or is beyond 146 billion years.
  ///
  /// Whole microseconds if they stand for the same date, for that is what `datetime` has; else nanoseconds, which are
  /// finer than a `Date` except within some months of 1 January 2001.
  init?(_ date: Date) {
    let micro = (date.timeIntervalSince1970 * 1e6).rounded()
    if let total = Int64(exactly: micro) {
      let (seconds, rest) = total.flooredDivision(by: 1_000_000)
      self.init(seconds: seconds, nanoseconds: UInt32(rest) * 1000)
      if self.date == date { return }
    }
    let time = date.timeIntervalSinceReferenceDate
    guard time.magnitude < Double(Self.limit) else { return nil }
    let floor = time.rounded(.down)
    let nano = min(((time - floor) * 1e9).rounded(), 999_999_999)
    self.init(seconds: Int64(floor) + Self.from1970To2001, nanoseconds: UInt32(nano))
    // A whole number of microseconds may be read as another date, as it has just been found to be.
    if nanoseconds % 1000 == 0, self.date != date {
      self.init(seconds: seconds, nanoseconds: nanoseconds + 1)
    }
  }

  init(seconds: Int64, nanoseconds: UInt32) {
    self.seconds = seconds
    self.nanoseconds = nanoseconds
  }

  var date: Date {
    if nanoseconds % 1000 == 0 {
      let (micro, isOver) = seconds.multipliedReportingOverflow(by: 1_000_000)
      let total = micro.addingReportingOverflow(Int64(nanoseconds / 1000))
      // Below 2^53 the sum is exact and the quotient the nearest there is: what a literal of the same time is.
      if !isOver, !total.overflow, total.partialValue.magnitude < 1 << 53 {
        return Date(timeIntervalSince1970: Double(total.partialValue) / 1e6)
      }
      return Date(timeIntervalSince1970: Double(seconds) + Double(nanoseconds) / 1e9)
    }
    let since2001 = Double(seconds) - Double(Self.from1970To2001)
    return Date(timeIntervalSinceReferenceDate: since2001 + Double(nanoseconds) / 1e9)
  }
}

extension Int64 {
  fileprivate func flooredDivision(by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
    let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
  }
}

/// The form that `msgpack` chooses: 4 bytes, 8, or 12.
extension MessagePackTimestamp {
  var bytes: [UInt8] {
    var bytes: [UInt8] = []
    if seconds >= 0, seconds < 1 << 34 {
      let both = UInt64(nanoseconds) << 34 | UInt64(seconds)
      if both <= UInt32.max { bytes.append(bigEndian: UInt32(both)) } else { bytes.append(bigEndian: both) }
    } else {
      bytes.append(bigEndian: nanoseconds)
      bytes.append(bigEndian: UInt64(bitPattern: seconds))
    }
    return bytes
  }

  /// - Throws: what is wrong, in words.
  init(_ bytes: ArraySlice<UInt8>) throws(Problem) {
    let nano: UInt64
    switch bytes.count {
    case 4: (seconds, nano) = (Int64(bytes.bigEndian()), 0)
    case 8:
      let both = bytes.bigEndian()
      (seconds, nano) = (Int64(both & (1 << 34 - 1)), both >> 34)
    case 12:
      (seconds, nano) = (Int64(bitPattern: bytes.suffix(8).bigEndian()), bytes.prefix(4).bigEndian())
    default: throw Problem(words: "a timestamp has \(bytes.count) bytes, not 4, 8 or 12")
    }
    guard nano < 1_000_000_000 else {
      throw Problem(words: "a timestamp has more than 999,999,999 nanoseconds")
    }
    guard seconds.magnitude < Self.limit.magnitude else {
      throw Problem(words: "a timestamp is beyond what a date can be")
    }
    nanoseconds = UInt32(nano)
  }
}

/// The fault of damaged bytes.
struct Problem: Error {
  let words: String
}
