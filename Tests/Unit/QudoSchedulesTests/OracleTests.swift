import Qudo
import QudoTesting
import Testing

@testable import QudoSchedules

/// Ticks against a matcher that looks at each minute or second, for random expressions. A failure names the
/// expression; the seed makes the same ones again.
@Suite struct OracleTests {
  static let seeds: [UInt64] = Array(1...40)

  @Test("each minute of three years, in UTC", arguments: seeds) func minutes(seed: UInt64) throws {
    var random = Seeded(seed: seed)
    let text = RandomExpression.text(&random)
    let start = Int64.random(in: -60...60, using: &random) * 366 * 86_400
    try check(text, from: start, days: 3 * 366, seconds: 60)
  }

  @Test("each second of two days, in UTC", arguments: seeds) func seconds(seed: UInt64) throws {
    var random = Seeded(seed: seed)
    let text = RandomExpression.field(0...59, &random) + " " + RandomExpression.text(&random)
    let start = Int64.random(in: -20_000...20_000, using: &random) * 86_400
    try check(text, from: start, days: 2, seconds: 1)
  }

  /// Compares the first 500 ticks of a span, forwards and backwards.
  private func check(_ text: String, from start: Int64, days: Int64, seconds: Int64) throws {
    let expression = try CronExpression(text)
    let naive = NaiveCron(text)
    let times = (0..<86_400 / seconds).map { $0 * seconds }.filter(naive.matchesTime)
    var expected: [Int64] = []
    for day in 0..<days where naive.matchesDay(start / 86_400 + day) {
      expected += times.map { start + day * 86_400 + $0 }
      if expected.count > 500 { break }
    }
    expected = Array(expected.prefix(500))
    let end = expected.count == 500 ? expected[499] : start + days * 86_400 - 1
    let (before, last) = (Timestamp(second: start - 1), Timestamp(second: end))
    let forwards = expression.ticks(after: before, through: last, in: .utc, first: 501).map(\.second)
    #expect(forwards == expected, "\(text)")
    let backwards = expression.ticks(after: before, through: last, in: .utc, last: 501).map(\.second)
    #expect(backwards == expected, "\(text)")
  }

  /// Zones whose clocks changed in odd ways, and a time near such a change.
  static let changes = [
    ("Europe/Berlin", "2026-03-29T01:00:00Z"), ("Europe/Berlin", "2026-10-25T01:00:00Z"),
    ("Europe/Berlin", "2061-03-27T01:00:00Z"), ("America/New_York", "2026-11-01T06:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"), ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"),
    ("Pacific/Apia", "2011-12-30T10:00:00Z"), ("Pacific/Apia", "2011-04-02T14:00:00Z"),
    ("Europe/Dublin", "2026-10-25T01:00:00Z"), ("Europe/Dublin", "2027-03-28T01:00:00Z"),
    ("Antarctica/Troll", "2026-03-29T01:00:00Z"), ("Antarctica/Troll", "2026-10-25T01:00:00Z"),
    ("America/Sao_Paulo", "2018-02-18T02:00:00Z"), ("America/Sao_Paulo", "2018-11-04T03:00:00Z"),
    // Ramadan: the clock goes back, and forth four weeks later.
    ("Africa/Casablanca", "2026-02-15T02:00:00Z"), ("Africa/Casablanca", "2026-03-22T02:00:00Z"),
    ("Asia/Gaza", "2026-03-28T00:00:00Z"), ("Asia/Gaza", "2026-10-24T00:00:00Z"),
    ("Asia/Gaza", "2011-08-30T21:00:00Z"), ("America/Nuuk", "2023-03-26T01:00:00Z"),
    ("America/Nuuk", "2026-10-25T01:00:00Z"), ("Pacific/Kwajalein", "1993-08-21T12:00:00Z"),
    ("America/St_Johns", "2010-11-07T02:31:00Z"), ("America/St_Johns", "1988-10-30T01:31:00Z"),
    // From +11 to -12: a day that the clock shows twice, but for an hour.
    ("Pacific/Kwajalein", "1969-09-30T13:00:00Z"), ("Asia/Kathmandu", "1985-12-31T18:30:00Z"),
  ]

