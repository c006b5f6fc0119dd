internal import ArgumentParser
internal import Qudo

struct Schema: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Create the database, or migrate an older one to this version.",
    discussion: """
      Every command that writes does this by itself. With --dry-run it only prints the SQL and touches no file.

        qudo schema --database jobs.db
        qudo schema --dry-run | sqlite3 copy.db
      """)

  @OptionGroup var database: Database
  @Flag(help: "Print the SQL of the whole schema; change nothing.") var dryRun = false

  func run() async throws {
    let urls = try database.urls()
    if dryRun { return try Output.line(DatabaseOpening.schema(of: try database.only("schema --dry-run"))) }
    let isOne = urls.count == 1
    try await database.use(create: true) { databases in
      // `use` has opened, and thereby migrated, the only database.
      if isOne { return }
      let (_, isWhole) = try await databases.forEachDriver { _ throws(QudoError) in true }.answered()
      if !isWhole { throw ExitCode.failure }
    }
  }
}
