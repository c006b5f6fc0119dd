import Qudo
import QudoSchedules
import Testing

/// What happens when the clocks change. The article "Cron" has the rules; each instant here is derived by
/// hand.
@Suite struct ClockChangeTests {
  struct Cell: Sendable, CustomTestStringConvertible {
    var name: String
    var zone: String
    var expression: String
    /// The time before the first tick.
    var start: String
    /// The ticks, in UTC; the comment says what the clock shows.
    var ticks: [String]
    var testDescription: String { "\(name): \(expression) in \(zone)" }
  }

  // 2026-03-29 01:00Z: 02:00 +01 becomes 03:00 +02. 2026-10-25 01:00Z: 03:00 +02 becomes 02:00 +01.
  static let berlin = [
    Cell(
      name: "fixed, gap", zone: "Europe/Berlin", expression: "30 2 * * *", start: "2026-03-27T12:00:00Z",
      ticks: [
        "2026-03-28T01:30:00Z",  // 02:30 +01
        "2026-03-29T01:00:00Z",  // 03:00 +02, the first instant after the gap
        "2026-03-30T00:30:00Z",  // 02:30 +02
      ]),
    Cell(
      name: "fixed, overlap", zone: "Europe/Berlin", expression: "30 2 * * *", start: "2026-10-23T12:00:00Z",
      ticks: [
        "2026-10-24T00:30:00Z",  // 02:30 +02
        "2026-10-25T00:30:00Z",  // 02:30 +02, the first time; not at 01:30Z, when it is 02:30 +01
        "2026-10-26T01:30:00Z",  // 02:30 +01
      ]),
    Cell(
      name: "wildcard, gap", zone: "Europe/Berlin", expression: "30 * * * *", start: "2026-03-28T23:45:00Z",
      ticks: [
        "2026-03-29T00:30:00Z",  // 01:30 +01
        "2026-03-29T01:30:00Z",  // 03:30 +02
        "2026-03-29T02:30:00Z",  // 04:30 +02
      ]),
    Cell(
      name: "wildcard, overlap", zone: "Europe/Berlin", expression: "30 * * * *",
      start: "2026-10-24T23:45:00Z",
      ticks: [
        "2026-10-25T00:30:00Z",  // 02:30 +02
        "2026-10-25T01:30:00Z",  // 02:30 +01
        "2026-10-25T02:30:00Z",  // 03:30 +01
      ]),
  ]

  // 2026-03-08 07:00Z: 02:00 -05 becomes 03:00 -04. 2026-11-01 06:00Z: 02:00 -04 becomes 01:00 -05.
  static let newYork = [
    Cell(
      name: "fixed, gap", zone: "America/New_York", expression: "30 2 * * *", start: "2026-03-07T00:00:00Z",
      ticks: [
        "2026-03-07T07:30:00Z",  // 02:30 -05
        "2026-03-08T07:00:00Z",  // 03:00 -04, the first instant after the gap
        "2026-03-09T06:30:00Z",  // 02:30 -04
      ]),
    Cell(
      name: "fixed, overlap", zone: "America/New_York", expression: "30 1 * * *",
      start: "2026-10-31T00:00:00Z",
      ticks: [
        "2026-10-31T05:30:00Z",  // 01:30 -04
        "2026-11-01T05:30:00Z",  // 01:30 -04, the first time
        "2026-11-02T06:30:00Z",  // 01:30 -05
      ]),
    Cell(
      name: "wildcard, gap", zone: "America/New_York", expression: "30 * * * *",
      start: "2026-03-08T06:00:00Z",
      ticks: [
        "2026-03-08T06:30:00Z",  // 01:30 -05
        "2026-03-08T07:30:00Z",  // 03:30 -04
        "2026-03-08T08:30:00Z",  // 04:30 -04
      ]),
    Cell(
      name: "wildcard, overlap", zone: "America/New_York", expression: "30 * * * *",
      start: "2026-11-01T05:00:00Z",
      ticks: [
        "2026-11-01T05:30:00Z",  // 01:30 -04
        "2026-11-01T06:30:00Z",  // 01:30 -05
        "2026-11-01T07:30:00Z",  // 02:30 -05
      ]),
  ]

