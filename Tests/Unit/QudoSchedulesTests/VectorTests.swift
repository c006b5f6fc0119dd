import Qudo
import Testing

@testable import QudoSchedules

/// The ticks that PyPI's croniter finds. `vectors.py` makes them.
@Suite struct VectorTests {
  struct Group: Sendable {
    var zone: String
    var text: String
    /// In seconds since 1970.
    var start: Int64
    /// In seconds since 1970; nil if croniter finds none within 50 years.
    var next: [Int64?]
    var previous: [Int64?]
  }

  static let groups: [Group] = Vectors.lines.flatMap { line -> [Group] in
    let parts = line.split(separator: "|").map(String.init)
    guard parts.count > 2 else { return [] }
    return parts.dropFirst(2).compactMap { group in
      let words = group.split(separator: " ")
      guard let start = Int64(words[0], radix: 36), let middle = words.firstIndex(of: "/") else { return nil }
      return Group(
        zone: parts[0], text: parts[1], start: start, next: chain(words[1..<middle], from: start, by: 1),
        previous: chain(words[(middle + 1)...], from: start, by: -1))
    }
  }

  private static func chain(_ words: ArraySlice<Substring>, from start: Int64, by sign: Int64) -> [Int64?] {
    var time = start
    return words.map { word in
      guard let distance = Int64(word, radix: 36) else { return nil }
      time += sign * distance
      return time
    }
  }

  /// Why Qudo and croniter find different ticks. The first five depend on the expression, the others on the
  /// zone.
  enum Reason {
    /// `5-5` is 5, as in Vixie cron and Quartz; in croniter it is every value.
    case equalRange
    /// `22-6/3` is 22, 1, 4, as in Quartz; croniter starts again after the highest value, one too late.
    case wrappedStep
    /// `15W FRI` or `13 FRI#2` match either day; croniter takes only days that match both.
    case eitherSpecialDay
    /// `31W` matches in no month without a 31st; croniter takes the last day there.
    case weekdayNearMissingDay
    /// `2,*/7` is restricted, because it does not begin with `*`, and `0-6` is, too; croniter takes the
    /// latter as `*` if the former has a `*` anywhere.
    case everyDayListed
    /// A fixed time runs once in an overlap, the first time; in croniter twice.
    case secondTime
    /// A fixed time in a gap runs at the first instant after it; croniter keeps its seconds.
    case secondOfMinute
  }

  @Test("at least 10,000 ticks are those of croniter, the others differ for a reason") func ticks() throws {
    var zones: [String: TimeZoneRules] = [:]
    var agreeing = 0
    var differing: [Reason: Int] = [:]
    var unexplained: [String] = []
    for group in Self.groups {
      let zone = try zones[group.zone] ?? Vectors.zone(group.zone)
      zones[group.zone] = zone
      let expression = try CronExpression(group.text)
      for (ticks, isForward) in [(group.next, true), (group.previous, false)] {
        var time = group.start
        for tick in ticks {
          let start = Timestamp(second: time)
          let found =
            isForward ? expression.next(after: start, in: zone) : expression.previous(before: start, in: zone)
          if found?.second == tick {
            agreeing += 1
          } else if let reason = reason(expression, zone, time, croniter: tick, qudo: found?.second) {
            differing[reason, default: 0] += 1
          } else {
            unexplained.append(
              "\(expression) in \(zone) from \(time): \(found?.second ?? 0), not \(tick ?? 0)"
            )
          }
          time = tick ?? time
        }
      }
    }
    #expect(unexplained == [])
    #expect(agreeing == 22_809)
    #expect(
      differing == [
        .equalRange: 570, .wrappedStep: 188, .eitherSpecialDay: 144, .weekdayNearMissingDay: 21,
        .everyDayListed: 3,
        .secondTime: 70, .secondOfMinute: 19,
      ])
  }

  private func reason(
    _ expression: CronExpression, _ zone: TimeZoneRules, _ start: Int64, croniter: Int64?, qudo: Int64?
  ) -> Reason? {
    if let reason = Self.reason(expression.description) { return reason }
    guard !expression.pattern.hasEveryHour, let croniter, let qudo else { return nil }
    if zone.firstSecond(reaching: croniter + zone.period(at: croniter).offset) < croniter {
      return .secondTime
    }
    let gapEnd = zone.period(at: qudo).start
    if qudo == gapEnd, (1..<60).contains(croniter - gapEnd) || (1..<60).contains(start - gapEnd) {
      return .secondOfMinute
    }
    return nil
  }

  private static func reason(_ text: String) -> Reason? {
    let fields = text.uppercased().split(separator: " ").map { $0.split(separator: ",").map(String.init) }
    guard fields.count >= 5 else { return nil }
    for item in fields.joined() {
      let parts = item.split(separator: "/")
      let ends = parts[0].split(separator: "-").compactMap(value)
      guard ends.count == 2 else { continue }
      if ends[0] == ends[1] { return .equalRange }
      if ends[0] > ends[1], parts.count == 2 { return .wrappedStep }
    }
    let (days, weekdays) = (fields[fields.count - 3], fields[fields.count - 1])
    let nearest = days.filter { $0.hasSuffix("W") }.compactMap { Int($0.dropLast()) }
    if !"*?".contains(days[0].prefix(1)), !"*?".contains(weekdays[0].prefix(1)) {
      if !nearest.isEmpty || weekdays.contains(where: { $0.contains("#") || $0.hasSuffix("L") }) {
        return .eitherSpecialDay
      }
      if days.contains(where: { $0.hasPrefix("*") }) || weekdays.contains(where: { $0.hasPrefix("*") }) {
        return .everyDayListed
      }
    }
    return nearest.contains { $0 > 28 } ? .weekdayNearMissingDay : nil
  }

  private static func value(_ text: Substring) -> Int? {
    let names = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
    return Int(text) ?? names.firstIndex(of: String(text))
  }
}
