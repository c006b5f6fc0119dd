/// Parses the text of POSIX's environment variable `TZ`, with the extensions of RFC 9636:
/// `CET-1CEST,M3.5.0,M10.5.0/3`.
struct TZString {
  /// Nil if the zone has no daylight saving time.
  private(set) var rule: YearlyRule?
  private var rest: ArraySlice<UInt8>

  /// - Returns: Nil if the text is not valid.
  init?(_ text: ArraySlice<UInt8>) {
    rest = text
    guard skipName(), let standard = offset() else { return nil }
    if rest.isEmpty { return }
    // Without an offset, daylight saving time is an hour ahead.
    guard skipName(), let daylight = rest.first == UInt8(ascii: ",") ? standard + 3600 : offset(), skip(","),
      let start = date(), skip(","), let end = date(), rest.isEmpty
    else { return nil }
    rule = YearlyRule(standard: standard, daylight: daylight, start: start, end: end)
  }

  /// `CET` or `<+0330>`.
  private mutating func skipName() -> Bool {
    let isQuoted = skip("<")
    let name = rest.prefix {
      switch $0 {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"): isQuoted
      default: false
      }
    }
    rest = rest[name.endIndex...]
    return name.count >= 3 && (!isQuoted || skip(">"))
  }

  /// Seconds east of UTC; the text counts them west of it.
  private mutating func offset() -> Int64? {
    guard let seconds = time(hours: 24), TimeZoneRules.offsets.contains(-seconds) else { return nil }
    return -seconds
  }

  /// `2`, `-1:30`, `+03:00:00`.
  private mutating func time(hours limit: Int64) -> Int64? {
    let isNegative = skip("-")
    if !isNegative { _ = skip("+") }
    guard let hours = number(0...limit) else { return nil }
    var (minutes, seconds): (Int64, Int64) = (0, 0)
    if skip(":") {
      guard let number = number(0...59) else { return nil }
      minutes = number
      if skip(":") {
        guard let number = self.number(0...59) else { return nil }
        seconds = number
      }
    }
    let time = hours * 3600 + minutes * 60 + seconds
    return isNegative ? -time : time
  }

  /// `M10.5.0/3`, `J60`, `59/-2`.
  private mutating func date() -> YearlyRule.Date? {
    guard let day = day() else { return nil }
    guard skip("/") else { return YearlyRule.Date(day: day, second: 7200) }
    return time(hours: 167).map { YearlyRule.Date(day: day, second: $0) }
  }

  private mutating func day() -> YearlyRule.Date.Day? {
    if skip("J") { return number(1...365).map { .withoutLeapDay($0) } }
    guard skip("M") else { return number(0...365).map { .sinceNewYear($0) } }
    guard let month = number(1...12), skip("."), let week = number(1...5), skip("."),
      let weekday = number(0...6)
    else { return nil }
    return .weekday(month: month, week: Int(week), weekday: Int(weekday))
  }

  private mutating func number(_ range: ClosedRange<Int64>) -> Int64? {
    let digits = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    guard (1...3).contains(digits.count) else { return nil }
    rest = rest[digits.endIndex...]
    let number = digits.reduce(Int64(0)) { $0 * 10 + Int64($1 - UInt8(ascii: "0")) }
    return range.contains(number) ? number : nil
  }

  private mutating func skip(_ character: Unicode.Scalar) -> Bool {
    guard rest.first == UInt8(ascii: character) else { return false }
    rest = rest.dropFirst()
    return true
  }
}
