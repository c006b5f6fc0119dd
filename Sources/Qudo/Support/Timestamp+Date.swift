#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

extension Timestamp {
  /// Creates the timestamp of a date, to the nearest microsecond, clamped to ``earliest`` and ``latest``.
  public init(_ date: Date) {
    let seconds = date.timeIntervalSince1970
    // Whole seconds apart from the fraction: a Double of all microseconds would round the last of them.
    let whole = seconds.rounded(.down)
    guard whole >= Double(Self.earliest.microseconds / 1_000_000) else { self = .earliest; return }
    guard whole <= Double(Self.latest.microseconds / 1_000_000) else { self = .latest; return }
    let microseconds = Int64(whole) * 1_000_000 + Int64(((seconds - whole) * 1_000_000).rounded())
    self = min(Timestamp(microseconds: microseconds), .latest)
  }

  /// The timestamp as a date, as exact as a `Date` can be.
  public var date: Date {
    let whole = microseconds / 1_000_000
    return Date(timeIntervalSince1970: Double(whole) + Double(microseconds - whole * 1_000_000) / 1_000_000)
  }
}

extension Due {
  /// At a date, to the nearest microsecond. A date in the past is due now, and before jobs that became due later.
  public static func at(_ date: Date) -> Due { .at(Timestamp(date)) }
}
