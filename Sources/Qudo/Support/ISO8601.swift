#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// Times as text in ISO 8601, with a time zone.
package enum ISO8601 {
  /// Parses `2026-03-01T12:00Z`, `2026-03-01T13:00:00.5+01:00`, `2026-03-01 13:00+0100`. Seconds and their
  /// fraction are optional; digits beyond a nanosecond are cut off.
  ///
  /// - Returns: The seconds since 1970 and the nanoseconds after them; nil if the text is no date that
  ///   exists.
  package static func parse(_ text: String) -> (seconds: Int64, nanoseconds: Int64)? {
    var reader = DigitReader(text)
    guard let time = read(&reader), reader.isAtEnd else { return nil }
    return time
  }

  private static func read(_ reader: inout DigitReader) -> (seconds: Int64, nanoseconds: Int64)? {
    guard let year = reader.number(4), reader.skip("-"), let month = reader.number(2), reader.skip("-"),
      let day = reader.number(2),
      reader.skip("T") || reader.skip("t") || reader.skip(" "), let hour = reader.number(2), reader.skip(":"),
      let minute = reader.number(2), year >= 1, (1...12).contains(month),
      (1...CalendarTime.daysInMonth(year: year, month: month)).contains(day), hour <= 23, minute <= 59
    else { return nil }
    var second: Int64 = 0
    var fraction: Int64 = 0
    if reader.skip(":") {
      guard let number = reader.number(2), number <= 59 else { return nil }
      second = number
      if reader.skip(".") || reader.skip(",") {
        guard let number = reader.fraction(9) else { return nil }
        fraction = number
      }
    }
    guard let offset = readZone(&reader) else { return nil }
    let days = CalendarTime.days(year: year, month: month, day: day)
    return (days * 86_400 + hour * 3600 + minute * 60 + second - offset, fraction)
  }

  /// Parses a time zone, and returns the seconds east of UTC.
  private static func readZone(_ reader: inout DigitReader) -> Int64? {
    if reader.skip("Z") || reader.skip("z") { return 0 }
    let isEast = reader.skip("+")
    guard isEast || reader.skip("-"), let hours = reader.number(2), hours <= 23 else { return nil }
    let hasColon = reader.skip(":")
    let minutes = reader.number(2)
    guard minutes != nil || !hasColon, minutes ?? 0 <= 59 else { return nil }
    let seconds = hours * 3600 + (minutes ?? 0) * 60
    return isEast ? seconds : -seconds
  }

  /// The seconds from 1970 to 2001, the epoch of `Date`.
  private static let epoch: Int64 = 978_307_200

  /// 0001-01-01 and 10000-01-01, in seconds since 2001.
  private static let (first, end) = (-63_113_904_000.0, 252_423_993_600.0)

  /// Parses a date, as exactly as a `Date` can be; nil as with ``parse(_:)``.
  static func date(_ text: String) -> Date? {
    guard let (seconds, nanoseconds) = parse(text) else { return nil }
    return Date(timeIntervalSinceReferenceDate: Double(seconds - epoch) + Double(nanoseconds) / 1e9)
  }

  /// Formats a date in UTC, with as many decimals, at most nine, as it takes to read the same date again.
  ///
  /// - Returns: Nil outside the years 1 to 9999.
  static func text(_ date: Date) -> String? {
    let time = date.timeIntervalSinceReferenceDate
    // This also excludes NaN.
    guard time >= first, time < end else { return nil }
    var whole = Int64(time.rounded(.down))
    let rest = time - Double(whole)
    var (digits, power) = (0, 1.0)
    var fraction = Int64(rest.rounded())
    while digits < 9, Double(whole) + Double(fraction) / power != time {
      digits += 1
      power *= 10
      fraction = Int64((rest * power).rounded())
    }
    if fraction >= Int64(power) { (whole, fraction, digits) = (whole + 1, 0, 0) }
    guard Double(whole) < end else { return nil }
    return text(seconds: whole + epoch) + (digits == 0 ? "" : "." + padded(fraction, digits)) + "Z"
  }

  /// Formats seconds since 1970 as `2026-03-01T12:00:00`, without a zone.
  package static func text(seconds: Int64) -> String {
    let days = seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400
    let date = CalendarTime.date(days: days)
    let rest = seconds - days * 86_400
    return padded(date.year, 4) + "-" + padded(date.month, 2) + "-" + padded(date.day, 2) + "T"
      + padded(rest / 3600, 2) + ":" + padded(rest / 60 % 60, 2) + ":" + padded(rest % 60, 2)
  }

  /// Formats a number with leading zeros.
  package static func padded(_ number: Int64, _ width: Int) -> String {
    let text = "\(number)"
    return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
  }
}

/// Reads digits and single characters from the front of a text.
private struct DigitReader {
  private var rest: Substring.UTF8View

  init(_ text: String) { rest = Substring(text).utf8 }

  var isAtEnd: Bool { rest.isEmpty }

  mutating func skip(_ character: Unicode.Scalar) -> Bool {
    guard rest.first == UInt8(ascii: character) else { return false }
    rest = rest.dropFirst()
    return true
  }

  private mutating func digit() -> Int64? {
    guard let byte = rest.first, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
    rest = rest.dropFirst()
    return Int64(byte - UInt8(ascii: "0"))
  }

  /// Reads a number with this many digits; reads nothing if there are fewer.
  mutating func number(_ digits: Int) -> Int64? {
    let start = rest
    var number: Int64 = 0
    for _ in 0..<digits {
      guard let digit = digit() else {
        rest = start
        return nil
      }
      number = number * 10 + digit
    }
    return number
  }

  /// Reads at least one digit; skips those after the first `places`.
  mutating func fraction(_ places: Int) -> Int64? {
    var number: Int64 = 0
    var count = 0
    while let digit = digit() {
      if count < places { number = number * 10 + digit }
      count += 1
    }
    guard count > 0 else { return nil }
    for _ in 0..<max(0, places - count) { number *= 10 }
    return number
  }
}
