import Qudo
import QudoTesting
import Testing

@testable import QudoSchedules

@Suite struct RuleTests {
  @Test(
    "a rule's text is read again as the same rule",
    arguments: [
      "every 30s", "every 1h30m", "every 100ms", "every 1d1ms", "every 2d", "cron 30 2 * * * Europe/Berlin",
      "cron @daily UTC", "cron 0 0 12 * * MON-FRI America/Argentina/Ushuaia",
    ]) func text(_ text: String) throws
  {
    #expect(try ScheduleRule(text).description == text)
    #expect(try ScheduleRule(ScheduleRule(text).description) == ScheduleRule(text))
  }

  @Test(
    "what is no rule is refused with what to write",
    arguments: [
      "", "every", "every ", "every 99ms", "every 100500us", "every 200000d", "every x", "cron",
      "cron 1 2 3 UTC",
      "cron 30 2 * * *", "cron 30 2 * * * Nowhere/Town", "cron 30 2 * * * ../../etc/passwd", "at noon",
      "Every 30s",
    ]) func refused(_ text: String)
  {
    #expect(throws: QudoError.self) { try ScheduleRule(text) }
  }

  @Test("an interval's ticks are its multiples since 1970") func multiples() {
    let rule = ScheduleRule.every(.seconds(3600))
    #expect(rule.next(after: at("2026-11-29T12:00:00Z")) == at("2026-11-29T13:00:00Z"))
    #expect(rule.next(after: at("2026-11-29T11:59:59.999999Z")) == at("2026-11-29T12:00:00Z"))
    #expect(rule.next(after: at("1969-12-31T23:30:00Z")) == at("1970-01-01T00:00:00Z"))
    #expect(rule.next(after: at("1969-12-31T22:30:00Z")) == at("1969-12-31T23:00:00Z"))
    #expect(rule.next(after: .latest) == nil)
    #expect(ScheduleRule.every(.milliseconds(100)).next(after: .earliest) != nil)
    #expect(
      rule.last(2, after: at("2026-11-29T10:00:00Z"), through: at("2026-11-29T13:00:00Z")).map(\.short) == [
        "2026-11-29T12:00:00Z", "2026-11-29T13:00:00Z",
      ])
    #expect(rule.last(9, after: at("2026-11-29T12:00:00Z"), through: at("2026-11-29T12:59:59Z")) == [])
  }

  @Test("missed ticks have texts") func missed() throws {
    for missed in [MissedTicks.skip, .latest, .last(1), .last(1000), .all] {
      #expect(try MissedTicks(missed.description) == missed)
    }
    for text in ["", "last", "last 0", "last 1001", "last -1", "last x", "first 2", "ALL"] {
      #expect(throws: QudoError.self) { try MissedTicks(text) }
    }
  }
}

@Suite struct TickPlanTests {
  private static let minutely = ScheduleRule.every(.seconds(60))

  private func plan(
    _ rule: ScheduleRule = minutely, due: String, now: String, _ missed: MissedTicks,
    skipsOverlap: Bool = false
  ) -> TickPlan {
    TickPlan(rule, due: at(due), now: at(now), missed: missed, skipsOverlap: skipsOverlap)
  }

  @Test(
    "a tick that is on time is enqueued under each policy",
    arguments: [MissedTicks.skip, .latest, .last(5), .all])
  func onTime(_ missed: MissedTicks) {
    let plan = plan(due: "2026-11-29T12:00:00Z", now: "2026-11-29T12:00:00.010Z", missed)
    #expect(plan.ticks == [at("2026-11-29T12:00:00Z")])
    #expect(plan.next == at("2026-11-29T12:01:00Z"))
  }

