internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

extension Timestamp {
  /// The time as ISO 8601 in UTC with milliseconds: `2026-03-01T12:00:00.000Z`.
  var utc: String { text(offset: 0) + "Z" }

  /// The time as ISO 8601 in this machine's time zone: `2026-03-01T13:00:00.000+01:00`.
  var local: String {
    var seconds = time_t(wholeSeconds)
    var fields = tm()
    guard localtime_r(&seconds, &fields) != nil else { return utc }
    let offset = Int64(fields.tm_gmtoff)
    let minutes = abs(offset) / 60
    return text(offset: offset) + (offset < 0 ? "-" : "+") + ISO8601.padded(minutes / 60, 2) + ":"
      + ISO8601.padded(minutes % 60, 2)
  }

  /// The seconds, rounded down. A file may have any number instead of a time, so this must not overflow.
  private var wholeSeconds: Int64 { microseconds / 1_000_000 - (microseconds % 1_000_000 < 0 ? 1 : 0) }

  private func text(offset: Int64) -> String {
    let beyond = microseconds % 1_000_000
    let milliseconds = (beyond < 0 ? beyond + 1_000_000 : beyond) / 1000
    return ISO8601.text(seconds: wholeSeconds + offset) + "." + ISO8601.padded(milliseconds, 3)
  }
}