  // 2026-10-03 15:30Z: 02:00 +10:30 becomes 02:30 +11. 2026-04-04 15:00Z: 02:00 +11 becomes 01:30 +10:30.
  static let lordHowe = [
    Cell(
      name: "fixed, gap", zone: "Australia/Lord_Howe", expression: "15 2 * * *",
      start: "2026-10-02T12:00:00Z",
      ticks: [
        "2026-10-02T15:45:00Z",  // 02:15 +10:30
        "2026-10-03T15:30:00Z",  // 02:30 +11, the first instant after the gap
        "2026-10-04T15:15:00Z",  // 02:15 +11
      ]),
    Cell(
      name: "fixed, overlap", zone: "Australia/Lord_Howe", expression: "45 1 * * *",
      start: "2026-04-03T12:00:00Z",
      ticks: [
        "2026-04-03T14:45:00Z",  // 01:45 +11
        "2026-04-04T14:45:00Z",  // 01:45 +11, the first time; not at 15:15Z, when it is 01:45 +10:30
        "2026-04-05T15:15:00Z",  // 01:45 +10:30
      ]),
    Cell(
      name: "wildcard, gap", zone: "Australia/Lord_Howe", expression: "15 * * * *",
      start: "2026-10-03T14:30:00Z",
      ticks: [
        "2026-10-03T14:45:00Z",  // 01:15 +10:30
        "2026-10-03T16:15:00Z",  // 03:15 +11; the clock never shows 02:15
        "2026-10-03T17:15:00Z",  // 04:15 +11
      ]),
    Cell(
      name: "wildcard, overlap", zone: "Australia/Lord_Howe", expression: "45 * * * *",
      start: "2026-04-04T13:30:00Z",
      ticks: [
        "2026-04-04T13:45:00Z",  // 00:45 +11
        "2026-04-04T14:45:00Z",  // 01:45 +11
        "2026-04-04T15:15:00Z",  // 01:45 +10:30
        "2026-04-04T16:15:00Z",  // 02:45 +10:30
      ]),
  ]

  // 2011-12-30 10:00Z: the end of the 29th, -10, becomes the start of the 31st, +14. There is no 30th.
  // 2011-04-02 14:00Z: 04:00 -10 becomes 03:00 -11.
  static let apia = [
    Cell(
      name: "fixed, gap", zone: "Pacific/Apia", expression: "0 12 * * *", start: "2011-12-29T12:00:00Z",
      ticks: [
        "2011-12-29T22:00:00Z",  // 12:00 -10 on the 29th
        "2011-12-30T10:00:00Z",  // 00:00 +14 on the 31st, the first instant after the 30th
        "2011-12-30T22:00:00Z",  // 12:00 +14 on the 31st
      ]),
    Cell(
      name: "fixed, overlap", zone: "Pacific/Apia", expression: "30 3 * * *", start: "2011-04-01T00:00:00Z",
      ticks: [
        "2011-04-01T13:30:00Z",  // 03:30 -10
        "2011-04-02T13:30:00Z",  // 03:30 -10, the first time
        "2011-04-03T14:30:00Z",  // 03:30 -11
      ]),
    Cell(
      name: "wildcard, gap", zone: "Pacific/Apia", expression: "30 * * * *", start: "2011-12-30T08:00:00Z",
      ticks: [
        "2011-12-30T08:30:00Z",  // 22:30 -10 on the 29th
        "2011-12-30T09:30:00Z",  // 23:30 -10 on the 29th
        "2011-12-30T10:30:00Z",  // 00:30 +14 on the 31st
      ]),
    Cell(
      name: "wildcard, overlap", zone: "Pacific/Apia", expression: "30 * * * *",
      start: "2011-04-02T13:00:00Z",
      ticks: [
        "2011-04-02T13:30:00Z",  // 03:30 -10
        "2011-04-02T14:30:00Z",  // 03:30 -11
        "2011-04-02T15:30:00Z",  // 04:30 -11
      ]),
  ]

