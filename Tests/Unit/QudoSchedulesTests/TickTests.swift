import Qudo
import QudoSchedules
import Testing

/// Ticks in UTC.
@Suite struct TickTests {
  @Test(
    "next ticks",
    arguments: [
      ("*/15 * * * *", "2026-12-31T23:50:00Z", ["2027-01-01T00:00:00Z", "2027-01-01T00:15:00Z"]),
      ("*/20 59 23 * * *", "2026-12-31T23:59:39Z", ["2026-12-31T23:59:40Z", "2027-01-01T23:59:00Z"]),
      ("0 0 29 2 *", "2095-06-01T00:00:00Z", ["2096-02-29T00:00:00Z", "2104-02-29T00:00:00Z"]),
      ("0 0 29 2 *", "1999-06-01T00:00:00Z", ["2000-02-29T00:00:00Z", "2004-02-29T00:00:00Z"]),
      // A Sunday, in years without an exception each 28 years; 2100 is no leap year.
      (
        "0 0 29 2 */7", "2032-03-01T00:00:00Z",
        ["2060-02-29T00:00:00Z", "2088-02-29T00:00:00Z", "2128-02-29T00:00:00Z"]
      ),
      (
        "0 0 31 */2 *", "2026-01-01T00:00:00Z",
        [
          "2026-01-31T00:00:00Z", "2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z", "2026-07-31T00:00:00Z",
          "2027-01-31T00:00:00Z",
        ]
      ),
      // The last day, or the fifth Friday: Vixie cron's rule.
      (
        "59 23 L * FRI#5", "2026-01-01T00:00:00Z",
        ["2026-01-30T23:59:00Z", "2026-01-31T23:59:00Z", "2026-02-28T23:59:00Z", "2026-03-31T23:59:00Z"]
      ),
      (
        "0 0 13 * FRI", "2026-02-01T00:00:00Z",
        [
          "2026-02-06T00:00:00Z", "2026-02-13T00:00:00Z", "2026-02-20T00:00:00Z", "2026-02-27T00:00:00Z",
          "2026-03-06T00:00:00Z",
        ]
      ),
      // A field that begins with * is unrestricted, even with a step: both must match.
      (
        "0 0 */13 * FRI", "2026-01-01T00:00:00Z",
        ["2026-02-27T00:00:00Z", "2026-03-27T00:00:00Z", "2026-05-01T00:00:00Z"]
      ),
      ("0 0 13 * ?", "2026-02-01T00:00:00Z", ["2026-02-13T00:00:00Z", "2026-03-13T00:00:00Z"]),
      (
        "0 0 L * *", "2028-01-31T00:00:00Z",
        ["2028-02-29T00:00:00Z", "2028-03-31T00:00:00Z", "2028-04-30T00:00:00Z"]
      ),
      ("0 0 L-3 * *", "2027-01-31T00:00:00Z", ["2027-02-25T00:00:00Z", "2027-03-28T00:00:00Z"]),
      ("0 0 L-30 * *", "2027-01-31T00:00:00Z", ["2027-03-01T00:00:00Z", "2027-05-01T00:00:00Z"]),
      // 2026-08-15 is a Saturday, 2026-11-15 a Sunday.
      (
        "0 0 15W * *", "2026-08-01T00:00:00Z",
        ["2026-08-14T00:00:00Z", "2026-09-15T00:00:00Z", "2026-10-15T00:00:00Z", "2026-11-16T00:00:00Z"]
      ),
      // 2026-08-01 is a Saturday: the nearest weekday of August is the 3rd. 2026-02-01 is a Sunday.
      ("0 0 1W * *", "2026-07-31T00:00:00Z", ["2026-08-03T00:00:00Z", "2026-09-01T00:00:00Z"]),
      ("0 0 1W 2 *", "2026-01-01T00:00:00Z", ["2026-02-02T00:00:00Z"]),
      // 2026-05-31 is a Sunday; June has no 31st.
      ("0 0 31W * *", "2026-05-01T00:00:00Z", ["2026-05-29T00:00:00Z", "2026-07-31T00:00:00Z"]),
      ("0 0 LW * *", "2026-05-01T00:00:00Z", ["2026-05-29T00:00:00Z", "2026-06-30T00:00:00Z"]),
      ("0 0 * * MON#1", "2026-06-01T00:00:00Z", ["2026-07-06T00:00:00Z", "2026-08-03T00:00:00Z"]),
      ("0 0 * * 5#5", "2026-01-31T00:00:00Z", ["2026-05-29T00:00:00Z", "2026-07-31T00:00:00Z"]),
      ("0 0 * * 5L", "2026-01-31T00:00:00Z", ["2026-02-27T00:00:00Z", "2026-03-27T00:00:00Z"]),
      ("0 0 1 1 *", "9998-06-01T00:00:00Z", ["9999-01-01T00:00:00Z"]),
      ("0 0 30 2 *", "2026-01-01T00:00:00Z", []), ("0 0 31 4,6,9,11 *", "2026-01-01T00:00:00Z", []),
      ("0 0 31W 2 *", "2026-01-01T00:00:00Z", []),
      ("0 0 * 2 5#5", "2025-01-01T00:00:00Z", ["2036-02-29T00:00:00Z", "2064-02-29T00:00:00Z"]),
    ] as [(String, String, [String])])
  func next(text: String, start: String, ticks: [String]) throws {
    let expression = try CronExpression(text)
    let found = expression.next(max(1, ticks.count), after: start)
    #expect(found == ticks)
    // And back.
    guard let last = found.last, found.count > 1 else { return }
    #expect(expression.previous(found.count - 1, before: last) == Array(found.dropLast()))
  }

