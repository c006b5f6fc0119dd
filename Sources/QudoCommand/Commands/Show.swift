internal import ArgumentParser
internal import Qudo

struct Show: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show one job with its whole payload: its state, or how it ended.",
    discussion: """
      An unfinished job is ready, delayed, running or held (behind the earlier jobs of its concurrency key). A job that ended is completed \
      or replaced, if its kind records that (work --record); or failed, aborted, lost, cancelled, expired or dropped, if the failure log \
      has its end; or ended, if the logs have only earlier failed runs of it. If no log has the job, or it never existed, an error says so, \
      and the exit status is 1. The newest 10 failed runs are listed below.

      With --json, prints an array of one element: for an unfinished job with the keys of jobs, for one that ended {"database", "id", \
      "kind", "state", "payload", "uniqueKey", "attempt", "startedAt", "endedAt", "message", "failure", "replayedAs", "resolved"}; failure is the \
      id of the row in the failure log, for replay, and resolved says whether qudo resolve marked it. With --payload, prints only the payload's bytes, unchanged.

        qudo show 17
        qudo show --kind mail.send --unique-key order-17
        qudo show --database a.db --database b.db b/17
        qudo show 17 --payload > payload.bin
      """)

  @OptionGroup var database: Database
  @OptionGroup var job: JobReference
  @Flag(help: "Print only the payload's bytes.") var payload = false
  @Flag(help: "Print one JSON array.") var json = false

  func validate() throws {
    if payload, json { throw ValidationError("--payload and --json exclude each other") }
  }

  func run() async throws {
    try await database.list { databases in
      let id = try await job.find(databases)
      let outcome = try await Queue(databases).outcome(of: id)
      let failures = try await databases.logs(in: id.database, isRead: true) { driver throws(QudoError) in
        try await driver.failures(LogQuery(limit: 10, job: id.number))
      }
      let shown = try ShownJob(outcome, id, failures)
      if payload { return try shown.payload.bytes.withUnsafeBytes { try Output.write($0) } }
      if json { return try Output.line(JSONWriter.array([shown.json])) }
      try Output.write(shown.text(failures))
    }
  }
}

/// A job that is or was, for people and for programs.
private struct ShownJob {
  private let id: JobID
  /// The lines of the text but for the payload.
  private var lines: [(name: String, value: String)]
  let payload: Payload
  let json: JSON

  /// - Parameter failures: the job's newest rows of the failure log.
  /// - Throws: `CommandError` if nothing is known of the job.
  init(_ outcome: JobOutcome, _ id: JobID, _ failures: [FailureRecord]) throws {
    self.id = id
    let name = "job \(id.number) of \(SafeText.terminalSafe(id.database))"
    switch outcome {
    case .neverExisted: throw CommandError("\(name) never existed")
    case .unrecorded:
      if let failure = failures.first {
        lines = [("kind", failure.kind.name), ("state", "ended")]
        if let key = failure.uniqueKey { lines.append(("unique key", key)) }
        payload = Payload([])
        json = Self.json(id, kind: failure.kind, state: "ended", nil, failure.uniqueKey)
        return
      }
      throw CommandError(
        "\(name) has ended, and no log says how: it completed, and its kind does not record that; or its rows were pruned"
      )
    case .unfinished(let job):
      (lines, payload, json) = (Self.lines(job), job.payload, job.json(database: id.database))
    case .completed(let row): (lines, payload, json) = (Self.lines(row), row.payload, Self.json(row, id))
    case .failed(let row):
      (lines, payload, json) = (Self.lines(row), row.payload ?? Payload([]), Self.json(row, id))
    }
  }

  private static func lines(_ job: StoredJob) -> [(String, String)] {
    var lines = [
      ("kind", job.kind.name), ("state", job.state.rawValue), ("priority", "\(job.priority)"),
      ("attempt", "\(job.attempt)"), ("enqueued", job.enqueuedAt.local), ("due", job.dueAt.local),
    ]
    if let expires = job.expiresAt { lines.append(("expires", expires.local)) }
    if job.expiredLeases > 0 { lines.append(("expired leases", "\(job.expiredLeases)")) }
    if let started = job.startedAt { lines.append(("claimed", started.local)) }
    if let process = job.processID { lines.append(("process", "\(process)")) }
    if let ends = job.leaseExpiresAt { lines.append(("lease ends", ends.local)) }
    if let key = job.uniqueKey { lines.append(("unique key", key)) }
    if let key = job.concurrencyKey {
      lines.append((job.state == .held ? "held behind key" : "concurrency key", key))
    }
    if let group = job.group { lines.append(("group", group)) }
    return lines + Self.lines(job.metadata)
  }

