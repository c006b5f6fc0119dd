import Qudo
import Testing

@Suite struct DurationSyntaxTests {
  @Test(
    "durations are written as people read them",
    arguments: [
      (Duration.zero, "0us"), (.microseconds(999), "999us"), (.milliseconds(250), "250ms"),
      (.microseconds(1500), "1.5ms"),
      (.seconds(15.869710203005743), "15.87s"), (.seconds(2), "2s"), (.seconds(59), "59s"),
      (.seconds(90), "1m30s"), (.seconds(3600), "1h"),
      (.seconds(5400), "1h30m"), (.seconds(86_400 * 2), "2d"), (.seconds(-90), "-1m30s"),
      (.milliseconds(1050), "1.05s"),
    ]) func inUnits(duration: Duration, text: String)
  { #expect(duration.inUnits == text) }

  @Test(arguments: [
    ("500ms", Duration.milliseconds(500)), ("90s", .seconds(90)), ("1h30m", .seconds(5400)),
    ("2d", .seconds(172_800)),
    ("1.5h", .seconds(5400)), ("7", .seconds(7)), ("0.25", .milliseconds(250)), ("3us", .microseconds(3)),
    ("0s", .zero), ("100000d", .seconds(8_640_000_000)),
  ])
  func reads(text: String, expected: Duration) throws {
    #expect(try Duration(parsing: text) == expected)
  }

  @Test(arguments: [
    "", "-1s", "s", "1x", "1m1h", "1s1s", ".5s", "5.s", "1..5s", "1s5", "100001d", "99999999999999999999s",
    "1 s", "١s", "1\u{0}s",
  ])
  func refuses(text: String) {
    #expect(throws: QudoError.self) { try Duration(parsing: text) }
  }
}

@Suite struct KindTests {
  @Test func kindsAreBytes() {
    #expect("\u{e9}" == "e\u{301}")
    #expect(Kind("\u{e9}") != Kind("e\u{301}"))
  }
}
