import Qudo
@testable import QudoCommand
import Testing

@Suite struct TextWidthTests {
  @Test(
    "columns of text",
    arguments: [
      ("abc", 3), ("é", 1), ("e\u{301}", 1), ("字", 2), ("한글", 4), ("ｱ", 1), ("ａ", 2), ("🎉", 2), ("▁█…", 3),
      ("\u{1100}\u{1161}", 2), ("", 0),
    ])
  func widths(text: String, width: Int) { #expect(TextWidth.of(text) == width) }

  @Test("a cell has exactly its width, whatever is cut") func fit() {
    #expect(TextWidth.fit("ab", 4) == "ab  " && TextWidth.fit("ab", 4, .right) == "  ab")
    #expect(TextWidth.fit("abcdef", 4) == "abc…" && TextWidth.fit("abcdef", 4, mark: "~") == "abc~")
    // Half of a wide character is none.
    #expect(TextWidth.fit("字字字", 4) == "字… ")
    #expect(TextWidth.fit("e\u{301}e\u{301}e\u{301}", 2) == "e\u{301}…")
    #expect(TextWidth.fit("abc", 0) == "")
    for text in ["字a字b字c", "a\u{301}\u{302}字🎉x", "plain text"] {
      for width in 0..<12 {
        #expect(TextWidth.of(TextWidth.fit(text, width)) == width, "\(text) in \(width)")
      }
    }
  }

  @Test("a long name loses its middle") func middle() {
    #expect(TextWidth.middle("com.example.mail.send", 12) == "com…ail.send")
    #expect(TextWidth.middle("short", 5) == "short" && TextWidth.middle("longer", 3) == "longer")
    #expect(TextWidth.middle("字字字字字字", 7) == "字…字字")
    for width in 5..<20 {
      #expect(TextWidth.of(TextWidth.middle("字ae\u{301}bc字字字e\u{301}defgh", width)) <= width)
    }
  }

  @Test("text is wrapped without losing anything") func wrap() {
    #expect(TextWidth.wrap("abcdef", 4) == ["abcd", "ef"])
    #expect(TextWidth.wrap("字字字", 5) == ["字字", "字"])
    #expect(TextWidth.wrap("", 5) == [""])
    #expect(TextWidth.wrap("字字", 1).joined() == "字字")
  }

  @Test("nothing from a database controls the terminal or moves the cells after it") func safe() {
    #expect(CellText.safe("a\u{1B}[31mb\n\u{202E}c") == "a\\u{1b}[31mb\\n\\u{202e}c")
    #expect(CellText.safe("❤\u{FE0F}x") == "❤x", "a selector makes some terminals show it wide")
    #expect(CellText.safe("\u{301}x") == "x", "it would join the cell before")
    #expect(CellText.safe(Payload([0xFF, 0])) == "0xff00")
  }

  @Test("figures take few columns") func figures() {
    for (number, text) in [
      (0, "0"), (999, "999"), (1000, "1,000"), (99_999, "99,999"), (123_456, "123k"), (1_234_567, "1.2M"),
      (999_999, "1M"), (12_345_678, "12M"), (-5, "-5"),
    ] { #expect(FigureText.count(number) == text) }
    for (rate, text) in [
      (0.0, "0"), (0.04, "0"), (0.25, "0.3"), (1, "1"), (9.96, "10"), (999, "999"), (1234, "1.2k"),
      (56_789, "57k"),
      (-3.5, "-3.5"),
    ] { #expect(FigureText.rate(rate) == text) }
    #expect(FigureText.rate(nil) == "-" && FigureText.rate(.nan) == "-")
    #expect(FigureText.change(2) == "+2" && FigureText.change(-2) == "-2" && FigureText.change(0.01) == "0")
    #expect(FigureText.change(-0.01) == "0")
    for (duration, text) in [
      (Duration.zero, "0s"), (.microseconds(850), "850us"), (.microseconds(4210), "4.2ms"),
      (.milliseconds(120), "120ms"),
      (.milliseconds(999) + .microseconds(600), "1s"), (.milliseconds(4200), "4.2s"), (.seconds(42), "42s"),
      (.seconds(725), "12m05s"), (.seconds(11_100), "3h05m"), (.seconds(1_047_600), "12d03h"),
      (.seconds(123 * 86_400), "123d"), (.seconds(400_000 * 86_400), ">270y"),
    ] { #expect(FigureText.duration(duration) == text) }
    for (bytes, text) in [
      (Int64(0), "0B"), (999, "999B"), (12_400, "12.4kB"), (124_000_000, "124MB"), (.max, "9.2EB"),
    ] { #expect(FigureText.bytes(bytes) == text) }
    #expect(FigureText.bytes(nil) == "-" && FigureText.duration(nil) == "-")
  }

  @Test("a sparkline ends with the newest value, and has gaps where one is unknown") func sparkline() {
    #expect(FigureText.sparkline([0, 1, nil, 7], 6, ascii: false) == "  ▁▂ █")
    #expect(FigureText.sparkline([0, 1, nil, 7], 6, ascii: true) == "  _. @")
    #expect(FigureText.sparkline([1, 2, 3, 4, 8], 2, ascii: false) == "▅█")
    #expect(FigureText.sparkline([0, 0], 2, ascii: false) == "▁▁")
    #expect(
      FigureText.sparkline([], 3, ascii: false) == "   " && FigureText.sparkline([1], 0, ascii: true) == "")
  }

  @Test("the environment says what the terminal can show") func environment() {
    func environment(_ variables: [String: String]) -> TerminalEnvironment {
      TerminalEnvironment { variables[$0] }
    }
    #expect(
      environment(["TERM": "dumb"]).isDumb && environment([:]).isDumb
        && !environment(["TERM": "xterm"]).isDumb)
    #expect(environment(["LANG": "de_DE.UTF-8"]).isUTF8 && environment(["LC_CTYPE": "C.utf8"]).isUTF8)
    #expect(!environment(["LANG": "C.UTF-8", "LC_ALL": "C"]).isUTF8 && !environment([:]).isUTF8)
    #expect(environment(["NO_COLOR": "1"]).attributes(noColor: false) == .monochrome)
    #expect(environment(["NO_COLOR": ""]).attributes(noColor: false) == .colors)
    #expect(environment([:]).attributes(noColor: true) == .monochrome)
    #expect(environment(["COLUMNS": "132"]).columns == 132 && environment(["COLUMNS": "x"]).columns == nil)
  }
}
