internal import Qudo

extension Timestamp {
  /// Reads ISO 8601 with a zone: `2026-03-01T12:00Z`, `2026-03-01T13:00:00.5+01:00`, `2026-03-01 13:00+0100`. Seconds and
  /// their fraction may be left out; finer than a microsecond is cut off.
  ///
  /// - Throws: `QudoError` with the code `invalidArgument` for anything else, a date that does not exist among it.
  init(parsing text: String) throws(QudoError) {
    var reader = DigitReader(text)
    guard let microseconds = Self.read(&reader), reader.isAtEnd else {
      throw QudoError(
        .invalidArgument,
        "'\(SafeText.shown(text, limit: 40))' is no time: write for instance 2026-03-01T12:00:00Z or 2026-03-01T13:00+01:00")
    }
    self.init(microseconds: microseconds)
  }

  private static func read(_ reader: inout DigitReader) -> Int64? {
    guard let year = reader.number(4), reader.skip("-"), let month = reader.number(2), reader.skip("-"), let day = reader.number(2),
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
        guard let number = reader.fraction(6) else { return nil }
        fraction = number
      }
    }
    guard let offset = readZone(&reader) else { return nil }
    let days = CalendarTime.days(year: year, month: month, day: day)
    return (days * 86_400 + hour * 3600 + minute * 60 + second - offset) * 1_000_000 + fraction
  }

  /// Seconds east of UTC.
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
}

/// Takes digits and single characters from the front of a text.
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

  /// A number of so many digits; nothing is taken when there are fewer.
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

  /// At least one digit; those after the first `places` are passed over.
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
