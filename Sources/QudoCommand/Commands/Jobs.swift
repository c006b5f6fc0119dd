public import ArgumentParser
public import Qudo

struct Jobs: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List unfinished jobs in the order of their ids.",
    discussion: """
      With --json each element is {"database", "id", "kind", "state", "payload", "uniqueKey", "priority", "attempt", "enqueuedAt", \
      "dueAt", "leaseEndsAt", "expiredLeases", "startedAt", "processID", \
      "expiresAt", "concurrencyKey", "group", "metadata"}; a payload that is not UTF-8 is "payloadBase64" instead. Finished jobs appear only in the logs: \
      see show, failures and statuses. Without --limit, --json prints no more jobs than the table does; if it leaves some out, standard \
      error says so. With several databases, --limit and --after apply to each.

        qudo jobs --state delayed --limit 20
        qudo jobs --kind mail.send --contains ada@example.org --older-than 1h
        qudo jobs --metadata tenant=acme --state running
        qudo jobs --state held --kind order.ship
        qudo jobs --group customer-7 --state ready
        qudo jobs --after 120 --json
      """)

  @OptionGroup var database: Database
  @OptionGroup var filter: JobFilterOptions
  @Option(help: "The maximum number of jobs, 0 or more.") var limit = 100
  @Option(
    help: ArgumentHelp("Only ids above this one; give the last id of the previous page.", valueName: "id"))
  var after: Int64 = 0
  @Flag(help: "Print one JSON array.") var json = false

  func validate() throws {
    guard limit >= 0 else { throw ValidationError("--limit must not be negative") }
  }

  func run() async throws {
    let query = JobQuery(filter.filter, after: after, limit: Listing.beyond(limit))
    try await database.list { databases in
      try await Listing.show(databases, json: json, limit: limit, of: "jobs") { driver throws(QudoError) in
        try await driver.jobs(matching: query)
      }
    }
  }
}

extension JobState: ExpressibleByArgument {}

extension StoredJob: Listed {
  static var columns: [Table.Column] {
    [.number("ID"), "KIND", "STATE", .number("PRIORITY"), .number("ATTEMPT"), "DUE", "UNIQUE KEY", "PAYLOAD"]
  }

  var cells: [String] {
    [
      "\(id)", SafeText.terminalSafe(kind.name), state.rawValue, "\(priority)", "\(attempt)", dueAt.local,
      SafeText.terminalSafe(uniqueKey ?? "", limit: 40), SafeText.terminalSafe(payload, limit: 60),
    ]
  }

  func json(database: String) -> JSON {
    .object([
      ("database", .text(database)), ("id", .integer(id)), ("kind", .text(kind.name)),
      ("state", .text(state.rawValue)),
      JSON.payload(payload), ("uniqueKey", .text(uniqueKey)), ("priority", .integer(Int64(priority))),
      ("attempt", .integer(Int64(attempt))), ("enqueuedAt", .time(enqueuedAt)), ("dueAt", .time(dueAt)),
      ("leaseEndsAt", .time(leaseExpiresAt)), ("expiredLeases", .integer(Int64(expiredLeases))),
      ("startedAt", .time(startedAt)), ("processID", processID.map { .integer($0) } ?? .null),
      ("expiresAt", .time(expiresAt)), ("concurrencyKey", .text(concurrencyKey)),
      ("group", .text(group)),
      ("metadata", metadata.json),
    ])
  }
}
