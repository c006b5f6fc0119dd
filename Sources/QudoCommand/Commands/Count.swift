internal import ArgumentParser
internal import Qudo

struct Count: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Count the jobs of each kind: ready, delayed, running and held.",
    discussion: """
      With --json each element is {"database", "kind", "ready", "delayed", "running", "held", "paused"}. Kinds without jobs are omitted. \
      Held jobs wait for others of their concurrency key; the table has a column for them only if there are any.

        qudo count --kind mail.send --json
      """)

  @OptionGroup var database: Database
  @OptionGroup var kind: KindOption
  @Flag(help: "Print one JSON array.") var json = false

  func run() async throws {
    let kinds = kind.kinds
    try await database.list { databases in
      try await Listing.show(databases, json: json, limit: .max, of: "jobs") { driver throws(QudoError) in
        try await driver.count(kinds)
      }
    }
  }
}

extension JobCount: Listed {
  static var columns: [Table.Column] {
    ["KIND", .number("READY"), .number("DELAYED"), .number("RUNNING"), ""]
  }

  var cells: [String] {
    [SafeText.terminalSafe(kind.name), "\(ready)", "\(delayed)", "\(running)", isPaused ? "paused" : ""]
  }

  static var rareColumnPlace: Int { 4 }

  var rareCells: [(column: String, cell: String)] { held > 0 ? [("HELD", "\(held)")] : [] }

  func json(database: String) -> JSON {
    .object([
      ("database", .text(database)), ("kind", .text(kind.name)), ("ready", .integer(Int64(ready))),
      ("delayed", .integer(Int64(delayed))), ("running", .integer(Int64(running))),
      ("held", .integer(Int64(held))),
      ("paused", .bool(isPaused)),
    ])
  }
}
