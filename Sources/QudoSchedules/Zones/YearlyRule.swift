internal import Qudo

/// The rule for the time after the last change of a table: daylight saving time each year.
struct YearlyRule: Hashable, Sendable {
  /// Seconds east of UTC.
  var standard: Int64
  /// Seconds east of UTC; less than ``standard`` in Dublin, where winter is the exception.
  var daylight: Int64
  /// By the clock of standard time.
  var start: Date
  /// By the clock of daylight saving time.
  var end: Date

  /// A day of a year and a time of day.
  struct Date: Hashable, Sendable {
    enum Day: Hashable, Sendable {
      /// `J60` is 1 March in every year.
      case withoutLeapDay(Int64)
      /// 59 is 29 February in leap years, 1 March in others.
      case sinceNewYear(Int64)
      /// The first to fifth such weekday of a month; the fifth is the last one.
      case weekday(month: Int64, week: Int, weekday: Int)
    }
    var day: Day
    /// Seconds since midnight: from -167 to 167 hours.
    var second: Int64

    /// Seconds since 1970-01-01 00:00 of the clock.
    func reading(in year: Int64) -> Int64 { days(in: year) * 86_400 + second }

    private func days(in year: Int64) -> Int64 {
      switch day {
      case .sinceNewYear(let day): return MonthOfYear(year: year, month: 1).firstDay + day
      case .withoutLeapDay(let day):
        let isLeap = CalendarTime.daysInMonth(year: year, month: 2) == 29
        return MonthOfYear(year: year, month: 1).firstDay + day - (isLeap && day >= 60 ? 0 : 1)
      case .weekday(let number, let week, let weekday):
        let month = MonthOfYear(year: year, month: number)
        var day = month.first(weekday: weekday) + 7 * (week - 1)
        if day > month.length { day -= 7 }
        return month.firstDay + Int64(day) - 1
      }
    }
  }

  /// Narrows a period, in which the rule holds, to the part with one offset that has `second` in it.
  func narrow(_ period: inout OffsetPeriod, around second: Int64) {
    let year = CalendarTime.date(days: (second + standard).flooredQuotient(by: 86_400)).year
    let start = period.start
    // Offsets and times beyond a day can move a change into a neighboring year.
    for year in year - 1...year + 1 { narrow(&period, around: second, changesOf: year) }
    // No real rule moves all changes of a year.
    if period.start == start { narrow(&period, around: second, changesOf: year - 2) }
    if period.end == .max { narrow(&period, around: second, changesOf: year + 2) }
  }

  private func narrow(_ period: inout OffsetPeriod, around second: Int64, changesOf year: Int64) {
    let changes = [
      (start.reading(in: year) - standard, daylight), (end.reading(in: year) - daylight, standard),
    ]
    for (change, offset) in changes {
      if change > second {
        period.end = min(period.end, change)
      } else if change >= period.start {
        (period.start, period.offset) = (change, offset)
      }
    }
  }
}
