import Foundation
import Testing

@testable import Qudo

/// How dates stand in JSON payloads.
@Suite struct JSONDateTests {
  private struct Reminder: Codable, Equatable {
    var at: Date
    var others: [Date]?
  }

  private func text(_ date: Date, _ codec: JSONCodec = JSONCodec()) throws -> String {
    String(decoding: try codec.encode(Reminder(at: date), of: "a"), as: UTF8.self)
  }

  private func read(_ text: String, _ codec: JSONCodec = JSONCodec()) throws -> Date {
    try codec.decode(Reminder.self, from: Array(text.utf8), of: "a").at
  }

  @Test(
    "dates are ISO 8601",
    arguments: [
      (0.0, "2001-01-01T00:00:00Z"), (794_059_200.25, "2026-03-01T12:00:00.25Z"),
      (794_059_200.123, "2026-03-01T12:00:00.123Z"),
      (-63_113_904_000, "0001-01-01T00:00:00Z"), (252_423_993_599, "9999-12-31T23:59:59Z"),
      (-0.5, "2000-12-31T23:59:59.5Z"),
      (794_059_199.999999, "2026-03-01T11:59:59.999999Z"),
    ]) func iso8601(seconds: Double, text: String) throws
  {
    let date = Date(timeIntervalSinceReferenceDate: seconds)
    #expect(try self.text(date) == #"{"at":"\#(text)"}"#)
    #expect(try read(#"{"at":"\#(text)"}"#) == date)
  }

  @Test("each date is read again as it was") func roundTrip() throws {
    for _ in 0..<5000 {
      let date = Date(timeIntervalSinceReferenceDate: .random(in: 600_000_000...3_000_000_000))
      #expect(try read(text(date)) == date)
    }
    for format in JSONCodec.DateFormat.allCases {
      let reminder = Reminder(
        at: Date(timeIntervalSinceReferenceDate: 794_059_200.25),
        others: [.distantPast, .distantFuture, Date(timeIntervalSince1970: 0)])
      let codec = JSONCodec(dates: format)
      #expect(try codec.decode(Reminder.self, from: try codec.encode(reminder, of: "a"), of: "a") == reminder)
    }
  }

  @Test("payloads of earlier versions are read") func oldPayloads() throws {
    #expect(try read(#"{"at":794059200.25}"#) == Date(timeIntervalSinceReferenceDate: 794_059_200.25))
    #expect(
      try read(#"{"at":794059200.25}"#, JSONCodec(dates: .secondsSince2001))
        == Date(timeIntervalSinceReferenceDate: 794_059_200.25))
  }

  @Test(
    "dates of other programs are read",
    arguments: ["2026-03-01T12:00:00Z", "2026-03-01T13:00:00.000+01:00", "2026-03-01 06:30-0530"])
  func others(text: String) throws {
    #expect(try read(#"{"at":"\#(text)"}"#) == Date(timeIntervalSinceReferenceDate: 794_059_200))
  }

  @Test("dates may be numbers") func numbers() throws {
    let date = Date(timeIntervalSince1970: 1_772_366_400)
    #expect(try text(date, JSONCodec(dates: .secondsSince1970)) == #"{"at":1772366400}"#)
    #expect(try read(#"{"at":1772366400}"#, JSONCodec(dates: .secondsSince1970)) == date)
    #expect(try text(date, JSONCodec(dates: .secondsSince2001)) == #"{"at":794059200}"#)
    #expect(try read(#"{"at":"2026-03-01T12:00:00Z"}"#, JSONCodec(dates: .secondsSince1970)) == date)
  }

  @Test("what is no date says where and what") func noDate() throws {
    let error = #expect(throws: DecodingError.self) { try read(#"{"at":"tomorrow"}"#) }
    #expect(
      error.map { decodingWords($0) }
        == "at at, byte 6: expected a date in ISO 8601 with a zone, such as 2026-03-01T12:00:00Z")
    #expect(throws: DecodingError.self) { try read(#"{"at":true}"#) }
    #expect(throws: (any Error).self) { try text(Date(timeIntervalSinceReferenceDate: .nan)) }
  }

  @Test(
    "any number of microseconds has a text: a damaged file may have any in place of a time",
    arguments: [
      (Int64.min, ".224192Z"), (.min + 1, ".224193Z"), (.max, ".775807Z"),
      (-1, "1969-12-31T23:59:59.999999Z"),
      (0, "1970-01-01T00:00:00.000000Z"), (-1_000_000, "1969-12-31T23:59:59.000000Z"),
    ])
  func anyTime(microseconds: Int64, end: String) {
    #expect(Timestamp(microseconds: microseconds).description.hasSuffix(end))
  }
}
