internal import Qudo

/// A month of a year, with its length and the weekday of its first day.
struct MonthOfYear {
  private(set) var year: Int64
  private(set) var month: Int64
  /// The days from 1970-01-01 to the first day.
  private(set) var firstDay: Int64

  init(year: Int64, month: Int64) {
    self.year = year
    self.month = month
    firstDay = CalendarTime.days(year: year, month: month, day: 1)
  }

  var length: Int { Int(CalendarTime.daysInMonth(year: year, month: month)) }

  /// Bits 1 to ``length``.
  var allDays: UInt64 { (2 << UInt64(length)) - 2 }

  /// The weekday of the first day; 0 is Sunday. 1970-01-01 was a Thursday.
  var firstWeekday: Int { Int((firstDay + 4).flooredRemainder(by: 7)) }

  /// The first day that is such a weekday.
  func first(weekday: Int) -> Int { (weekday - firstWeekday + 7) % 7 + 1 }

  /// The day from Monday to Friday that is nearest to `day`, in the same month.
  func weekday(nearest day: Int) -> Int {
    switch (firstWeekday + day - 1) % 7 {
    case 6: day > 1 ? day - 1 : day + 2
    case 0: day < length ? day + 1 : day - 2
    default: day
    }
  }

  /// Goes to the next month of the set, or to the first one of the next year.
  mutating func advance(to months: UInt64) {
    if let later = months.lowest(from: Int(month) + 1) {
      self = MonthOfYear(year: year, month: Int64(later))
    } else {
      self = MonthOfYear(year: year + 1, month: Int64(months.trailingZeroBitCount))
    }
  }

  /// Goes to the previous month of the set, or to the last one of the previous year.
  mutating func retreat(to months: UInt64) {
    if let earlier = months.highest(through: Int(month) - 1) {
      self = MonthOfYear(year: year, month: Int64(earlier))
    } else {
      self = MonthOfYear(year: year - 1, month: Int64(months.highestBit))
    }
  }
}
