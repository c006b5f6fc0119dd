internal import ArgumentParser
internal import Qudo
internal import QudoSQLite

struct Compact: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Give the room of jobs that are gone back to the disk.",
    discussion: """
      A SQLite file keeps the room of jobs that are gone for those that come. This rebuilds it without; it needs up to twice as \
      much free room as the file has, and whoever writes waits until it is done. The file of an application, which has tables of \
      its own, is refused. Prints the size in bytes before and after; with --json, one array with {"database", "before", "after"}.

        qudo compact --database jobs.db
      """)

  @OptionGroup var database: Database
  @Flag(help: "Print one JSON array.") var json = false

  func run() async throws {
    try await database.useFile("compact", durability: .full, create: false) { driver in
      let compaction = try await driver.compact()
      guard json else { return try Output.line("\(compaction.before) \(compaction.after)") }
      try Output.line(JSONWriter.array([.object([
        ("database", .text(driver.name)), ("before", .integer(Int64(compaction.before))), ("after", .integer(Int64(compaction.after))),
      ])]))
    }
  }
}
