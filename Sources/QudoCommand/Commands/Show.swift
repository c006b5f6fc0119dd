internal import ArgumentParser
internal import Qudo

struct Show: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show one unfinished job with its whole payload.",
    discussion: """
      With --json, prints an array of one element with the same keys as jobs. With --payload, prints only the payload's bytes, \
      unchanged.

        qudo show 17
        qudo show --database a.db --database b.db b/17
        qudo show 17 --payload > payload.bin
      """)

  @OptionGroup var database: Database
  @Argument(help: "The job's id; with several databases, DATABASE/ID.") var id: JobName
  @Flag(help: "Print only the payload's bytes.") var payload = false
  @Flag(help: "Print one JSON array.") var json = false

  func validate() throws {
    if payload, json { throw ValidationError("--payload and --json exclude each other") }
  }

  func run() async throws {
    try await database.list { databases in
      let name = try id.database(of: databases.names)
      guard let job = try await Queue(databases).job(JobID(database: name, number: id.number)) else {
        throw CommandError(
          "no unfinished job \(id.number) in \(SafeText.terminalSafe(name)). List finished runs with qudo statuses or qudo failures"
        )
      }
      if payload { return try job.payload.bytes.withUnsafeBytes { try Output.write($0) } }
      if json { return try Output.line(JSONWriter.array([job.json(database: name)])) }
      try Output.write(Self.text(job, database: name))
    }
  }

  private static func text(_ job: StoredJob, database: String) -> String {
    var lines = [
      ("database", SafeText.terminalSafe(database)), ("id", "\(job.id)"),
      ("kind", SafeText.terminalSafe(job.kind.name)),
      ("state", job.state.rawValue), ("priority", "\(job.priority)"), ("attempt", "\(job.attempt)"),
      ("enqueued", job.enqueuedAt.local),
      ("due", job.dueAt.local),
    ]
    if let ends = job.leaseExpiresAt { lines.append(("lease ends", ends.local)) }
    if let key = job.uniqueKey { lines.append(("unique key", SafeText.terminalSafe(key))) }
    lines.append(("payload", "\(job.payload.bytes.count) bytes"))
    let width = lines.reduce(0) { max($0, $1.0.count) } + 2
    let head = lines.map { $0.0 + String(repeating: " ", count: width - $0.0.count) + $0.1 + "\n" }.joined()
    return head + (job.payload.bytes.isEmpty ? "" : SafeText.terminalSafe(job.payload) + "\n")
  }
}
