internal import Qudo

/// The values that a cron expression matches, as sets of bits: bit 5 of ``hours`` is five o'clock.
struct CronPattern: Hashable, Sendable {
  /// Second 0 only, in expressions with five fields.
  var seconds: UInt64 = 0
  var minutes: UInt64 = 0
  var hours: UInt64 = 0
  /// Bit 1 is the first day of the month.
  var days: UInt64 = 0
  /// Bit 0 is the last day of the month (`L`), bit 3 is three days before it (`L-3`).
  var daysBeforeEnd: UInt64 = 0
  /// The days whose nearest weekday matches (`15W`).
  var daysNearWeekday: UInt64 = 0
  /// Matches the last Monday-to-Friday day of the month (`LW`).
  var hasLastWeekday = false
  /// Bit 1 is January.
  var months: UInt64 = 0
  /// Bit 0 is Sunday.
  var weekdays: UInt64 = 0
  /// Bit 5 · weekday + n - 1 is the n-th such day of the month (`FRI#2`).
  var nthWeekdays: UInt64 = 0
  /// The weekdays whose last occurrence in a month matches (`FRIL`).
  var lastWeekdays: UInt64 = 0
  /// A day matches if either its day of month or its day of week does, not only if both do.
  var matchesEitherDay = false

  /// Every hour matches: ticks follow the clock through its changes, and are not fixed times of a day.
  var hasEveryHour: Bool { hours == (1 << 24) - 1 }
}

extension CronPattern {
  /// The first matching reading of a clock at or after `reading`, in seconds since 1970-01-01 00:00 of that
  /// clock.
  ///
  /// - Returns: Nil if no reading ever matches, such as for 30 February.
  func first(onOrAfter reading: Int64) -> Int64? {
    let (day, second) = Self.split(reading)
    let date = CalendarTime.date(days: day)
    var month = MonthOfYear(year: date.year, month: date.month)
    var matching = days(of: month) & (~0 << UInt64(date.day))
    if matching & 1 << UInt64(date.day) != 0 {
      if let time = firstTime(onOrAfter: second) { return day * 86_400 + time }
      matching &= matching - 1
    }
    // The calendar repeats after 400 years, weekdays included.
    let lastYear = month.year + 400
    while matching == 0 {
      month.advance(to: months)
      guard month.year <= lastYear else { return nil }
      matching = days(of: month)
    }
    let found = month.firstDay + Int64(matching.trailingZeroBitCount) - 1
    return firstTime(onOrAfter: 0).map { found * 86_400 + $0 }
  }

  /// The last matching reading of a clock at or before `reading`; nil as with ``first(onOrAfter:)``.
  func last(onOrBefore reading: Int64) -> Int64? {
    let (day, second) = Self.split(reading)
    let date = CalendarTime.date(days: day)
    var month = MonthOfYear(year: date.year, month: date.month)
    let today: UInt64 = 1 << UInt64(date.day)
    let all = days(of: month)
    if all & today != 0, let time = lastTime(onOrBefore: second) { return day * 86_400 + time }
    var matching = all & (today - 1)
    let firstYear = month.year - 400
    while matching == 0 {
      month.retreat(to: months)
      guard month.year >= firstYear else { return nil }
      matching = days(of: month)
    }
    let found = month.firstDay + Int64(matching.highestBit) - 1
    return lastTime(onOrBefore: 86_399).map { found * 86_400 + $0 }
  }

  private static func split(_ reading: Int64) -> (day: Int64, second: Int64) {
    let day = reading.flooredQuotient(by: 86_400)
    return (day, reading - day * 86_400)
  }

  /// The matching days of a month; bit 1 is the first one.
  private func days(of month: MonthOfYear) -> UInt64 {
    guard months >> UInt64(month.month) & 1 == 1 else { return 0 }
    let byDate = daysByDate(month)
    let byWeekday = daysByWeekday(month)
    return matchesEitherDay ? byDate | byWeekday : byDate & byWeekday
  }

  private func daysByDate(_ month: MonthOfYear) -> UInt64 {
    var matching = days & month.allDays
    var rest = daysBeforeEnd
    while let before = rest.removeLowest(), before < month.length {
      matching |= 1 << UInt64(month.length - before)
    }
    rest = daysNearWeekday & month.allDays
    while let day = rest.removeLowest() { matching |= 1 << UInt64(month.weekday(nearest: day)) }
    if hasLastWeekday { matching |= 1 << UInt64(month.weekday(nearest: month.length)) }
    return matching
  }

  private func daysByWeekday(_ month: MonthOfYear) -> UInt64 {
    // The week, beginning with the weekday of the first, five times.
    let first = UInt64(month.firstWeekday)
    let week = (weekdays >> first | weekdays << (7 - first)) & 0x7f
    var matching = week * 0x1020_4081 << 1
    var rest = nthWeekdays
    while let bit = rest.removeLowest() {
      matching |= 1 << UInt64(month.first(weekday: bit / 5) + 7 * (bit % 5))
    }
    rest = lastWeekdays
    while let weekday = rest.removeLowest() {
      let first = month.first(weekday: weekday)
      matching |= 1 << UInt64(first + (month.length - first) / 7 * 7)
    }
    return matching & month.allDays
  }

  /// The first matching second of a day at or after `second`.
  private func firstTime(onOrAfter second: Int64) -> Int64? {
    let (hour, minute) = (Int(second / 3600), Int(second / 60 % 60))
    if hours >> UInt64(hour) & 1 == 1 {
      if minutes >> UInt64(minute) & 1 == 1, let found = seconds.lowest(from: Int(second % 60)) {
        return second - second % 60 + Int64(found)
      }
      if let found = minutes.lowest(from: minute + 1) {
        return time(hour, found, seconds.trailingZeroBitCount)
      }
    }
    return hours.lowest(from: hour + 1).map {
      time($0, minutes.trailingZeroBitCount, seconds.trailingZeroBitCount)
    }
  }

  /// The last matching second of a day at or before `second`.
  private func lastTime(onOrBefore second: Int64) -> Int64? {
    let (hour, minute) = (Int(second / 3600), Int(second / 60 % 60))
    if hours >> UInt64(hour) & 1 == 1 {
      if minutes >> UInt64(minute) & 1 == 1, let found = seconds.highest(through: Int(second % 60)) {
        return second - second % 60 + Int64(found)
      }
      if let found = minutes.highest(through: minute - 1) { return time(hour, found, seconds.highestBit) }
    }
    return hours.highest(through: hour - 1).map { time($0, minutes.highestBit, seconds.highestBit) }
  }

  private func time(_ hour: Int, _ minute: Int, _ second: Int) -> Int64 {
    Int64(hour * 3600 + minute * 60 + second)
  }
}
