internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

extension Timestamp {
  /// ISO 8601 in UTC with milliseconds: `2026-03-01T12:00:00.000Z`.
  var utc: String { text(offset: 0) + "Z" }

  /// ISO 8601 in this machine's time zone: `2026-03-01T13:00:00.000+01:00`.
  var local: String {
    var seconds = time_t(wholeSeconds)
    var fields = tm()
    guard localtime_r(&seconds, &fields) != nil else { return utc }
    let offset = Int64(fields.tm_gmtoff)
    let minutes = abs(offset) / 60
    return text(offset: offset) + (offset < 0 ? "-" : "+") + Self.digits(minutes / 60, 2) + ":" + Self.digits(minutes % 60, 2)
  }

  /// A file may have any number where a time should be.
  private var wholeSeconds: Int64 { microseconds / 1_000_000 - (microseconds % 1_000_000 < 0 ? 1 : 0) }

  private func text(offset: Int64) -> String {
    let beyond = microseconds % 1_000_000
    let milliseconds = (beyond < 0 ? beyond + 1_000_000 : beyond) / 1000
    let seconds = wholeSeconds + offset
    let days = seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400
    let date = CalendarTime.date(days: days)
    let rest = seconds - days * 86_400
    return Self.digits(date.year, 4) + "-" + Self.digits(date.month, 2) + "-" + Self.digits(date.day, 2) + "T"
      + Self.digits(rest / 3600, 2) + ":" + Self.digits(rest / 60 % 60, 2) + ":" + Self.digits(rest % 60, 2) + "."
      + Self.digits(milliseconds, 3)
  }

  private static func digits(_ number: Int64, _ width: Int) -> String {
    let text = "\(number)"
    return String(repeating: "0", count: max(0, width - text.count)) + text
  }
}
