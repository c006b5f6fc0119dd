import Foundation
import Qudo
import QudoSchedules
import Testing

@Suite struct ParsingTests {
  @Test(
    "two ways to write the same",
    arguments: [
      ("0 0 1 1 *", "@yearly"), ("0 0 1 1 *", "@Annually"), ("0 0 1 * *", "@MONTHLY"),
      ("0 0 * * 0", "@weekly"),
      ("0 0 * * *", "@daily"), ("0 0 * * *", "@midnight"), ("0 * * * *", "@hourly"),
      ("0 1 2 3 4 *", "1 2 3 4 *"), ("0 0 * * 7", "0 0 * * SUN"),
      ("0 0 * jan,Feb,12 mon-fri", "0 0 * 1-2,DEC 1-5"),
      ("0 0 * * 5-7", "0 0 * * FRI,SAT,SUN"), ("0 0 * * FRI-MON", "0 0 * * 5,6,0,1"),
      ("0 0 * * 7-2", "0 0 * * 0-2"),
      ("0 22-4/3 * * *", "0 22,1,4 * * *"), ("0 0 29-2 * *", "0 0 29,30,31,1,2 * *"),
      ("0 0 * NOV-FEB *", "0 0 * 11,12,1,2 *"),
      ("5/20 0 * * *", "5,25,45 0 * * *"), ("5-5 0 * * *", "5 0 * * *"), ("0-10/5 0 * * *", "0,5,10 0 * * *"),
      ("*/60 0 * * *", "0 0 * * *"), ("005 00 * * *", "5 0 * * *"), ("0 0 ? * *", "0 0 * * *"),
      ("0 0 1 * ?", "0 0 1 * *"),
      ("0 0 * * 1-7", "0 0 * * 0-6"), ("0 0 L * *", "0 0 l * *"), ("0 0 * * friL", "0 0 * * 5l"),
      ("0 0 * * 7#5", "0 0 * * SUN#5"), ("1,1,1 0 * * *", "1 0 * * *"), ("0 0 */1 * *", "0 0 * * *"),
      ("0 0 1-5 * *", "0 0 5,4,3,2,1 * *"), ("0 0 * * 1,2#2", "0 0 * * 2#2,MON"),
    ])
  func synonyms(pair: (String, String)) throws {
    let (one, other) = (try CronExpression(pair.0), try CronExpression(pair.1))
    #expect(one.next(40, after: "2027-12-30T12:00:00Z") == other.next(40, after: "2027-12-30T12:00:00Z"))
    #expect(
      one.previous(40, before: "2028-03-02T12:00:00Z") == other.previous(40, before: "2028-03-02T12:00:00Z"))
  }

  @Test(
    "an error names the field, what is wrong and what is allowed",
    arguments: [
      (
        "",
        "the cron expression '' has 0 fields: give 5 (minute, hour, day of month, month, day of week), or 6 with the second before them"
      ),
      (
        "5",
        "the cron expression '5' has 1 field: give 5 (minute, hour, day of month, month, day of week), or 6 with the second before them"
      ),
      (
        "* * * *",
        "the cron expression '* * * *' has 4 fields: give 5 (minute, hour, day of month, month, day of week), or 6 with the second before them"
      ),
      (
        "0 0 0 1 1 ? 2030",
        "the cron expression '0 0 0 1 1 ? 2030' has 7 fields: give 5 (minute, hour, day of month, month, day of week), or 6 with the second before them"
      ),
      ("60 * * * *", "the minute '60' of the cron expression '60 * * * *' is above 59: give 0 to 59"),
      ("61 * * * * *", "the second '61' of the cron expression '61 * * * * *' is above 59: give 0 to 59"),
      ("0 24 * * *", "the hour '24' of the cron expression '0 24 * * *' is above 23: give 0 to 23"),
      (
        "0 0 0 * *",
        "the day of month '0' of the cron expression '0 0 0 * *' is below 1: give 1 to 31, L, L-3, 15W or LW"
      ),
      (
        "0 0 * 13 *",
        "the month '13' of the cron expression '0 0 * 13 *' is above 12: give 1 to 12 or JAN to DEC"
      ),
      (
        "0 0 * * 8",
        "the day of week '8' of the cron expression '0 0 * * 8' is above 7: give 0 to 7 (0 and 7 are Sunday), SUN to SAT, FRI#2 or FRIL"
      ),
      (
        "0 0 * * Mo",
        "the day of week 'MO' of the cron expression '0 0 * * Mo' is not valid: give 0 to 7 (0 and 7 are Sunday), SUN to SAT, FRI#2 or FRIL"
      ),
      (
        "0 0 * january *",
        "the month 'JANUARY' of the cron expression '0 0 * january *' is not valid: give 1 to 12 or JAN to DEC"
      ),
      (
        "*/0 * * * *",
        "the minute '*/0' of the cron expression '*/0 * * * *' has the step '0': give a step from 1 to 60"
      ),
      (
        "*/90 * * * *",
        "the minute '*/90' of the cron expression '*/90 * * * *' has the step '90': give a step from 1 to 60"
      ),
      (
        "* */ * * *",
        "the hour '*/' of the cron expression '* */ * * *' has the step '': give a step from 1 to 24"
      ),
      (
        "1-99999999999999999999 * * * *",
        "the minute '1-99999999999999999999' of the cron expression '1-99999999999999999999 * * * *' is above 59: give 0 to 59"
      ),
      ("1,,2 * * * *", "the minute '' of the cron expression '1,,2 * * * *' lacks a value: give 0 to 59"),
      ("1- * * * *", "the minute '1-' of the cron expression '1- * * * *' lacks a value: give 0 to 59"),
      ("-5 * * * *", "the minute '-5' of the cron expression '-5 * * * *' lacks a value: give 0 to 59"),
      (
        "1-2-3 * * * *",
        "the minute '1-2-3' of the cron expression '1-2-3 * * * *' is not valid at '2-3': give 0 to 59"
      ),
      (
        "*/5/5 * * * *",
        "the minute '*/5/5' of the cron expression '*/5/5 * * * *' has the step '5/5': give a step from 1 to 60"
      ),
      ("*5 * * * *", "the minute '*5' of the cron expression '*5 * * * *' is not valid: give 0 to 59"),
      ("? * * * *", "the minute '?' of the cron expression '? * * * *' is not valid: give 0 to 59"),
      (
        "0 0 ?,5 * *",
        "the day of month '?' of the cron expression '0 0 ?,5 * *' is not valid: give 1 to 31, L, L-3, 15W or LW"
      ),
      (
        "0 0 L-0 * *",
        "the day of month 'L-0' of the cron expression '0 0 L-0 * *' is not valid after L-: give L-1 to L-30, the days before the last day"
      ),
      (
        "0 0 32W * *",
        "the day of month '32W' of the cron expression '0 0 32W * *' is above 31: give 1 to 31, L, L-3, 15W or LW"
      ),
      (
        "0 0 * * L",
        "the day of week 'L' of the cron expression '0 0 * * L' lacks the day before L: give 5L or FRIL for the last Friday of the month"
      ),
      (
        "0 0 * * L5",
        "the day of week 'L5' of the cron expression '0 0 * * L5' is not valid: give 0 to 7 (0 and 7 are Sunday), SUN to SAT, FRI#2 or FRIL"
      ),
      (
        "0 0 * * FRI#6",
        "the day of week 'FRI#6' of the cron expression '0 0 * * FRI#6' is not valid after #: give #1 to #5, for the first to fifth such day of the month"
      ),
      (
        "@reboot",
        "the cron expression '@reboot' is not a known name: give @yearly, @annually, @monthly, @weekly, @daily, @midnight or @hourly"
      ),
      (
        "@daily\n",
        "the cron expression '@daily?' has a character that is not allowed: give letters, digits and * ? , - / # @ in ASCII, with spaces between the fields"
      ),
      (
        "0 0 * * \0",
        "the cron expression '0 0 * * ?' has a character that is not allowed: give letters, digits and * ? , - / # @ in ASCII, with spaces between the fields"
      ),
      (
        "٣ 0 * * *",
        "the cron expression '?? 0 * * *' has a character that is not allowed: give letters, digits and * ? , - / # @ in ASCII, with spaces between the fields"
      ),
    ])
  func refused(text: String, message: String) {
    let error = #expect(throws: QudoError.self) { try CronExpression(text) }
    #expect(error?.code == .invalidArgument)
    #expect(error?.message == message)
  }

  @Test("a text of any length costs little") func long() throws {
    let list = (0..<60).map(String.init).joined(separator: ",")
    let longest =
      "\(list) \(list) \((0..<24).map(String.init).joined(separator: ",")) "
      + "\((1...31).map(String.init).joined(separator: ",")) jan,feb,mar,apr,may,jun,jul,aug,sep,oct,nov,dec "
      + "sun,mon,tue,wed,thu,fri,sat"
    #expect(longest.utf8.count <= CronExpression.maxLength)
    #expect(try CronExpression(longest).next(2, after: "2026-01-01T00:00:00Z").last == "2026-01-01T00:00:02Z")

    for text in [
      String(repeating: "*", count: 10_000_000), String(repeating: "* ", count: 5_000_000),
      String(repeating: "0,", count: 1000) + " * * * *", String(repeating: "é", count: 1000),
    ] {
      let error = #expect(throws: QudoError.self) { try CronExpression(text) }
      #expect(error?.message.contains("bytes: give at most 1024") == true)
      #expect((error?.message.utf8.count ?? 0) < 200)
    }
  }

  @Test("the text is kept, with one space between fields") func text() throws {
    let expression = try CronExpression(" 30\t2  * * Mon-Fri ")
    #expect(expression.description == "30 2 * * Mon-Fri")
    #expect(try CronExpression(expression.description) == expression)
    #expect(try CronExpression("0 0 * * 0") != CronExpression("0 0 * * SUN"))

    let data = try JSONEncoder().encode([expression])
    #expect(String(decoding: data, as: UTF8.self) == #"["30 2 * * Mon-Fri"]"#)
    #expect(try JSONDecoder().decode([CronExpression].self, from: data) == [expression])
    let error = #expect(throws: DecodingError.self) {
      try JSONDecoder().decode([CronExpression].self, from: Data(#"["60 2 * * *"]"#.utf8))
    }
    #expect("\(try #require(error))".contains("is above 59: give 0 to 59"))
  }
}
