internal import Qudo
internal import QudoBench
internal import QudoSQLite

/// The result of a benchmark, as a table for people and as JSON for programs.
struct BenchReport {
  let lines: [BenchLine]
  /// The conditions of the measurement, in sentences.
  let about: String
  /// The conditions of the measurement, as JSON.
  let settings: JSON

  /// - Parameter syncs: the number of syncs per second that the disk can do.
  init(_ lines: [BenchLine], _ settings: Bench.Settings, syncs: Double) {
    self.lines = lines
    about = """
      SQLite \(SQLiteDriver.libraryVersion), pages of 2,048 bytes, payloads of 100 bytes, medians of \(settings.rounds) rounds.
      The disk syncs \(Figures.grouped(Int(syncs))) overwrites of 4 KiB a second.
      """
    self.settings = .object([
      ("sqlite", .text(SQLiteDriver.libraryVersion)),
      ("durability", .text(settings.durabilities.map(\.rawValue).joined(separator: ","))),
      ("rounds", .integer(Int64(settings.rounds))), ("payloadBytes", .integer(100)),
      ("syncsPerSecond", .number(syncs)),
    ])
  }

  #if MySQL
  /// - Parameter server: the server's version and its durability settings.
  init(_ lines: [BenchLine], server: ServerBench.Server, rounds: Int) {
    self.lines = lines
    let losses = server.losesOnPowerCut
    about = """
      The server is \(SafeText.terminalSafe(server.version)), payloads of 100 bytes, medians of \(rounds) rounds.
      A commit that it acknowledges \(losses.isEmpty ? "survives a power cut" : "may be lost in a power cut: \(losses.joined(separator: "; "))").
      """
    settings = .object([
      ("server", .text(server.version)), ("survivesPowerCut", .bool(losses.isEmpty)),
      ("rounds", .integer(Int64(rounds))),
      ("payloadBytes", .integer(100)),
    ])
  }
  #endif

  var text: String {
    var table = Table([
      "workload", "durability", .number("qudo"), .number("floor"), "", .number("ratio"), .number("least"),
      .number("highest"), "target", "",
    ])
    for line in lines {
      table.add([
        line.workload, line.durability ?? "",
        line.unit.isEmpty ? Self.figure(line.rate) : "\(Self.figure(line.rate)) \(line.unit)",
        line.floor.map(Self.figure) ?? "",
        line.floorName ?? "", Self.ratio(line.ratio), Self.ratio(line.ratios.min()),
        Self.ratio(line.ratios.max()),
        Self.target(line), line.met.map { $0 ? "met" : "FALLS SHORT" } ?? "",
      ])
    }
    let short = lines.count { $0.met == false }
    let judged = lines.count { $0.met != nil }
    return """
      \(table.text)
      \(judged - short) of \(judged) targets met.
      \(about)

      """
  }

  func json() throws -> String {
    var results: [JSON] = []
    for line in lines {
      results.append(
        .object([
          ("workload", .text(line.workload)), ("durability", .text(line.durability)),
          ("rate", .number(line.rate)),
          ("unit", .text(line.unit)), ("floor", .number(line.floor)), ("floorName", .text(line.floorName)),
          ("ratio", .number(line.ratio)), ("ratioLeast", .number(line.ratios.min())),
          ("ratioHighest", .number(line.ratios.max())),
          ("target", .number(line.target?.value)), ("targetFigure", .text(line.target?.figure.rawValue)),
          ("targetIsLeast", line.target.map { .bool($0.isLeast) } ?? .null),
          ("met", line.met.map { .bool($0) } ?? .null),
        ]))
    }
    var writer = JSONWriter()
    try writer.write(.object([("settings", settings), ("results", .array(results))]))
    return writer.text + "\n"
  }

  private static func figure(_ value: Double) -> String {
    guard value.isFinite else { return "-" }
    if abs(value) >= 100 { return Figures.grouped(Int(value.rounded())) }
    return fixed(value, abs(value) >= 10 ? 1 : abs(value) >= 0.1 ? 2 : 3)
  }

  private static func ratio(_ value: Double?) -> String {
    value.map { $0.isFinite ? fixed($0, 2) : "-" } ?? ""
  }

  private static func target(_ line: BenchLine) -> String {
    guard let target = line.target else { return "" }
    return "\(target.figure.rawValue) \(target.isLeast ? "at least" : "at most") \(figure(target.value))"
  }

  /// Formats a number with `digits` decimal places.
  private static func fixed(_ value: Double, _ digits: Int) -> String {
    let scale = (0..<digits).reduce(1) { product, _ in product * 10 }
    let whole = Int((abs(value) * Double(scale)).rounded())
    let rest = "\(whole % scale)"
    let sign = value < 0 && whole > 0 ? "-" : ""
    guard digits > 0 else { return "\(sign)\(whole)" }
    return "\(sign)\(whole / scale)." + String(repeating: "0", count: digits - rest.count) + rest
  }
}
