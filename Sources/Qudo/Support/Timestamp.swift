/// A moment of wall time in microseconds since 1970-01-01 00:00 UTC, as it stands in the database.
public struct Timestamp: Hashable, Comparable, Sendable {
  /// Since 1970-01-01 00:00 UTC; negative before.
  public var microseconds: Int64

  /// Microseconds since 1970-01-01 00:00 UTC.
  public init(microseconds: Int64) { self.microseconds = microseconds }

  public static func < (a: Timestamp, b: Timestamp) -> Bool { a.microseconds < b.microseconds }

  /// The last moment of the year 9999. A later due time is refused.
  public static let latest = Timestamp(microseconds: 253_402_300_799_999_999)
  /// The first moment of the year 0001. An earlier due time is refused.
  public static let earliest = Timestamp(microseconds: -62_135_596_800_000_000)

  /// This moment and `duration` later, held between ``earliest`` and ``latest``.
  public func advanced(by duration: Duration) -> Timestamp {
    let (sum, overflow) = microseconds.addingReportingOverflow(duration.wholeMicroseconds)
    if overflow { return duration < .zero ? .earliest : .latest }
    return min(max(Timestamp(microseconds: sum), .earliest), .latest)
  }
}

extension Duration {
  /// The duration in microseconds, rounded towards zero and held within `Int64`.
  public var wholeMicroseconds: Int64 {
    let (seconds, attoseconds) = components
    let (micros, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000)
    if overflow { return seconds < 0 ? .min : .max }
    let (sum, overflow2) = micros.addingReportingOverflow(attoseconds / 1_000_000_000_000)
    return overflow2 ? (seconds < 0 ? .min : .max) : sum
  }
}
