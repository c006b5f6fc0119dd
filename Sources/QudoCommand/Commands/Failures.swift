internal import ArgumentParser
internal import Qudo

struct Failures: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List failed runs, newest first.",
    discussion: """
      With --json each element is {"database", "id", "job", "kind", "message", "payload", "uniqueKey", "attempt", "failedAt", \
      "replayed", "reason", "final", "priority", "replayedAs", "resolved"}. The reason is failed, aborted, lost, cancelled, expired or dropped; final says whether the \
      job ended with it. replayedAs is the id of the job that a replay created, or null if the row was not replayed or the id is unknown. A \
      final row can be replayed once, by its id. resolved says whether qudo resolve marked it. The payload is null if the row that stored it was pruned. A payload that is not UTF-8 is "payloadBase64" instead. \
      Without --limit, --json prints no more rows than the table does; if it leaves some out, standard error says so.

        qudo failures --kind mail.send --limit 50
        qudo failures --open --since 2h --message timeout
        qudo replay 17
      """)

  @OptionGroup var database: Database
  @OptionGroup var options: LogOptions
  @OptionGroup var filter: FailureFilterOptions
  @Flag(help: "Only jobs that failed for good and were neither replayed nor resolved.") var open = false

  func run() async throws {
    var query = options.query
    var failures = filter.filter
    if open { (failures.isFinal, failures.isReplayed) = (true, false) }
    query.failures = failures
    let page = query
    try await database.list { databases in
      try await Listing.show(databases, json: options.json, limit: options.limit, of: "failures") {
        driver throws(QudoError) in
        try await driver.failures(page)
      }
    }
  }
}

extension FailureRecord: Listed {
  static var columns: [Table.Column] {
    [.number("ID"), .number("JOB"), "KIND", .number("ATTEMPT"), "FAILED", "STATE", "MESSAGE", "PAYLOAD"]
  }

  var cells: [String] {
    [
      "\(id)", "\(job)", SafeText.terminalSafe(kind.name), "\(attempt)", failedAt.local, state,
      SafeText.terminalSafe(message, limit: 60),
      SafeText.terminalSafe(payload, limit: 40),
    ]
  }

  private var state: String {
    if isResolved { return "resolved" }
    // An imported row does not record the new job's id.
    if let replayedAs { return replayedAs == 0 ? "replayed" : "replayed as \(replayedAs)" }
    return isFinal ? reason.rawValue : "retried"
  }

  func json(database: String) -> JSON {
    .object([
      ("database", .text(database)), ("id", .integer(id)), ("job", .integer(job)), ("kind", .text(kind.name)),
      ("message", .text(message)), JSON.payload(payload), ("uniqueKey", .text(uniqueKey)),
      ("attempt", .integer(Int64(attempt))), ("failedAt", .time(failedAt)),
      ("replayed", .bool(replayedAs != nil)), ("reason", .text(reason.rawValue)), ("final", .bool(isFinal)),
      ("priority", .integer(Int64(priority))),
      ("replayedAs", replayedAs.flatMap { $0 == 0 ? nil : .integer($0) } ?? .null),
      ("resolved", .bool(isResolved)),
    ])
  }
}
