import Foundation
import Qudo
import Testing

@testable import QudoCommand

/// Times as text, against Foundation's.
@Suite struct TimestampTextTests {
  @Test func whatIsWrittenIsReadBack() throws {
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<5000 {
      let range = Timestamp.earliest.microseconds...Timestamp.latest.microseconds
      let time = Timestamp(microseconds: Int64.random(in: range, using: &generator))
      let milliseconds = Timestamp(
        microseconds: time.microseconds - ((time.microseconds % 1000) + 1000) % 1000)
      #expect(try Timestamp(parsing: time.utc) == milliseconds)
    }
  }

  @Test func datesAreThoseOfFoundation() throws {
    var style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
    style.timeZone = .gmt
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = .gmt
    for year in stride(from: 1600, through: 9999, by: 7) {
      for (month, day) in [(1, 1), (2, 28), (3, 1), (12, 31)] {
        let date = try #require(
          calendar.date(
            from: DateComponents(year: year, month: month, day: day, hour: 23, minute: 59, second: 58)))
        let time = Timestamp(microseconds: Int64(date.timeIntervalSince1970) * 1_000_000 + 500_000)
        #expect(time.utc == style.format(Date(timeIntervalSince1970: date.timeIntervalSince1970 + 0.5)))
      }
    }
  }

  @Test(
    "A time that another program wrote into the file is shown, however odd",
    arguments: [Int64.min, .max, -1, -999_999, -1_000_000])
  func foreignTimeIsShown(microseconds: Int64) {
    let time = Timestamp(microseconds: microseconds)
    #expect(time.utc.hasSuffix("Z") && !time.local.isEmpty)
    if microseconds == -1 { #expect(time.utc == "1969-12-31T23:59:59.999Z") }
    if microseconds == -1_000_000 { #expect(time.utc == "1969-12-31T23:59:59.000Z") }
  }

  @Test func theLocalTimeNamesTheSameMoment() throws {
    for seconds in stride(from: Int64(0), to: 4_000_000_000, by: 7_654_321) {
      let time = Timestamp(microseconds: seconds * 1_000_000 + 123_000)
      #expect(try Timestamp(parsing: time.local) == time)
    }
  }
}
