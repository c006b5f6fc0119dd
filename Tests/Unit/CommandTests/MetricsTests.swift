import Evidence
import Foundation
import Testing

/// The figures for monitoring, read by a strict parser.
@Suite(.waitsForProcesses) struct MetricsTests {
  let place: CommandWorkspace

  init() throws { place = try CommandWorkspace() }

  private func metrics(_ arguments: String...) throws -> OpenMetricsText {
    let result = try place.qudo(["metrics", "--timeout", "5m"] + arguments, input: Data())
    #expect(result.status == 0 && result.errors == "")
    return try OpenMetricsText(result.output)
  }

  @Test("jobs, ages, logs, files and schedules") func figures() throws {
    try place.qudo("enqueue", "mail", "--lines", input: "1\n2\n3\n")
    try place.qudo("enqueue", "mail", "4", "--delay", "1h")
    try place.qudo("enqueue", "sms", "1")
    try place.qudo("pause", "sms")
    try place.qudo("enqueue", "bad", "1")
    try place.qudo("work", "bad=false", "--until-empty", "--record")
    try place.qudo("schedule", "add", "nightly", "report", "--every", "1h")
    try place.qudo("schedule", "add", "held", "report", "--every", "1h")
    try place.qudo("schedule", "pause", "held")
    let text = try metrics()
    #expect(text["qudo_up", ["database": "qudo"]] == "1")
    for (state, count) in [("ready", "3"), ("delayed", "1"), ("running", "0")] {
      #expect(text["qudo_jobs", ["database": "qudo", "kind": "mail", "state": state]] == count)
    }
    #expect(
      try #require(Double(text["qudo_oldest_ready_seconds", ["database": "qudo", "kind": "mail"]] ?? "")) > 0)
    #expect(text["qudo_kind_paused", ["database": "qudo", "kind": "mail"]] == "0")
    #expect(text["qudo_kind_paused", ["database": "qudo", "kind": "sms"]] == "1")
    #expect(text["qudo_failure_log_rows", ["database": "qudo", "kind": "bad"]] == "1")
    #expect(text["qudo_status_log_rows", ["database": "qudo", "kind": "bad"]] == "1")
    #expect(text["qudo_failures_total", ["database": "qudo"]] == "1")
    #expect(text["qudo_worker", ["database": "qudo"]] == "0")
    #expect(try #require(Int(text["qudo_file_bytes", ["database": "qudo", "file": "database"]] ?? "")) > 0)
    #expect(text["qudo_file_bytes", ["database": "qudo", "file": "wal"]] != nil)
    let nightly = ["database": "qudo", "schedule": "nightly", "kind": "report"]
    #expect(
      try #require(Double(text["qudo_schedule_next_timestamp_seconds", nightly] ?? "")) > 1_700_000_000)
    #expect(text["qudo_schedule_overdue_seconds", nightly] == "0.0")
    #expect(text["qudo_schedule_paused", nightly] == "0")
    let held = ["database": "qudo", "schedule": "held", "kind": "report"]
    #expect(text["qudo_schedule_paused", held] == "1")
    #expect(text["qudo_schedule_next_timestamp_seconds", held] == nil)
    // Kinds without jobs are left out, unless they are named.
    #expect(text["qudo_jobs", ["database": "qudo", "kind": "bad", "state": "ready"]] == nil)
    let some = try metrics("--kind", "bad")
    #expect(some["qudo_jobs", ["database": "qudo", "kind": "bad", "state": "ready"]] == "0")
    #expect(some["qudo_jobs", ["database": "qudo", "kind": "mail", "state": "ready"]] == nil)
    #expect(some["qudo_oldest_ready_seconds", ["database": "qudo", "kind": "bad"]] == "0.0")
  }

  @Test(
    "kinds of any text are escaped",
    arguments: Evidence.arguments(["a\"b", "a\\b", "a\\", "a\nb", "{x=\"y\"} 1", "é\u{200F}", "# EOF"]))
  func escaping(kind: String) throws {
    try place.qudo("enqueue", kind, "1")
    #expect(try metrics()["qudo_jobs", ["database": "qudo", "kind": kind, "state": "ready"]] == "1")
  }

  @Test("a database that cannot be read is down, and the others are shown") func down() throws {
    try place.qudo("enqueue", "a", "1")
    let result = try place.qudo(
      "metrics", "--timeout", "5m", "--database", "none.db", "--database", "qudo.db")
    #expect(result.status == 1 && result.errors.contains("none.db"))
    let text = try OpenMetricsText(result.output)
    #expect(text["qudo_up", ["database": "none"]] == "0" && text["qudo_up", ["database": "qudo"]] == "1")
    let none = try place.qudo("metrics", "--timeout", "5m", "--database", "none.db", "--output", "q.prom")
    #expect(none.status == 75 && none.output == "" && !place.exists("none.db"))
    #expect(try OpenMetricsText(place.text("q.prom"))["qudo_up", ["database": "none"]] == "0")
  }

