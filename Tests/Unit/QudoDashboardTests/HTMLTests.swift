#if Dashboard
import Foundation
import Qudo
import Testing

@testable import QudoDashboard

/// How text becomes HTML, and figures text.
@Suite struct HTMLTests {
  @Test(
    "interpolated text is shown and never read as HTML",
    arguments: [
      ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
      ("\"'`&", "&quot;&#39;&#96;&amp;"),
      ("a\u{0}b\u{1B}[31m\r", "a\\u{0}b\\u{1b}[31m\\u{d}"), ("\u{2028}\u{2029}", "\\u{2028}\\u{2029}"),
      ("\u{202E}gpj.exe", "\\u{202e}gpj.exe"), ("\u{FEFF}\u{200B}", "\\u{feff}\\u{200b}"),
      ("é 👩‍👩‍👧 日本", "é 👩‍👩‍👧 日本"),
      ("a\nb\tc", "a\nb\tc"),
    ]) func escaping(text: String, shown: String)
  {
    let html: HTML = "<b title=\"\(text)\">\(text)</b>"
    #expect(html.markup == "<b title=\"\(shown)\">\(shown)</b>")
  }

  @Test("HTML in HTML stays as it is, and texts that are missing are nothing") func nesting() {
    let inner: HTML = "<i>\("<")</i>"
    let list = [inner, inner]
    #expect(
      ("\(list)\(nil as String?)\(if: true, inner)\(if: false, inner)" as HTML).markup
        == "<i>&lt;</i><i>&lt;</i><i>&lt;</i>")
  }

  @Test("a link begins with the dashboard's path, whatever is put into it") func links() {
    let hostile = "javascript:alert(1)//\"><&=?#%\u{0}é"
    let link = Link("/queue", "jobs", ["kind": hostile, "empty": ""])
    #expect(link.text == "/queue/jobs?kind=javascript%3Aalert%281%29%2F%2F%22%3E%3C%26%3D%3F%23%25%00%C3%A9")
    #expect(Fields(encoded: link.text.split(separator: "?")[1])["kind"] == hostile)
    #expect(Link("", "").text == "/" && Link("/a", "").text == "/a")
    #expect(link.with("kind", nil).with("after", "5").text == "/queue/jobs?after=5")
  }

  @Test("figures have units and thin spaces") func figures() {
    #expect(Figures.count(999) == "999" && Figures.count(1_000_000) == "1\u{202F}000\u{202F}000")
    #expect(Figures.count(-1234) == "−1\u{202F}234" && Figures.count(Int64.min).hasPrefix("−9"))
    #expect(Figures.bytes(17) == "17\u{202F}B" && Figures.bytes(91_080_704) == "91.1\u{202F}MB")
    #expect(Figures.bytes(999_999) == "1\u{202F}MB" && Figures.bytes(Int64.max).hasSuffix("TB"))
    #expect(Figures.rate(0) == "0/s" && Figures.rate(12.34) == "12.3/s" && Figures.rate(0.05) == "3/min")
    #expect(Figures.rate(.infinity) == "0/s" && Figures.short(-0.25) == "−0.25")
    #expect(
      Figures.duration(.microseconds(450)) == "450\u{202F}µs"
        && Figures.duration(.milliseconds(1200)) == "1.2\u{202F}s")
    #expect(Figures.duration(.seconds(65)) == "1\u{202F}min\u{202F}5\u{202F}s")
    #expect(Figures.duration(.seconds(7500)) == "2\u{202F}h\u{202F}5\u{202F}min")
    #expect(
      Figures.duration(.seconds(-5)) == "−5\u{202F}s" && Figures.duration(.seconds(Int64.max)).hasSuffix("d"))
  }

  @Test("times are relative, with the absolute one beside them") func times() {
    let now = Timestamp(microseconds: 1_800_000_000_000_000)
    let html = HTML.time(now.advanced(by: .seconds(-180)), now).markup
    #expect(
      html
        == "<time datetime=\"2027-01-15T07:57:00.000000Z\" title=\"2027-01-15 07:57:00 UTC\">3\u{202F}min ago</time>"
    )
    #expect(HTML.time(now, now).markup.contains(">now<"))
    #expect(HTML.time(now.advanced(by: .seconds(60)), now).markup.contains(">in 1\u{202F}min<"))
    #expect(
      HTML.time(.latest, now).markup.contains(">9999-12-31<")
        && HTML.time(.earliest, now).markup.contains(">0001-01-01<"))
  }

  @Test("a plot breaks at gaps, has words for those who do not see it, and stays within its box") func chart()
  {
    let chart = LineChart(
      id: "a", title: "A<", about: "About.", times: [0, 1, 2, 3, 60, 61],
      series: [.init(name: "b&", color: "blue", values: [1, 2, nil, 3, 4, 1e300])],
      format: { Figures.short($0) }, empty: "Wait")
    let html = chart.html.markup
    #expect(
      html.contains("A&lt;") && html.contains("b&amp;: now ∞, lowest 1, highest ∞")
        && html.contains("role=\"img\""))
    #expect(html.matches(of: /class="line blue"/).count == 3)
    let numbers = html.matches(of: /[ML]([0-9.]+) ([0-9.]+)/).map { (Double($0.1) ?? -1, Double($0.2) ?? -1) }
    #expect(!numbers.isEmpty && numbers.allSatisfy { (0...600).contains($0.0) && (0...160).contains($0.1) })
    let empty = LineChart(
      id: "a", title: "A", about: "", times: [], series: [], format: { _ in "" }, empty: "Wait")
    #expect(empty.html.markup.contains("Wait") && !empty.html.markup.contains("<svg"))
    #expect(
      Sparkline.html([nil, 1], color: "blue").isEmpty
        && !Sparkline.html([5, 5, nil, 6], color: "blue").isEmpty)
  }

  @Test("the legend of a plot tells dashed lines apart") func legend() {
    let chart = LineChart(
      id: "a", title: "A", about: "", times: [0, 1],
      series: [
        .init(name: "half", color: "blue", isDashed: true, values: [1, 2]),
        .init(name: "most", color: "blue", values: [3, 4]),
      ], format: { Figures.short($0) }, empty: "")
    let keys = chart.html.markup.matches(of: /class="key ([a-z ]+)"/).map { String($0.1) }
    #expect(keys == ["blue dashed", "blue"] && Assets.styleSheet.contains(".key.dashed {"))
  }

  @Test(
    "the axis of numbers of jobs has whole numbers",
    arguments: [(0.0, 2.0), (1, 2), (3, 4), (5, 10), (11, 20), (30, 40)])
  func wholeAxis(highest: Double, top: Double) {
    let chart = LineChart(
      id: "a", title: "A", about: "", times: [0, 1],
      series: [.init(name: "b", color: "blue", values: [0, highest])], format: { "\($0)" }, isWhole: true,
      empty: "")
    #expect(chart.html.markup.contains("<span>\(top)</span><span>\(top / 2)</span><span>0.0</span>"))
  }

  /// "The visual presentation of text […] has a contrast ratio of at least 4.5:1": WCAG 2.2, 1.4.3.
  @Test("text stands out from what it is on, in light and dark", arguments: [false, true])
  func contrast(isDark: Bool) throws {
    let sheet = Assets.styleSheet
    let roots = sheet.components(separatedBy: ":root {").dropFirst().map {
      $0.components(separatedBy: "}")[0]
    }
    var colors: [String: String] = [:]
    for match in try #require(isDark ? roots.last : roots.first).matches(of: /--([a-z-]+): #([0-9a-f]{6});/) {
      colors[String(match.1)] = String(match.2)
    }
    func luminance(_ name: String) throws -> Double {
      let value = try #require(colors[name].flatMap { UInt32($0, radix: 16) }, "\(name)")
      let parts = [16, 8, 0].map { shift in
        let part = Double(value >> UInt32(shift) & 0xFF) / 255
        return part <= 0.04045 ? part / 12.92 : pow((part + 0.055) / 1.055, 2.4)
      }
      return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
    }
    let pairs = [
      ("text", ["page", "card", "stripe", "gray-soft"]), ("quiet", ["page", "card", "stripe", "gray-soft"]),
      ("accent", ["page", "card", "stripe", "accent-soft", "blue-soft"]),
      ("red", ["card", "stripe", "red-soft"]),
      ("amber", ["card", "stripe", "amber-soft"]), ("violet", ["violet-soft"]),
    ]
    for (text, grounds) in pairs {
      for ground in grounds {
        let both = try [luminance(text), luminance(ground)].sorted()
        #expect((both[1] + 0.05) / (both[0] + 0.05) >= 4.5, "\(text) on \(ground)")
      }
    }
  }

  @Test("JSON is put on lines, byte for byte otherwise") func json() {
    let json = Excerpt(Payload(#"{"a":[1,2.50,{}],"b":"x\"{,","c":[]}"#))
    #expect(json.form == .json && !json.isCutOff)
    #expect(
      json.text == "{\n  \"a\": [\n    1,\n    2.50,\n    {}\n  ],\n  \"b\": \"x\\\"{,\",\n  \"c\": []\n}")
    #expect(Excerpt(Payload("{not json")).form == .text)
    #expect(Excerpt(Payload([0x22, 0x61, 0x22], codec: .json)).form == .json)
  }

  @Test("other payloads are text or hexadecimal, and long ones are cut off") func payloads() {
    let text = Excerpt(Payload("hello"))
    #expect(text.form == .text && text.text == "hello")
    let bytes = Excerpt(Payload([0x00, 0xFF, 0x41]))
    #expect(
      bytes.form == .hexadecimal && bytes.text.hasPrefix("000000  00 ff 41 ") && bytes.text.hasSuffix("..A"))
    #expect(Excerpt(Payload([0x7B, 0x7D], codec: .messagePack)).form == .hexadecimal)
    let long = Excerpt(Payload([UInt8](repeating: 0x5B, count: 10_000_000)))
    #expect(long.isCutOff && long.shown == Excerpt.textBytes && long.size == 10_000_000)
    #expect(long.text.utf8.count < 4_000_000, "brackets are indented up to a depth")
    let accents = Excerpt(Payload(String(repeating: "é", count: 40_000) + "!"))
    #expect(accents.form == .text && accents.isCutOff)
    let binary = Excerpt(Payload([UInt8](repeating: 0, count: 100_000)))
    #expect(binary.shown == Excerpt.binaryBytes)
    #expect(
      Excerpt.line(Payload("a\nb"), isCut: true) == "a b…" && Excerpt.line(Payload("a"), isCut: false) == "a")
    #expect(Excerpt.line(Payload([]), isCut: false).isEmpty)
    #expect(Excerpt.line(Payload([0xFF, 0]), isCut: false) == "2\u{202F}B, codec 0")
    #expect(Excerpt.line(Payload([0xFF, 0]), isCut: true).hasPrefix("over 2\u{202F}B"))
  }

  @Test("no source puts text into an attribute without quotes") func quotes() throws {
    let folder = URL(fileURLWithPath: #filePath).appendingPathComponent(
      "../../../../Sources/QudoDashboard/Pages"
    ).standardized
    for file in try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil) {
      let text = try String(contentsOf: file, encoding: .utf8)
      let bare = text.matches(of: /[a-z]=\\\([a-z]/).map { String($0.0) }
      #expect(bare.isEmpty, "\(file.lastPathComponent): \(bare)")
      #expect(!text.contains("style=\\\"") && !text.contains("onclick"), "\(file.lastPathComponent)")
    }
  }
}
#endif
