internal import ArgumentParser
internal import Qudo

struct Statuses: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List finished runs of kinds that record them, newest first.",
    discussion: """
      A kind records its runs if its worker has --record, or if its job type says so. With --json each element is \
      {"database", "id", "job", "kind", "status", "payload", "uniqueKey", "startedAt", "endedAt"}; the status is completed, \
      replaced, failed or aborted. A payload that is not UTF-8 is "payloadBase64" instead. Without --limit, --json prints no more rows \
      than the table does; if it leaves some out, standard error says so.

        qudo statuses --kind mail.send --oldest-first
      """)

  @OptionGroup var database: Database
  @OptionGroup var options: LogOptions

  func run() async throws {
    let query = options.query
    try await database.list { databases in
      try await Listing.show(databases, json: options.json, limit: options.limit, of: "statuses") {
        driver throws(QudoError) in
        try await driver.statuses(query)
      }
    }
  }
}

extension StatusRecord: Listed {
  static var columns: [Table.Column] {
    [.number("ID"), .number("JOB"), "KIND", "STATUS", "STARTED", "ENDED", "UNIQUE KEY", "PAYLOAD"]
  }

  var cells: [String] {
    [
      "\(id)", "\(job)", SafeText.terminalSafe(kind.name), status.rawValue, startedAt.local, endedAt.local,
      SafeText.terminalSafe(uniqueKey ?? "", limit: 40), SafeText.terminalSafe(payload, limit: 60),
    ]
  }

  func json(database: String) -> JSON {
    .object([
      ("database", .text(database)), ("id", .integer(id)), ("job", .integer(job)), ("kind", .text(kind.name)),
      ("status", .text(status.rawValue)), JSON.payload(payload), ("uniqueKey", .text(uniqueKey)),
      ("startedAt", .time(startedAt)),
      ("endedAt", .time(endedAt)),
    ])
  }
}