  private static func lines(_ metadata: JobMetadata) -> [(String, String)] {
    metadata.names.map { ("metadata", "\($0)=\(metadata[$0] ?? "")") }
  }

  private static func lines(_ row: StatusRecord) -> [(String, String)] {
    var lines = [
      ("kind", row.kind.name), ("state", row.status.rawValue), ("started", row.startedAt.local),
      ("ended", row.endedAt.local),
    ]
    if let key = row.uniqueKey { lines.append(("unique key", key)) }
    return lines
  }

  private static func lines(_ row: FailureRecord) -> [(String, String)] {
    var lines = [
      ("kind", row.kind.name), ("state", row.reason.rawValue), ("priority", "\(row.priority)"),
      ("attempt", "\(row.attempt)"), ("ended", row.failedAt.local), ("message", row.message),
      ("failure", "\(row.id)"),
    ]
    if let key = row.uniqueKey { lines.append(("unique key", key)) }
    // An imported row does not record the new job's id.
    if let job = row.replayedAs { lines.append(("replayed", job == 0 ? "yes" : "as job \(job)")) }
    if row.isResolved { lines.append(("resolved", "yes")) }
    return lines
  }

  /// - Parameter failures: the job's newest rows of the failure log.
  func text(_ failures: [FailureRecord]) -> String {
    var lines = [("database", id.database), ("id", "\(id.number)")] + lines
    lines.append(("payload", "\(payload.bytes.count) bytes"))
    let width = lines.reduce(0) { max($0, $1.0.count) } + 2
    var text = lines.map {
      $0.0 + String(repeating: " ", count: width - $0.0.count) + SafeText.terminalSafe($0.1) + "\n"
    }.joined()
    if !payload.bytes.isEmpty { text += SafeText.terminalSafe(payload) + "\n" }
    let earlier = failures.filter { !$0.isFinal }
    if !earlier.isEmpty {
      text += "failed runs\n"
      for row in earlier {
        text +=
          "  attempt \(row.attempt), \(row.failedAt.local): \(SafeText.terminalSafe(row.message, limit: 200))\n"
      }
    }
    return text
  }

  private static func json(_ row: StatusRecord, _ id: JobID) -> JSON {
    json(
      id, kind: row.kind, state: row.status.rawValue, row.payload, row.uniqueKey, startedAt: row.startedAt,
      endedAt: row.endedAt)
  }

  private static func json(_ row: FailureRecord, _ id: JobID) -> JSON {
    json(
      id, kind: row.kind, state: row.reason.rawValue, row.payload, row.uniqueKey, attempt: row.attempt,
      endedAt: row.failedAt, message: row.message, failure: row.id,
      replayedAs: row.replayedAs.flatMap { $0 == 0 ? nil : $0 }, isResolved: row.isResolved)
  }

  private static func json(
    _ id: JobID, kind: Kind, state: String, _ payload: Payload?, _ key: String?, attempt: Int? = nil,
    startedAt: Timestamp? = nil, endedAt: Timestamp? = nil, message: String? = nil, failure: Int64? = nil,
    replayedAs: Int64? = nil, isResolved: Bool? = nil
  ) -> JSON {
    func number(_ number: Int64?) -> JSON { number.map { .integer($0) } ?? .null }
    return .object([
      ("database", .text(id.database)), ("id", .integer(id.number)), ("kind", .text(kind.name)),
      ("state", .text(state)),
      JSON.payload(payload), ("uniqueKey", .text(key)), ("attempt", number(attempt.map { Int64($0) })),
      ("startedAt", .time(startedAt)), ("endedAt", .time(endedAt)), ("message", .text(message)),
      ("failure", number(failure)), ("replayedAs", number(replayedAs)),
      ("resolved", isResolved.map { .bool($0) } ?? .null),
    ])
  }
}