  @Test("each minute around changes of the clock", arguments: changes)
  func zones(name: String, change: String) throws {
    let zone = try Vectors.zone(name)
    let (first, last) = (at(change).second - 30 * 3600, at(change).second + 30 * 3600)
    // What the clock shows at each minute, and whether it shows it, or something later, for the first time.
    var highest = first - 600 + zone.period(at: first - 600).offset
    var shown: [(second: Int64, reading: Int64, skipped: Range<Int64>)] = []
    for second in stride(from: first - 540, through: last, by: 60) {
      let reading = second + Int64(zone.offset(at: Timestamp(second: second)).components.seconds)
      if second >= first { shown.append((second, reading, highest + 60..<max(reading, highest) + 60)) }
      highest = max(highest, reading)
    }
    var random = Seeded(seed: UInt64(first.magnitude))
    for _ in 0..<8 {
      let text = RandomExpression.text(&random, wildDays: 0.8)
      let (expression, naive) = (try CronExpression(text), NaiveCron(text))
      let expected = shown.filter { minute in
        naive.hasEveryHour
          ? naive.matches(minute.reading)
          : stride(from: minute.skipped.lowerBound, to: minute.skipped.upperBound, by: 60).contains(
            where: naive.matches)
      }.map(\.second)
      let span = (Timestamp(second: first - 1), Timestamp(second: last))
      let forwards = expression.ticks(after: span.0, through: span.1, in: zone, first: .max).map(\.second)
      #expect(forwards == expected, "\(text) in \(name)")
      let backwards = expression.ticks(after: span.0, through: span.1, in: zone, last: .max).map(\.second)
      #expect(backwards == expected, "\(text) in \(name)")

      // From any minute, also while the clock shows times for the second time.
      for second in stride(from: first + 1, to: last, by: 11 * 60) {
        let time = Timestamp(second: second)
        if let tick = expected.first(where: { $0 > second }) {
          #expect(
            expression.next(after: time, in: zone)?.second == tick, "\(text) in \(name) after \(second)")
        }
        if let tick = expected.last(where: { $0 < second }) {
          #expect(
            expression.previous(before: time, in: zone)?.second == tick, "\(text) in \(name) before \(second)"
          )
        }
      }
    }
  }
}

/// Random texts of expressions with five fields.
enum RandomExpression {
  static func text(_ random: inout Seeded, wildDays: Double = 0.5) -> String {
    [
      field(0...59, &random, wild: 0.2), field(0...23, &random), days(&random, wild: wildDays),
      field(1...12, &random, wild: max(0.6, wildDays)), weekdays(&random, wild: wildDays),
    ].joined(separator: " ")
  }

  static func field(_ values: ClosedRange<Int>, _ random: inout Seeded, wild: Double = 0.4) -> String {
    if Double.random(in: 0..<1, using: &random) < wild { return "*" }
    return (0..<Int.random(in: 1...3, using: &random)).map { _ in item(values, &random) }.joined(
      separator: ",")
  }

  private static func item(_ values: ClosedRange<Int>, _ random: inout Seeded) -> String {
    let (first, last) = (Int.random(in: values, using: &random), Int.random(in: values, using: &random))
    let step = Int.random(in: 1...values.count, using: &random)
    switch Int.random(in: 0..<6, using: &random) {
    case 0: return "*/\(step)"
    case 1: return "\(first)/\(step)"
    case 2: return "\(first)-\(last)"
    case 3: return "\(first)-\(last)/\(step)"
    default: return "\(first)"
    }
  }

  private static func days(_ random: inout Seeded, wild: Double) -> String {
    switch Int.random(in: 0..<20, using: &random) {
    case 0: "L"
    case 1: "L-\(Int.random(in: 1...30, using: &random))"
    case 2: "LW,3"
    case 3: "\(Int.random(in: 1...31, using: &random))W"
    case 4: "?"
    default: field(1...31, &random, wild: wild)
    }
  }

  private static func weekdays(_ random: inout Seeded, wild: Double) -> String {
    let weekday = Int.random(in: 0...7, using: &random)
    switch Int.random(in: 0..<20, using: &random) {
    case 0: return "\(weekday)#\(Int.random(in: 1...5, using: &random))"
    case 1: return "\(weekday)L"
    case 2: return "\(min(weekday, 5))-7"
    case 3: return "1,\(weekday)L"
    default: return field(0...6, &random, wild: wild)
    }
  }
}

/// Cron by the letter: each item of each field is looked at for each value. It shares no code with the
/// product.
struct NaiveCron {
  private let fields: [[String]]
  private let hasValue: [[Bool]]
  let hasEveryHour: Bool

