internal import ArgumentParser
internal import Qudo

struct Keys: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List the stopped concurrency keys.",
    discussion: """
      If a job with --concurrency-key and --stop-after-failure fails for good, it stops its key: the other jobs of the key stay held. Each \
      row is such a failure, the oldest first. A key continues when each of its failures is replayed (the new job begins before the held \
      ones) or resolved, or with qudo resume KIND --key KEY. If the failure was pruned, use qudo resume.

      With --json each element is {"database", "kind", "key", "failure", "job", "stoppedAt"}. Without --limit, --json prints no more rows \
      than the table does; if it leaves some out, standard error says so.

        qudo keys
        qudo replay 17
        qudo jobs --state held --concurrency-key customer-7
      """)

  @OptionGroup var database: Database
  @OptionGroup var kind: KindOption
  @Option(help: ArgumentHelp("The maximum number of rows of each database.", valueName: "number"))
  var limit = 100
  @Flag(help: "Print one JSON array.") var json = false

  func validate() throws {
    guard limit > 0 else { throw ValidationError("--limit must be at least 1") }
  }

  func run() async throws {
    let kinds = kind.kinds
    try await database.list { databases in
      try await Listing.show(databases, json: json, limit: limit, of: "stopped keys") {
        driver throws(QudoError) in
        try await driver.control().keyStops(kinds, after: 0, limit: Listing.beyond(limit))
      }
    }
  }
}

extension KeyStop: Listed {
  static var columns: [Table.Column] { ["KIND", "KEY", "SINCE", .number("FAILURE"), .number("JOB")] }

  var cells: [String] {
    [
      SafeText.terminalSafe(kind.name), SafeText.terminalSafe(key), stoppedAt.local, "\(failure)", "\(job)",
    ]
  }

  func json(database: String) -> JSON {
    .object([
      ("database", .text(database)), ("kind", .text(kind.name)), ("key", .text(key)),
      ("failure", .integer(failure)), ("job", .integer(job)), ("stoppedAt", .time(stoppedAt)),
    ])
  }
}
