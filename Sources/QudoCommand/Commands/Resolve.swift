internal import ArgumentParser
internal import Qudo

struct Resolve: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Mark failures as resolved, after you have dealt with them by hand.",
    discussion: """
      qudo failures --open and qudo replay --all leave out a resolved failure; qudo replay still replays it by its id. If the failure \
      stopped a concurrency key, the key continues.

      Prints the ids of the failures; with --json, one array whose elements are {"database", "failure", "result"}. The result is resolved, \
      alreadyResolved, alreadyReplayed, notFinal (the job was retried after it) or notFound. If a failure cannot be resolved, the \
      others still are, and the exit status is 1.

        qudo resolve 17 18
        qudo resolve --all --kind mail.send --message "no such user" --dry-run
      """)

  @OptionGroup var database: Database
  @OptionGroup var durability: DurabilityOption
  @Argument(
    help: ArgumentHelp("Ids from the failure log; with several databases, DATABASE/ID.", valueName: "id"))
  var ids: [JobName] = []
  @Flag(help: "Resolve all open failures, oldest first.") var all = false
  @OptionGroup var kind: KindOption
  @OptionGroup var filter: FailureFilterOptions
  @Flag(help: "Only say what would happen.") var dryRun = false
  @Flag(help: "Print one JSON array.") var json = false

  func validate() throws {
    if all, !ids.isEmpty { throw ValidationError("give ids or --all, not both") }
    if !all, ids.isEmpty { throw ValidationError("give ids from the failure log, or --all") }
    if !all, kind.kinds != nil || filter.isGiven {
      throw ValidationError("--kind, --reason, --since and --message need --all")
    }
  }

  /// The number of failures in a transaction.
  private static let page = 1000

  func run() async throws {
    try await database.use(durability: durability.durability, create: false) { databases in
      var report = FailureReport(json: json, isSeveral: databases.names.count > 1)
      try await report.run(
        all ? nil : ids, matching: filter.filter, kinds: kind.kinds, page: Self.page, on: databases
      ) { failures, name in
        dryRun
          ? try await foresee(failures, databases, in: name) : try await databases.resolve(failures, in: name)
      }
    }
  }

  /// Returns what a resolve would answer.
  private func foresee(_ ids: [Int64], _ databases: Databases, in name: String) async throws
    -> [ResolveResult]
  {
    let query = LogQuery(limit: ids.count, ids: ids)
    let rows = try await databases.failures(query, in: name).get()
    let found = Dictionary(rows.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    return ids.map { id in
      guard let row = found[id] else { return .notFound }
      return ResolveResult(
        isFinal: row.isFinal, replayedAs: row.isResolved ? FailureRecord.resolved : row.replayedAs)
    }
  }
}

extension ResolveResult: FailureAnswer {
  func line(failure: Int64) -> String? { self == .resolved ? "\(failure)" : nil }

  var refusal: String? {
    switch self {
    case .resolved: nil
    case .alreadyResolved: "was already resolved"
    case .alreadyReplayed(0): "was replayed before it was imported"
    case .alreadyReplayed(let job): "was already replayed, as job \(job)"
    case .notFinal: "is of a run that was retried. Only a job's final failure can be resolved"
    case .notFound: "is not in the failure log. List its rows with qudo failures"
    }
  }

  var members: [(key: String, value: JSON)] {
    let name =
      switch self {
      case .resolved: "resolved"
      case .alreadyResolved: "alreadyResolved"
      case .alreadyReplayed: "alreadyReplayed"
      case .notFinal: "notFinal"
      case .notFound: "notFound"
      }
    return [("result", .text(name))]
  }
}
