public import Qudo

// A tick is an instant at which an expression matches, in whole seconds.
extension CronExpression {
  /// Returns the first tick after `time`.
  ///
  /// If the expression does not match in every hour, each matching time of a day is one tick: at the first
  /// instant after it if the clock skips it, and only the first time if the clock shows it twice.
  ///
  /// - Parameters:
  ///   - time: An instant; a tick at this very instant does not count.
  ///   - zone: The time zone whose clock the expression refers to.
  /// - Returns: Nil if there is no later tick until the end of the year 9999, such as for 30 February.
  public func next(after time: Timestamp, in zone: TimeZoneRules) -> Timestamp? {
    let second = min(max(time, Self.beforeAll), .latest).microseconds.flooredQuotient(by: 1_000_000)
    return timestamp(pattern.hasEveryHour ? nextReading(second, zone) : nextTime(second, zone))
  }

  /// Returns the last tick before `time`.
  ///
  /// To include a tick at `time` itself, pass a time that is one microsecond later.
  ///
  /// - Parameters:
  ///   - time: An instant; a tick at this very instant does not count.
  ///   - zone: The time zone whose clock the expression refers to.
  /// - Returns: Nil if there is no earlier tick since the beginning of the year 1.
  public func previous(before time: Timestamp, in zone: TimeZoneRules) -> Timestamp? {
    // The last whole second that is earlier.
    let second = (min(max(time, .earliest), Self.afterAll).microseconds - 1).flooredQuotient(by: 1_000_000)
    return timestamp(pattern.hasEveryHour ? previousReading(second, zone) : previousTime(second, zone))
  }

  /// Returns the first ticks of a span of time, in their order.
  ///
  /// - Parameters:
  ///   - start: The instant before the span; a tick at this very instant does not count.
  ///   - end: The end of the span; a tick at this very instant counts.
  ///   - zone: The time zone whose clock the expression refers to.
  ///   - count: The maximum number of ticks.
  public func ticks(
    after start: Timestamp, through end: Timestamp, in zone: TimeZoneRules, first count: Int
  ) -> [Timestamp] {
    var ticks: [Timestamp] = []
    var time = start
    while ticks.count < count, let tick = next(after: time, in: zone), tick <= end {
      ticks.append(tick)
      time = tick
    }
    return ticks
  }

  /// Returns the last ticks of a span of time, in their order.
  ///
  /// - Parameters:
  ///   - start: The instant before the span; a tick at this very instant does not count.
  ///   - end: The end of the span; a tick at this very instant counts.
  ///   - zone: The time zone whose clock the expression refers to.
  ///   - count: The maximum number of ticks.
  public func ticks(
    after start: Timestamp, through end: Timestamp, in zone: TimeZoneRules, last count: Int
  ) -> [Timestamp] {
    var ticks: [Timestamp] = []
    var time = Timestamp(microseconds: min(end, .latest).microseconds + 1)
    while ticks.count < count, let tick = previous(before: time, in: zone), tick > start {
      ticks.append(tick)
      time = tick
    }
    return ticks.reversed()
  }

  private static let beforeAll = Timestamp(microseconds: Timestamp.earliest.microseconds - 1)
  private static let afterAll = Timestamp(microseconds: Timestamp.latest.microseconds + 1)

  private func timestamp(_ second: Int64?) -> Timestamp? {
    guard let second else { return nil }
    let time = Timestamp(microseconds: second * 1_000_000)
    return (.earliest ... .latest).contains(time) ? time : nil
  }
}

// Fixed times. A time of the clock has one tick: the first second at which the clock has reached it. So the
// clock has passed it at a second if it has shown it, or something later, until then.
extension CronExpression {
  private func nextTime(_ second: Int64, _ zone: TimeZoneRules) -> Int64? {
    pattern.first(onOrAfter: zone.highestReading(through: second) + 1).map(zone.firstSecond(reaching:))
  }

  private func previousTime(_ second: Int64, _ zone: TimeZoneRules) -> Int64? {
    pattern.last(onOrBefore: zone.highestReading(through: second)).map(zone.firstSecond(reaching:))
  }
}

// Every hour. Each second at which the clock shows a matching time is a tick.
extension CronExpression {
  private func nextReading(_ second: Int64, _ zone: TimeZoneRules) -> Int64? {
    var start = second + 1
    while true {
      let period = zone.period(at: start)
      let reading = start + period.offset
      guard let match = pattern.first(onOrAfter: reading) else { return nil }
      if match - period.offset < period.end { return match - period.offset }
      // The clock shows nothing that matches between `reading` and `match`, whatever its offset. If it is not
      // set back before `reading`, there is nothing to look for until it may show `match`.
      start = period.end
      if start + TimeZoneRules.offsets.lowerBound >= reading {
        start = max(start, match - TimeZoneRules.offsets.upperBound)
      }
    }
  }

  private func previousReading(_ second: Int64, _ zone: TimeZoneRules) -> Int64? {
    var end = second
    while true {
      let period = zone.period(at: end)
      let reading = end + period.offset
      guard let match = pattern.last(onOrBefore: reading) else { return nil }
      if match - period.offset >= period.start { return match - period.offset }
      end = period.start - 1
      if end + TimeZoneRules.offsets.upperBound <= reading {
        end = min(end, match - TimeZoneRules.offsets.lowerBound)
      }
    }
  }
}
