internal import ArgumentParser
internal import Qudo

/// One job on the command line: by its id, or by its kind and unique key.
struct JobReference: ParsableArguments {
  @Argument(help: "The job's id; with several databases, DATABASE/ID.") var id: JobName?
  @Option(help: ArgumentHelp("The kind of the job with --unique-key.", valueName: "kind")) var kind: String?
  @Option(
    help: ArgumentHelp(
      "The job that holds this unique key, or else the newest one in the logs. Needs --kind.",
      valueName: "key"))
  var uniqueKey: String?

  func validate() throws {
    if id != nil, uniqueKey != nil { throw ValidationError("give an id or --unique-key, not both") }
    if id == nil, uniqueKey == nil { throw ValidationError("give the job's id, or --kind and --unique-key") }
    if (kind == nil) != (uniqueKey == nil) {
      throw ValidationError("--kind and --unique-key need each other")
    }
  }

  /// - Throws: `CommandError` if no job has the unique key.
  func find(_ databases: Databases) async throws -> JobID {
    if let id { return JobID(database: try id.database(of: databases.names), number: id.number) }
    let (key, kind) = (uniqueKey ?? "", Kind(kind ?? ""))
    guard let job = try await Queue(databases).job(withUniqueKey: key, kind: kind) else {
      throw CommandError(
        "no job of \(SafeText.terminalSafe(kind.name)) has the unique key \(SafeText.terminalSafe(key)), and none in the logs had it"
      )
    }
    return job
  }
}
