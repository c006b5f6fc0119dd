internal import ArgumentParser
internal import Qudo

struct Replay: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Enqueue failed jobs again, by their ids in the failure log.",
    discussion: """
      Enqueues a new job with the payload, priority and unique key of the job that was given up: due now, as a first attempt. \
      --payload, --priority, --unique-key and the like correct it. Each row can be replayed once. If the failure stopped its \
      concurrency key (qudo keys), the new job begins before those that are held.

      Prints the ids of the new jobs; with --json, one array whose elements are {"database", "failure", "result", "job"}. The result \
      is replayed, conflict (another job has the unique key; replay it later), alreadyReplayed, notFinal or notFound. If a row cannot \
      be replayed, the others still are, and the exit status is 1. A row that qudo resolve marked is replayed by its id, but not by \
      --all.

        qudo replay 17 18
        qudo replay 19 --payload '{"to":"ada@example.org"}'
        qudo replay --all --kind mail.send --since 2h --message timeout
      """)

  @OptionGroup var database: Database
  @OptionGroup var durability: DurabilityOption
  @Argument(
    help: ArgumentHelp("Ids from the failure log; with several databases, DATABASE/ID.", valueName: "id"))
  var ids: [JobName] = []
  @Flag(help: "Replay all failures not yet replayed, oldest first.") var all = false
  @OptionGroup var kind: KindOption
  @OptionGroup var filter: FailureFilterOptions
  @OptionGroup var options: ChangeOptions
  @Option(
    help: ArgumentHelp("The unique key of the new job. Default: that of the failed job.", valueName: "key"))
  var uniqueKey: String?
  @Flag(help: "Print one JSON array.") var json = false

  func validate() throws {
    if all, !ids.isEmpty { throw ValidationError("give ids or --all, not both") }
    if !all, ids.isEmpty { throw ValidationError("give ids from the failure log, or --all") }
    if all, options.payload != nil || options.payloadFile != nil {
      throw ValidationError("--all takes no new payload. Give the ids of the failures instead")
    }
    if all, uniqueKey != nil {
      throw ValidationError("--all takes no --unique-key. Give the id of one failure instead")
    }
    if !all, kind.kinds != nil || filter.isGiven {
      throw ValidationError("--kind, --reason, --since and --message need --all")
    }
  }

  /// The number of failures in a transaction. Each may have a payload of 1 MiB or more.
  private static let page = 32

  func run() async throws {
    let change = try options.change()
    let unique = uniqueKey.map { UniqueKey($0) }
    try await database.use(durability: durability.durability, create: false) { databases in
      var report = FailureReport(json: json, isSeveral: databases.names.count > 1)
      try await report.run(
        all ? nil : ids, matching: filter.filter, kinds: kind.kinds, page: Self.page, on: databases
      ) { failures, name in
        try await databases.replay(failures, changing: change, unique: unique, in: name)
      }
    }
  }
}

extension ReplayResult: FailureAnswer {
  func line(failure: Int64) -> String? { if case .replayed(let job) = self { "\(job)" } else { nil } }

  var refusal: String? {
    switch self {
    case .replayed: nil
    case .conflict(let job):
      "has the unique key of job \(job), which is not finished or lets it rest. Replay it later"
    case .alreadyReplayed(0): "was replayed before it was imported"
    case .alreadyReplayed(let job): "was already replayed, as job \(job)"
    case .notFinal: "is of a run that was retried. Only a job's final failure can be replayed"
    case .notFound: "is not in the failure log. List its rows with qudo failures"
    }
  }

  var members: [(key: String, value: JSON)] {
    let (name, job): (String, Int64?) =
      switch self {
      case .replayed(let job): ("replayed", job)
      case .conflict(let job): ("conflict", job)
      case .alreadyReplayed(let job): ("alreadyReplayed", job)
      case .notFinal: ("notFinal", nil)
      case .notFound: ("notFound", nil)
      }
    return [("result", .text(name)), ("job", job.map { .integer($0) } ?? .null)]
  }
}