  @Test("after 30 days each policy makes up for its ticks") func slept() throws {
    let nightly = try ScheduleRule.cron("30 2 * * *", in: "Europe/Berlin")
    func plan(_ missed: MissedTicks, skipsOverlap: Bool = false) -> TickPlan {
      self.plan(
        nightly, due: "2026-03-10T01:30:00Z", now: "2026-04-09T12:00:00Z", missed, skipsOverlap: skipsOverlap)
    }
    let next = at("2026-04-10T00:30:00Z")
    #expect(
      plan(.skip).ticks == [] && plan(.skip).next == next && plan(.skip).newest == at("2026-04-09T00:30:00Z"))
    #expect(plan(.latest).ticks == [at("2026-04-09T00:30:00Z")] && plan(.latest).next == next)
    #expect(
      plan(.last(3)).ticks.map(\.short) == [
        "2026-04-07T00:30:00Z", "2026-04-08T00:30:00Z", "2026-04-09T00:30:00Z",
      ])
    // 31 nights; in that of 29 March the clock skips 2:30.
    let all = plan(.all)
    #expect(all.ticks.count == 31 && all.next == next)
    #expect(
      all.ticks.map(\.short)[18...20] == [
        "2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z",
      ])
    #expect(plan(.last(1000)).ticks == all.ticks)
    #expect(plan(.all, skipsOverlap: true).ticks == plan(.latest).ticks)
  }

  @Test("a tick that is a minute late is skipped under skip, and none that is not") func tolerance() {
    let rule = ScheduleRule.every(.seconds(3600))
    #expect(plan(rule, due: "2026-11-29T12:00:00Z", now: "2026-11-29T12:01:00Z", .skip).ticks.count == 1)
    #expect(plan(rule, due: "2026-11-29T12:00:00Z", now: "2026-11-29T12:01:00.000001Z", .skip).ticks == [])
  }

  @Test("a flood of missed ticks is enqueued in parts") func parts() {
    let first = plan(due: "2026-11-29T00:00:00Z", now: "2026-11-30T00:00:00Z", .all)
    #expect(first.ticks.count == 1000 && first.next == first.newest.advanced(by: .seconds(60)))
    let rest = TickPlan(
      Self.minutely, due: first.next ?? .latest, now: at("2026-11-30T00:00:00Z"), missed: .all,
      skipsOverlap: false)
    #expect(rest.ticks.count == 441 && rest.next == at("2026-11-30T00:01:00Z"))
  }

  @Test("random plans are what counting each tick gives") func counted() throws {
    var random = Seeded(seed: 19)
    let rules = [
      ScheduleRule.every(.milliseconds(700)), .every(.seconds(60)), try .cron("*/7 * * * *"),
      try .cron("0 3 * * SUN", in: "America/New_York"), try .cron("15 10 31 * *"),
    ]
    for _ in 0..<2000 {
      guard let rule = rules.randomElement(using: &random) else { continue }
      let start = Timestamp(second: Int64.random(in: 1_700_000_000...1_800_000_000, using: &random))
      guard let due = rule.next(after: start) else { continue }
      var all = [due]
      let length = Int.random(in: 1...20, using: &random)
      while all.count < length, let next = rule.next(after: all[all.count - 1]) { all.append(next) }
      // Between the last of these and the next one.
      let after = rule.next(after: all[all.count - 1]) ?? .latest
      let now = Timestamp(
        microseconds: Int64.random(in: all[all.count - 1].microseconds..<after.microseconds, using: &random))
      for missed in [MissedTicks.latest, .last(3), .last(50), .all, .skip] {
        let plan = TickPlan(rule, due: due, now: now, missed: missed, skipsOverlap: false)
        let late = now.microseconds - all[all.count - 1].microseconds
        let expected: [Timestamp] =
          switch missed {
          case .latest: all.suffix(1)
          case .last(let count): all.suffix(count)
          case .all: all
          case .skip: late > 60_000_000 ? [] : all.suffix(1)
          }
        #expect(plan.ticks == expected, "\(rule) \(missed) \(due) \(now)")
        #expect(plan.next == after && plan.newest == all.last, "\(rule) \(missed) \(due) \(now)")
      }
    }
  }
}