  @Test("a tick at the given instant does not count, to the microsecond") func exclusive() throws {
    let hourly = try CronExpression("@hourly")
    let hour = at("2026-03-01T12:00:00Z")
    let shortly = (
      Timestamp(microseconds: hour.microseconds - 1), Timestamp(microseconds: hour.microseconds + 1)
    )
    #expect(hourly.next(after: hour, in: .utc) == at("2026-03-01T13:00:00Z"))
    #expect(hourly.next(after: shortly.0, in: .utc) == hour)
    #expect(hourly.next(after: shortly.1, in: .utc) == at("2026-03-01T13:00:00Z"))
    #expect(hourly.previous(before: hour, in: .utc) == at("2026-03-01T11:00:00Z"))
    #expect(hourly.previous(before: shortly.0, in: .utc) == at("2026-03-01T11:00:00Z"))
    #expect(hourly.previous(before: shortly.1, in: .utc) == hour)
    #expect(hourly.ticks(after: hour, through: hour, in: .utc, first: 5) == [])
    #expect(hourly.ticks(after: shortly.0, through: hour, in: .utc, first: 5) == [hour])
    #expect(hourly.ticks(after: shortly.0, through: hour, in: .utc, last: 5) == [hour])
    #expect(hourly.ticks(after: hour, through: shortly.0, in: .utc, last: 5) == [])
    #expect(hourly.ticks(after: .earliest, through: .latest, in: .utc, last: -1) == [])
  }

  @Test("the years 1 to 9999", arguments: ["* * * * * *", "0 0 * * *", "30 2 * * 1-5", "0 0 29 2 *"])
  func ends(text: String) throws {
    let expression = try CronExpression(text)
    for zone in [TimeZoneRules.utc, try Vectors.zone("Europe/Berlin"), try Vectors.zone("Pacific/Apia")] {
      for far in [Timestamp(microseconds: .min), .earliest] {
        let first = try #require(expression.next(after: far, in: zone))
        #expect(first >= .earliest && first < at("0009-01-01T00:00:00Z"))
        #expect(expression.previous(before: far, in: zone) == nil)
        #expect(
          expression.previous(before: Timestamp(microseconds: first.microseconds + 1), in: zone) == first)
      }
      for far in [Timestamp(microseconds: .max), .latest] {
        let last = try #require(expression.previous(before: far, in: zone))
        #expect(last <= .latest && last > at("9990-01-01T00:00:00Z"))
        #expect(expression.next(after: far, in: zone) == nil)
        #expect(expression.ticks(after: far, through: far, in: zone, first: 1) == [])
        #expect(expression.ticks(after: .earliest, through: far, in: zone, last: 1) == [last])
      }
    }
    #expect(try CronExpression("0 0 1 1 *").next(after: Timestamp(microseconds: .min), in: .utc) == .earliest)
    let last = try CronExpression("59 59 23 31 12 *").previous(before: .latest, in: .utc)
    #expect(last == at("9999-12-31T23:59:59Z"))
  }

  @Test("missed ticks: all, the latest, the last three") func missed() throws {
    let nightly = try CronExpression("30 2 * * *")
    let zone = try Vectors.zone("Europe/Berlin")
    let (asleep, awake) = (at("2026-03-01T00:00:00Z"), at("2026-03-31T00:00:00Z"))
    #expect(nightly.ticks(after: asleep, through: awake, in: zone, first: 1000).count == 30)
    #expect(
      nightly.ticks(after: asleep, through: awake, in: zone, last: 1).map(\.short) == ["2026-03-30T00:30:00Z"]
    )
    #expect(
      nightly.ticks(after: asleep, through: awake, in: zone, last: 3).map(\.short) == [
        "2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z",
      ])
  }
}