  // The hours alone decide: every hour is a wildcard.
  static let others = [
    Cell(
      name: "every 15 minutes, gap", zone: "Europe/Berlin", expression: "*/15 * * * *",
      start: "2026-03-29T00:30:00Z",
      ticks: ["2026-03-29T00:45:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:15:00Z"]),
    Cell(
      name: "every 15 minutes, overlap", zone: "Europe/Berlin", expression: "*/15 * * * *",
      start: "2026-10-25T00:30:00Z",
      ticks: ["2026-10-25T00:45:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:15:00Z"]),
    Cell(
      name: "minutes of a fixed hour, gap: one tick for all of them", zone: "Europe/Berlin",
      expression: "*/20 2 * * *", start: "2026-03-28T01:30:00Z",
      ticks: [
        "2026-03-28T01:40:00Z",  // 02:40 +01
        "2026-03-29T01:00:00Z",  // 03:00 +02, for 02:00, 02:20 and 02:40
        "2026-03-30T00:00:00Z",  // 02:00 +02
      ]),
    Cell(
      name: "minutes of a fixed hour, overlap: the first hour only", zone: "Europe/Berlin",
      expression: "*/20 2 * * *", start: "2026-10-24T12:00:00Z",
      ticks: [
        "2026-10-25T00:00:00Z", "2026-10-25T00:20:00Z", "2026-10-25T00:40:00Z",  // 02:00, 02:20, 02:40 +02
        "2026-10-26T01:00:00Z",  // 02:00 +01
      ]),
    Cell(
      name: "a fixed time in the gap, and one at its end: one tick", zone: "Europe/Berlin",
      expression: "0,30 2,3 * * *", start: "2026-03-29T00:00:00Z",
      ticks: [
        "2026-03-29T01:00:00Z",  // 03:00 +02, for 02:00, 02:30 and 03:00
        "2026-03-29T01:30:00Z",  // 03:30 +02
        "2026-03-30T00:00:00Z",  // 02:00 +02
      ]),
    Cell(
      name: "every second hour is fixed, gap", zone: "Europe/Berlin", expression: "0 */2 * * *",
      start: "2026-03-28T22:30:00Z",
      ticks: [
        "2026-03-28T23:00:00Z",  // 00:00 +01
        "2026-03-29T01:00:00Z",  // 03:00 +02, for 02:00
        "2026-03-29T02:00:00Z",  // 04:00 +02
      ]),
    Cell(
      name: "every second hour is fixed, overlap", zone: "Europe/Berlin", expression: "0 */2 * * *",
      start: "2026-10-24T22:30:00Z",
      ticks: [
        "2026-10-25T00:00:00Z",  // 02:00 +02, the first time
        "2026-10-25T03:00:00Z",  // 04:00 +01
        "2026-10-25T05:00:00Z",  // 06:00 +01
      ]),
    Cell(
      name: "every hour is a wildcard, however written", zone: "Europe/Berlin", expression: "30 0-23 * * *",
      start: "2026-10-25T00:00:00Z",
      ticks: ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"]),
    // 2018-11-04 03:00Z: the midnight before the 4th, -03, becomes 01:00 -02.
    Cell(
      name: "midnight in the gap", zone: "America/Sao_Paulo", expression: "@daily",
      start: "2018-11-03T00:00:00Z",
      ticks: ["2018-11-03T03:00:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"]),
    // 2018-02-18 02:00Z: the midnight after the 17th, -02, becomes 23:00 -03 of the 17th.
    Cell(
      name: "23:30 twice, then midnight", zone: "America/Sao_Paulo", expression: "0,30 0,23 * * *",
      start: "2018-02-18T00:45:00Z",
      ticks: [
        "2018-02-18T01:00:00Z", "2018-02-18T01:30:00Z",  // 23:00, 23:30 -02
        "2018-02-18T03:00:00Z", "2018-02-18T03:30:00Z",  // 00:00, 00:30 -03
      ]),
    // The day of the month begins again for an hour, a year before its next one.
    Cell(
      name: "a day whose last hour comes twice, wildcard", zone: "America/Sao_Paulo",
      expression: "30 * 17 2 *", start: "2018-02-18T01:00:00Z",
      ticks: [
        "2018-02-18T01:30:00Z",  // 23:30 -02
        "2018-02-18T02:30:00Z",  // 23:30 -03
        "2019-02-17T03:30:00Z",  // 00:30 -03
      ]),
    // 2010-11-07 02:31Z: 00:01 -02:30 becomes 23:01 -03:30 of the day before.
    Cell(
      name: "a day that begins twice, wildcard", zone: "America/St_Johns", expression: "0 * 7 11 *",
      start: "2010-11-06T12:00:00Z",
      ticks: [
        "2010-11-07T02:30:00Z",  // 00:00 -02:30
        "2010-11-07T03:30:00Z",  // 00:00 -03:30
        "2010-11-07T04:30:00Z",  // 01:00 -03:30
      ]),
    Cell(
      name: "a day that begins twice, fixed", zone: "America/St_Johns", expression: "@daily",
      start: "2010-11-06T12:00:00Z",
      ticks: [
        "2010-11-07T02:30:00Z",  // 00:00 -02:30, the first time
        "2010-11-08T03:30:00Z",  // 00:00 -03:30
      ]),
    // Winter is the exception in Dublin: 2026-10-25 01:00Z: 02:00 +01 becomes 01:00 +00.
    Cell(
      name: "fixed, overlap", zone: "Europe/Dublin", expression: "30 1 * * *", start: "2026-10-24T12:00:00Z",
      ticks: ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]),
    // By the yearly rule: 2100-03-28 01:00Z.
    Cell(
      name: "fixed, gap, in 2100", zone: "Europe/Berlin", expression: "30 2 * * *",
      start: "2100-03-27T12:00:00Z", ticks: ["2100-03-28T01:00:00Z", "2100-03-29T00:30:00Z"]),
    // Two hours in Troll: 2026-03-29 01:00Z: 01:00 +00 becomes 03:00 +02.
    Cell(
      name: "fixed, gap of two hours", zone: "Antarctica/Troll", expression: "15 1,2 * * *",
      start: "2026-03-28T12:00:00Z",
      ticks: ["2026-03-29T01:00:00Z", "2026-03-29T23:15:00Z"]),
    // 1993-08-21 12:00Z: the end of the 20th, -12, becomes the start of the 22nd, +12.
    Cell(
      name: "a day that the clock skips", zone: "Pacific/Kwajalein", expression: "0 9 21 8 *",
      start: "1993-01-01T00:00:00Z", ticks: ["1993-08-21T12:00:00Z", "1994-08-20T21:00:00Z"]),
    Cell(
      name: "a day that the clock skips, wildcard", zone: "Pacific/Kwajalein", expression: "0 * 21 8 *",
      start: "1993-01-01T00:00:00Z", ticks: ["1994-08-20T12:00:00Z", "1994-08-20T13:00:00Z"]),
  ]

