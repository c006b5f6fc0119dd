/// A field of a cron expression, in the order of an expression with six fields.
enum CronField: Int, CaseIterable, Sendable {
  case second, minute, hour, dayOfMonth, month, dayOfWeek

  var name: String {
    switch self {
    case .second: "second"
    case .minute: "minute"
    case .hour: "hour"
    case .dayOfMonth: "day of month"
    case .month: "month"
    case .dayOfWeek: "day of week"
    }
  }

  /// The distinct values. Sunday is 0 here.
  var values: ClosedRange<Int> {
    switch self {
    case .second, .minute: 0...59
    case .hour: 0...23
    case .dayOfMonth: 1...31
    case .month: 1...12
    case .dayOfWeek: 0...6
    }
  }

  /// The highest number that an expression may have: 7 is a second number of Sunday.
  var highest: Int { self == .dayOfWeek ? 7 : values.upperBound }

  /// The names of the values, beginning with the lowest value.
  var valueNames: [StaticString] {
    switch self {
    case .month: ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
    case .dayOfWeek: ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
    default: []
    }
  }

  /// The values that an expression may have, for messages.
  var allowed: String {
    switch self {
    case .second, .minute, .hour: "give \(values.lowerBound) to \(values.upperBound)"
    case .dayOfMonth: "give 1 to 31, L, L-3, 15W or LW"
    case .month: "give 1 to 12 or JAN to DEC"
    case .dayOfWeek: "give 0 to 7 (0 and 7 are Sunday), SUN to SAT, FRI#2 or FRIL"
    }
  }
}