  init(_ text: String) {
    let parts = text.split(separator: " ").map { $0.split(separator: ",").map(String.init) }
    let fields = parts.count == 5 ? [["0"]] + parts : parts
    let ranges = [0: 0...59, 1: 0...59, 2: 0...23, 4: 1...12]
    self.fields = fields
    hasValue = fields.indices.map { index in
      (0..<60).map { value in
        guard let range = ranges[index], range.contains(value) else { return false }
        return fields[index].contains { Self.has(value, $0, range) }
      }
    }
    hasEveryHour = hasValue[2].prefix(24).allSatisfy { $0 }
  }

  func matches(_ reading: Int64) -> Bool {
    let day = Int64((Double(reading) / 86_400).rounded(.down))
    return matchesTime(reading - day * 86_400) && matchesDay(day)
  }

  func matchesTime(_ second: Int64) -> Bool {
    hasValue[0][Int(second % 60)] && hasValue[1][Int(second / 60 % 60)] && hasValue[2][Int(second / 3600)]
  }

  func matchesDay(_ day: Int64) -> Bool {
    let (month, number, weekday, length) = Self.days[Int(day) + Self.daysBefore1970]
    guard hasValue[4][month] else { return false }
    let byDate = fields[3].contains { dayMatches($0, number, weekday, length) }
    let byWeekday = fields[5].contains { weekdayMatches($0, number, weekday, length) }
    let areBothRestricted = [3, 5].allSatisfy { !fields[$0][0].hasPrefix("*") && fields[$0][0] != "?" }
    return areBothRestricted ? byDate || byWeekday : byDate && byWeekday
  }

  private static let daysBefore1970 = 70 * 365 + 17

  /// The days from 1900, which began with a Monday, to 2070, counted one by one.
  private static let days: [(month: Int, day: Int, weekday: Int, length: Int)] = {
    var days: [(month: Int, day: Int, weekday: Int, length: Int)] = []
    for year in 1900...2070 {
      let lengths = [31, year % 4 == 0 && year != 1900 ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
      for (month, length) in lengths.enumerated() {
        for day in 1...length { days.append((month + 1, day, (days.count + 1) % 7, length)) }
      }
    }
    return days
  }()

  private func dayMatches(_ item: String, _ day: Int, _ weekday: Int, _ length: Int) -> Bool {
    if item == "?" { return true }
    if item == "L" { return day == length }
    let weekdays = (1...length).filter { (1...5).contains((weekday + 35 + $0 - day) % 7) }
    if item == "LW" { return day == weekdays.last }
    if item.hasPrefix("L-") { return day == length - (Int(item.dropFirst(2)) ?? 99) }
    if item.hasSuffix("W"), let near = Int(item.dropLast()) {
      return near <= length && day == weekdays.min { abs($0 - near) < abs($1 - near) }
    }
    return Self.has(day, item, 1...31)
  }

  private func weekdayMatches(_ item: String, _ day: Int, _ weekday: Int, _ length: Int) -> Bool {
    if item == "?" { return true }
    if item.contains("#") {
      let parts = item.split(separator: "#").compactMap { Int($0) }
      return parts[0] % 7 == weekday && (day + 6) / 7 == parts[1]
    }
    if item.hasSuffix("L") { return (Int(item.dropLast()) ?? 99) % 7 == weekday && day + 7 > length }
    if item.hasSuffix("-7") { return weekday == 0 || weekday >= Int(item.dropLast(2)) ?? 99 }
    return Self.has(weekday, item == "7" ? "0" : item, 0...6)
  }

  /// Goes through the range step by step.
  private static func has(_ value: Int, _ item: String, _ values: ClosedRange<Int>) -> Bool {
    let parts = item.split(separator: "/")
    let step = parts.count == 2 ? Int(parts[1]) ?? 0 : 1
    let ends =
      parts[0] == "*"
      ? [values.lowerBound, values.upperBound] : parts[0].split(separator: "-").compactMap { Int($0) }
    let last = ends.count == 2 ? ends[1] : parts.count == 2 ? values.upperBound : ends[0]
    var (current, left) = (ends[0], step)
    if current == value { return true }
    while current != last {
      current = current == values.upperBound ? values.lowerBound : current + 1
      left -= 1
      if left == 0 {
        left = step
        if current == value { return true }
      }
    }
    return false
  }
}