  @Test(
    "the matrix: {fixed, wildcard} × {gap, overlap} × zone", arguments: berlin + newYork + lordHowe + apia)
  func matrix(cell: Cell) throws { try check(cell) }

  @Test("other expressions and zones", arguments: others) func other(cell: Cell) throws { try check(cell) }

  private func check(_ cell: Cell) throws {
    let zone = try Vectors.zone(cell.zone)
    let expression = try CronExpression(cell.expression)
    #expect(expression.next(cell.ticks.count, after: cell.start, in: zone) == cell.ticks)
    for (tick, following) in zip(cell.ticks, cell.ticks.dropFirst()) {
      #expect(expression.previous(1, before: following, in: zone) == [tick])
      let shortly = Timestamp(microseconds: at(following).microseconds - 1)
      #expect(expression.next(after: shortly, in: zone) == at(following))
      #expect(expression.previous(before: shortly, in: zone) == at(tick))
    }
    let last = try #require(cell.ticks.last)
    let span = (at(cell.start), at(last))
    for count in 0...cell.ticks.count + 1 {
      #expect(
        expression.ticks(after: span.0, through: span.1, in: zone, first: count).map(\.short)
          == Array(cell.ticks.prefix(count)))
      #expect(
        expression.ticks(after: span.0, through: span.1, in: zone, last: count).map(\.short)
          == Array(cell.ticks.suffix(count)))
    }
  }
}
