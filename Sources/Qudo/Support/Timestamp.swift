/// A point in wall time, in microseconds since 1970-01-01 00:00 UTC, as the database stores it.
public struct Timestamp: Hashable, Comparable, Sendable {
  /// The microseconds since 1970-01-01 00:00 UTC; negative before that.
  public var microseconds: Int64

  /// Creates a timestamp from microseconds since 1970-01-01 00:00 UTC.
  public init(microseconds: Int64) { self.microseconds = microseconds }

  public static func < (a: Timestamp, b: Timestamp) -> Bool { a.microseconds < b.microseconds }

  /// The last microsecond of the year 9999. Enqueues refuse a later due time.
  public static let latest = Timestamp(microseconds: 253_402_300_799_999_999)
  /// The first microsecond of the year 1. Enqueues refuse an earlier due time.
  public static let earliest = Timestamp(microseconds: -62_135_596_800_000_000)

  /// Returns the timestamp `duration` later, clamped to ``earliest`` and ``latest``.
  public func advanced(by duration: Duration) -> Timestamp {
    let (sum, overflow) = microseconds.addingReportingOverflow(duration.wholeMicroseconds)
    if overflow { return duration < .zero ? .earliest : .latest }
    return min(max(Timestamp(microseconds: sum), .earliest), .latest)
  }
}

extension Timestamp: CustomStringConvertible, Codable {
  /// The timestamp as ISO 8601 in UTC: `2026-03-01T12:00:00.000000Z`.
  public var description: String {
    let (whole, rest) = microseconds.quotientAndRemainder(dividingBy: 1_000_000)
    // A file may have any number in place of a time, so this must not overflow.
    let (seconds, beyond) = rest < 0 ? (whole - 1, rest + 1_000_000) : (whole, rest)
    return ISO8601.text(seconds: seconds) + "." + ISO8601.padded(beyond, 6) + "Z"
  }

  /// Reads ISO 8601 with a time zone.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let time = Timestamp(iso8601: text) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "\(text) is not a time such as 2026-03-01T12:00:00Z")
    }
    self = time
  }

  /// Parses ISO 8601 with a time zone. Returns nil for any other text, and for a date that does not exist.
  package init?(iso8601 text: String) {
    guard let (seconds, nanoseconds) = ISO8601.parse(text) else { return nil }
    self.init(microseconds: seconds * 1_000_000 + nanoseconds / 1000)
  }

  /// Writes ISO 8601 in UTC, with microseconds.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}

extension Duration {
  /// The duration in microseconds, rounded towards zero and clamped to `Int64`.
  package var wholeMicroseconds: Int64 {
    let (seconds, attoseconds) = components
    let (micros, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000)
    if overflow { return seconds < 0 ? .min : .max }
    let (sum, overflow2) = micros.addingReportingOverflow(attoseconds / 1_000_000_000_000)
    return overflow2 ? (seconds < 0 ? .min : .max) : sum
  }
}
