import Foundation
import Qudo
import QudoTesting
import Testing

@testable import QudoSchedules

@Suite struct TimeZoneTests {
  /// CI installs one.
  static let hasDatabase =
    (try? TimeZoneRules(named: "Etc/UTC")) != nil || ProcessInfo.processInfo.environment["QUDO_CI"] != nil

  @Test("a zone of the system's database", .enabled(if: hasDatabase)) func system() throws {
    let zone = try TimeZoneRules(named: "Europe/Berlin")
    #expect(zone.name == "Europe/Berlin" && zone.description == "Europe/Berlin")
    #expect(zone.offset(at: at("2020-01-01T00:00:00Z")) == .seconds(3600))
    #expect(zone.offset(at: at("2020-07-01T00:00:00Z")) == .seconds(7200))
    // Local mean time.
    #expect(zone.offset(at: .earliest) == .seconds(3208))
    #expect(zone.offset(at: .latest) == .seconds(3600))
    #expect(try TimeZoneRules(named: "Europe/Berlin") == zone)
  }

  @Test("UTC needs no database") func utc() throws {
    #expect(try TimeZoneRules(named: "UTC") == .utc)
    #expect(TimeZoneRules.utc.offset(at: .latest) == .zero)
  }

  @Test(
    "a name that is none reads no file",
    arguments: [
      "", "/", "../../etc/passwd", "/etc/passwd", "Europe/../../../../etc/passwd", "Europe//Berlin",
      "/Europe/Berlin",
      "Europe/Berlin/", "./Europe/Berlin", "Europe/Berlin\0", "Europe/Berlin\n", "Europe/Bérlin", "zone.tab",
      "localtime", "posixrules", String(repeating: "a", count: 65), String(repeating: "a/", count: 1_000_000),
    ])
  func names(name: String) {
    let error = #expect(throws: QudoError.self) { try TimeZoneRules(named: name) }
    #expect(error?.code == .invalidArgument)
    #expect(
      error?.message.hasSuffix("is not the name of a time zone: give one such as Europe/Berlin or UTC")
        == true)
    #expect((error?.message.utf8.count ?? 0) < 150)
  }

  @Test(
    "an unknown name is refused", .enabled(if: hasDatabase),
    arguments: ["Europe", "Europe/Berln", "leapseconds", "Europe/Berlin/Mitte"])
  func unknown(name: String) {
    let error = #expect(throws: QudoError.self) { try TimeZoneRules(named: name) }
    #expect(error?.code == .invalidArgument)
    #expect(error?.message.hasPrefix("there is no time zone \(name) in /usr/share/zoneinfo") == true)
  }

  @Test("a system without a database says what to install") func missing() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "qudo-zones-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    let database = ZoneDatabase(folders: [folder.path])
    for _ in 0..<2 {
      let error = #expect(throws: QudoError.self) { try database.file(named: "Europe/Berlin") }
      #expect(error?.code == .cannotOpen)
      #expect(
        error?.message
          == "there is no time zone database in \(folder.path): install the package tzdata, or set TZDIR to its folder"
      )
      // The same for an empty folder.
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    let file = try #require(Vectors.files["Europe/Berlin"])
    try Data(file).write(to: folder.appendingPathComponent("UTC"))
    let error = #expect(throws: QudoError.self) { try database.file(named: "Europe/Berlin") }
    #expect(error?.code == .invalidArgument)
    #expect(try database.file(named: "UTC") == file)
  }

  @Test("a pipe, an endless file and a text file in the database are no zones") func notFiles() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "qudo-zones-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = try #require(Vectors.files["Europe/Berlin"])
    try Data(file).write(to: folder.appendingPathComponent("UTC"))
    #expect(mkfifo(folder.appendingPathComponent("pipe").path, 0o600) == 0)
    try FileManager.default.createSymbolicLink(
      atPath: folder.appendingPathComponent("zero").path, withDestinationPath: "/dev/zero")
    try Data("TZ".utf8).write(to: folder.appendingPathComponent("text"))
    for name in ["pipe", "zero", "text"] {
      let error = #expect(throws: QudoError.self) {
        try ZoneDatabase(folders: [folder.path]).file(named: name)
      }
      #expect(error?.code == .invalidArgument)
    }
  }

  @Test("all zones of the system have Foundation's offsets", .enabled(if: hasDatabase)) func foundation()
    throws
  {
    var random = Seeded(seed: 19)
    var count = 0
    // Foundation brings a database of its own version: since 2015 some countries have changed their minds.
    let (first, last) = (at("1971-01-01T00:00:00Z").second, at("2015-01-01T00:00:00Z").second)
    for name in TimeZone.knownTimeZoneIdentifiers {
      // Old names are not installed everywhere.
      guard let zone = try? TimeZoneRules(named: name), let other = TimeZone(identifier: name) else {
        continue
      }
      var differing: [String] = []
      for _ in 0..<100 {
        let second = Int64.random(in: first...last, using: &random)
        let offset = other.secondsFromGMT(for: Date(timeIntervalSince1970: Double(second)))
        if zone.period(at: second).offset != Int64(offset) {
          differing.append(
            "\(name) \(Timestamp(second: second).short) \(zone.period(at: second).offset) \(offset)")
        }
      }
      #expect(differing == [])
      count += 1
    }
    #expect(count > 300)
  }

  @Test(
    "after the end of the table the rule holds",
    arguments: [
      ("Europe/Berlin", "2050-07-01T00:00:00Z", 7200), ("Europe/Berlin", "2050-12-01T00:00:00Z", 3600),
      // The last Sunday in March 2400 is the 26th, in October the 29th.
      ("Europe/Berlin", "2400-03-26T00:59:59Z", 3600), ("Europe/Berlin", "2400-03-26T01:00:00Z", 7200),
      ("Europe/Berlin", "2400-10-29T00:59:59Z", 7200), ("Europe/Berlin", "2400-10-29T01:00:00Z", 3600),
      ("America/New_York", "2100-03-14T06:59:59Z", -18_000),
      ("America/New_York", "2100-03-14T07:00:00Z", -14_400),
      ("Australia/Lord_Howe", "2100-01-01T00:00:00Z", 39_600),
      ("Australia/Lord_Howe", "2100-07-01T00:00:00Z", 37_800),
      ("Europe/Dublin", "2100-01-01T00:00:00Z", 0), ("Europe/Dublin", "2100-07-01T00:00:00Z", 3600),
      ("Antarctica/Troll", "2100-07-01T00:00:00Z", 7200), ("Asia/Kathmandu", "2100-07-01T00:00:00Z", 20_700),
      // 22:00 on the last Saturday in March, by standard time; the rule says Sunday at -1.
      ("America/Nuuk", "2100-03-28T00:59:59Z", -7200), ("America/Nuuk", "2100-03-28T01:00:00Z", -3600),
      ("America/Sao_Paulo", "2100-01-01T00:00:00Z", -10_800),
    ])
  func rule(name: String, time: String, offset: Int) throws {
    #expect(try Vectors.zone(name).offset(at: at(time)) == .seconds(offset))
  }

  @Test(
    "rules",
    arguments: [
      // Through the year: from 1 January 00:00 standard time to 31 December 23:00 standard time.
      ("XXX3EDT4,0/0,J365/23", "2026-01-01T03:00:00Z", -14_400),
      ("XXX3EDT4,0/0,J365/23", "2026-07-01T00:00:00Z", -14_400),
      ("XXX3EDT4,0/0,J365/23", "2027-01-01T02:59:59Z", -14_400),
      // J60 is 1 March in each year; 59 is 29 February in leap years.
      ("AAA0BBB,J60/0,J300/0", "2028-02-29T23:59:59Z", 0),
      ("AAA0BBB,J60/0,J300/0", "2028-03-01T00:00:00Z", 3600),
      ("AAA0BBB,59/0,300/0", "2028-02-28T23:59:59Z", 0), ("AAA0BBB,59/0,300/0", "2028-02-29T00:00:00Z", 3600),
      ("AAA0BBB,59/0,300/0", "2027-02-28T23:59:59Z", 0), ("AAA0BBB,59/0,300/0", "2027-03-01T00:00:00Z", 3600),
      // 50 hours after the start of the Thursday before the fourth Friday or so.
      ("EET-2EEST,M3.4.4/50,M10.4.4/50", "2026-03-27T23:59:59Z", 7200),
      ("EET-2EEST,M3.4.4/50,M10.4.4/50", "2026-03-28T00:00:00Z", 10_800),
      ("<+0330>-3:30<+04>,M3.1.0/-167:59:59,M9.1.0", "2026-07-01T00:00:00Z", 16_200),
      // In the south, the year begins in summer.
      ("AEST-10AEDT,M10.1.0,M4.1.0/3", "2026-01-01T00:00:00Z", 39_600),
      ("AEST-10AEDT,M10.1.0,M4.1.0/3", "2026-06-01T00:00:00Z", 36_000),
    ])
  func rules(text: String, time: String, offset: Int64) throws {
    let parsed = try #require(TZString(Array(text.utf8)[...]))
    let rule = try #require(parsed.rule)
    var period = OffsetPeriod(offset: rule.standard)
    rule.narrow(&period, around: at(time).second)
    #expect(period.offset == offset)
    #expect(period.start <= at(time).second && at(time).second < period.end)
  }

  @Test(
    "rules that are not valid",
    arguments: [
      "", "A0", "AB", "ABC", "<ABC0", "ABC25", "ABC0DEF", "ABC0DEF,M3.5.0", "ABC0DEF,M13.5.0,M10.5.0",
      "ABC0DEF,M3.6.0,M10.5.0", "ABC0DEF,M3.5.7,M10.5.0", "ABC0DEF,J0,J1", "ABC0DEF,366,1",
      "ABC0DEF,M3.5.0/168,1",
      "ABC0DEF,M3.5.0,M10.5.0x", "ABC0:60", "ABC99999999999999999999", "ABC-", "ABC0DEF,M3.5.0/,M10.5.0",
    ])
  func invalidRules(text: String) { #expect(TZString(Array(text.utf8)[...]) == nil) }

  @Test("a damaged file is an error, whichever byte is damaged or cut off") func damaged() throws {
    let file = try #require(Vectors.files["Asia/Kathmandu"])
    for count in 0..<file.count {
      let error = #expect(throws: QudoError.self) {
        try TimeZoneRules(name: "x", file: Array(file.prefix(count)))
      }
      #expect(error?.code == .corrupt)
    }
    // Some changes go unnoticed. None traps.
    for index in file.indices {
      for value in [0, 1, 0x7f, 0x80, 0xff] as [UInt8] {
        var changed = file
        changed[index] = value
        guard let zone = try? TimeZoneRules(name: "x", file: changed) else { continue }
        #expect(try CronExpression("30 2 * * *").next(after: at("1986-01-01T00:00:00Z"), in: zone) != nil)
        #expect(try CronExpression("* * * * *").previous(before: at("1986-01-01T00:00:00Z"), in: zone) != nil)
      }
    }
  }
}
