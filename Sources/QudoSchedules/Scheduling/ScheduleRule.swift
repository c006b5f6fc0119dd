public import Qudo

/// The rule for the ticks of a schedule.
///
///     let rules: [ScheduleRule] = [
///       .every(.seconds(30)),
///       try .cron("30 2 * * *", in: "Europe/Berlin"),
///     ]
public enum ScheduleRule: Hashable, Sendable {
  /// At each multiple of a duration since 1970-01-01 00:00 UTC: with an hour, at each full hour of UTC. At least 100 ms, in
  /// whole milliseconds.
  case every(Duration)
  /// The times at which a cron expression matches, by the clock of a time zone.
  case cron(CronExpression, in: TimeZoneRules)

  /// Creates a rule from a cron expression and the name of a time zone.
  ///
  /// - Parameters:
  ///   - expression: Five or six fields, or a name such as `@daily`: see <doc:Cron>.
  ///   - zone: The time zone's name in the system's database. Default: `UTC`.
  /// - Throws: ``/Qudo/QudoError``; ``/Qudo/QudoError/Code/invalidArgument`` if the expression or the zone is not valid.
  public static func cron(_ expression: String, in zone: String = "UTC") throws(QudoError) -> ScheduleRule {
    .cron(try CronExpression(expression), in: try TimeZoneRules(named: zone))
  }

  static let shortestInterval = Duration.milliseconds(100)
}

extension ScheduleRule: CustomStringConvertible {
  /// The text that the database stores: `every 1h30m`, or `cron 30 2 * * * Europe/Berlin`.
  public var description: String {
    switch self {
    case .every(let interval): "every \(Self.exact(interval))"
    case .cron(let expression, let zone): "cron \(expression) \(zone)"
    }
  }

  /// Parses ``description``.
  ///
  /// - Throws: ``/Qudo/QudoError``; ``/Qudo/QudoError/Code/invalidArgument`` if the text is not a rule.
  public init(_ text: String) throws(QudoError) {
    let words = text.split(separator: " ", maxSplits: 1)
    switch (words.first, words.last) {
    case ("every", let rest?) where words.count == 2:
      self = .every(try Duration(parsing: String(rest)))
      try check()
    case ("cron", let rest?) where words.count == 2:
      guard let space = rest.lastIndex(of: " ") else { fallthrough }
      self = try .cron(String(rest[..<space]), in: String(rest[space...].dropFirst()))
    default:
      throw QudoError(
        .invalidArgument,
        "'\(text.prefix(80))' is not a rule: write for example every 30s, or cron 30 2 * * * Europe/Berlin")
    }
  }

  /// A text of the interval in whole units, so that none of it is lost.
  private static func exact(_ interval: Duration) -> String {
    var rest = max(0, interval.wholeMicroseconds)
    var text = ""
    for (unit, size) in [
      ("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1000),
    ] {
      let (whole, left) = rest.quotientAndRemainder(dividingBy: Int64(size))
      if whole > 0 { text += "\(whole)\(unit)" }
      rest = left
    }
    return text.isEmpty ? "0s" : text
  }

  /// - Throws: ``QudoError/Code/invalidArgument`` if the interval is too short or not in whole milliseconds.
  package func check() throws(QudoError) {
    guard case .every(let interval) = self else { return }
    let time = interval.wholeMicroseconds
    guard interval >= Self.shortestInterval, time % 1000 == 0, interval <= .seconds(100_000 * 86_400) else {
      throw QudoError(
        .invalidArgument,
        "the interval \(interval.inUnits) of a schedule is not allowed: give whole milliseconds, at least 100 and at most 100,000 days"
      )
    }
  }
}

extension ScheduleRule {
  /// Returns the first tick after a time, or nil if there is none until the end of the year 9999.
  public func next(after time: Timestamp) -> Timestamp? {
    switch self {
    case .cron(let expression, let zone): return expression.next(after: time, in: zone)
    case .every(let interval):
      let step = max(1, interval.wholeMicroseconds)
      let (tick, isTooLate) = (Self.multiple(of: step, notAfter: time) * step).addingReportingOverflow(step)
      return isTooLate || tick > Timestamp.latest.microseconds ? nil : Timestamp(microseconds: tick)
    }
  }

  /// Returns the first ticks after a time.
  ///
  /// - Parameters:
  ///   - time: An instant; a tick at this very instant does not count.
  ///   - end: The end of the span; a tick at this very instant counts. Default: the end of the year 9999.
  ///   - count: The maximum number of ticks.
  public func ticks(after time: Timestamp, through end: Timestamp = .latest, count: Int) -> [Timestamp] {
    var ticks: [Timestamp] = []
    var time = time
    while ticks.count < count, let tick = next(after: time), tick <= end {
      ticks.append(tick)
      time = tick
    }
    return ticks
  }

  /// Returns the last ticks up to `end`, at most `count` and none at or before `time`.
  func last(_ count: Int, after time: Timestamp, through end: Timestamp) -> [Timestamp] {
    switch self {
    case .cron(let expression, let zone):
      return expression.ticks(after: time, through: end, in: zone, last: count)
    case .every(let interval):
      let step = max(1, interval.wholeMicroseconds)
      var ticks: [Timestamp] = []
      var tick = Timestamp(microseconds: Self.multiple(of: step, notAfter: end) * step)
      while ticks.count < count, tick > time {
        ticks.append(tick)
        tick.microseconds -= step
      }
      return ticks.reversed()
    }
  }

  private static func multiple(of step: Int64, notAfter time: Timestamp) -> Int64 {
    let time = min(max(time, .earliest), .latest).microseconds
    let (quotient, rest) = time.quotientAndRemainder(dividingBy: step)
    return rest < 0 ? quotient - 1 : quotient
  }
}
