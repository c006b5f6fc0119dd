internal import ArgumentParser
internal import Qudo
internal import QudoSQLite

struct Compact: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Reclaim free space in the database file.",
    discussion: """
      A SQLite file keeps the space of deleted jobs for new ones. This command rebuilds the file without it. It needs free disk \
      space of up to twice the file's size, and writers wait until it is done. It refuses a file that also has an application's \
      own tables. Prints the size in bytes before and after; with --json, one array with {"database", "before", "after"}.

        qudo compact --database jobs.db
      """)

  @OptionGroup var database: Database
  @Flag(help: "Print one JSON array.") var json = false

  func run() async throws {
    try await database.useFile("compact", durability: .full, create: false) { driver in
      let compaction = try await driver.compact()
      guard json else { return try Output.line("\(compaction.before) \(compaction.after)") }
      try Output.line(
        JSONWriter.array([
          .object([
            ("database", .text(driver.name)), ("before", .integer(Int64(compaction.before))),
            ("after", .integer(Int64(compaction.after))),
          ])
        ]))
    }
  }
}