  @Test("a file is replaced at once, and readable for others") func output() throws {
    try FileManager.default.createDirectory(atPath: place.path("db"), withIntermediateDirectories: false)
    try place.qudo("enqueue", "a", "1", "--database", "db/jobs.db")
    try "old".write(toFile: place.path("q.prom"), atomically: false, encoding: .utf8)
    let before = try FileHandle(forReadingFrom: URL(fileURLWithPath: place.path("q.prom")))
    let result = try place.qudo(
      "metrics", "--timeout", "5m", "--database", "db/jobs.db", "--output", "q.prom")
    #expect(result.status == 0 && result.output == "" && result.errors == "")
    // Who has the old file open reads on in it.
    #expect(try before.readToEnd() == Data("old".utf8))
    #expect(
      try OpenMetricsText(place.text("q.prom"))[
        "qudo_jobs", ["database": "jobs", "kind": "a", "state": "ready"]] == "1")
    let mode =
      try FileManager.default.attributesOfItem(atPath: place.path("q.prom"))[.posixPermissions] as? Int
    #expect(mode == 0o644)
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: place.folder.path).sorted() == ["db", "q.prom"])
    let failed = try place.qudo("metrics", "--database", "db/jobs.db", "--output", "none/q.prom")
    #expect(
      failed.status == 1 && failed.errors.contains("cannot write none/q.prom: No such file or directory"))
    #expect(try place.qudo("metrics", "--output", "none/").status == 64)
  }
}

/// A text in the format of OpenMetrics 1.0; it throws if a rule is broken.
struct OpenMetricsText {
  struct Broken: Error, CustomStringConvertible { let description: String }
  private struct Sample: Hashable {
    let name: String
    let labels: [String: String]
  }
  private var values: [Sample: String] = [:]

  subscript(_ name: String, _ labels: [String: String]) -> String? {
    values[Sample(name: name, labels: labels)]
  }

  init(_ text: String) throws {
    guard text.hasSuffix("\n# EOF\n") || text == "# EOF\n" else {
      throw Broken(description: "no # EOF at the end")
    }
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    lines.removeLast(2)
    var (family, kind, unit, hasHelp) = ("", "", "", false)
    var families: Set<String> = []
    for line in lines {
      func check(_ isMet: Bool, _ rule: String) throws {
        guard isMet else { throw Broken(description: "\(rule): \(line)") }
      }
      if let match = line.wholeMatch(of: /# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (gauge|counter)/) {
        (family, kind, unit, hasHelp) = (String(match.1), String(match.2), "", false)
        try check(families.insert(family).inserted, "a family comes once, in one piece")
        try check(kind != "counter" || !family.hasSuffix("_total"), "a counter's family has no _total")
      } else if let match = line.wholeMatch(of: /# UNIT ([^ ]+) ([a-z]+)/) {
        try check(match.1 == family && unit == "", "a unit belongs to its family")
        unit = String(match.2)
        try check(family.hasSuffix("_" + unit), "the name ends with the unit")
      } else if let match = line.wholeMatch(of: /# HELP ([^ ]+) (.*)/) {
        try check(match.1 == family && !hasHelp, "a help belongs to its family")
        hasHelp = true
      } else {
        let (sample, value) = try Self.sample(line)
        try check(
          sample.name == family + (kind == "counter" ? "_total" : ""), "a sample belongs to its family")
        try check(Double(value)?.isFinite == true, "a value is a number")
        try check(kind != "counter" || (Double(value) ?? -1) >= 0, "a counter is not negative")
        try check(values.updateValue(value, forKey: sample) == nil, "a sample comes once")
      }
    }
  }

  private static func sample(_ line: String) throws -> (Sample, String) {
    let broken = Broken(description: "not a sample: \(line)")
    guard let open = line.firstIndex(of: "{") else { throw broken }
    let name = String(line[..<open])
    guard name.wholeMatch(of: /[a-zA-Z_:][a-zA-Z0-9_:]*/) != nil else { throw broken }
    var rest = line[line.index(after: open)...].unicodeScalars
    var labels: [String: String] = [:]
    while true {
      var label = ""
      while let next = rest.popFirst(), next != "=" { label.unicodeScalars.append(next) }
      guard label.wholeMatch(of: /[a-zA-Z_][a-zA-Z0-9_]*/) != nil, rest.popFirst() == "\"" else {
        throw broken
      }
      var value = ""
      while let next = rest.popFirst(), next != "\"" {
        guard next == "\\" else {
          value.unicodeScalars.append(next)
          continue
        }
        switch rest.popFirst() {
        case "\\": value += "\\"
        case "\"": value += "\""
        case "n": value += "\n"
        default: throw broken
        }
      }
      guard labels.updateValue(value, forKey: label) == nil else { throw broken }
      let next = rest.popFirst()
      if next == "}" { break }
      guard next == "," else { throw broken }
    }
    guard rest.popFirst() == " " else { throw broken }
    let value = String(rest)
    guard !value.contains(" ") else { throw broken }
    return (Sample(name: name, labels: labels), value)
  }
}
