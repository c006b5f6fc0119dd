internal import ArgumentParser
internal import Qudo

struct Resolve: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Mark failures as resolved, because they were dealt with by hand.",
    discussion: """
      qudo failures --open and qudo replay --all leave out a resolved failure; qudo replay still replays it by its id. Prints the ids \
      of the failures; with --json, one array whose elements are {"database", "failure", "result"}. The result is resolved, \
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

  private struct Row {
    let database: String
    let failure: Int64
    let result: ResolveResult
  }

  /// The number of failures in a transaction.
  private static let page = 1000

  func run() async throws {
    try await database.use(durability: durability.durability, create: false) { databases in
      var rows: [Row] = []
      var isWhole = true
      if all {
        isWhole = try await resolveAll(databases, &rows)
      } else {
        var rest = try ids.map { (database: try $0.database(of: databases.names), number: $0.number) }[...]
        while let first = rest.first {
          let run = rest.prefix(Self.page).prefix { $0.database == first.database }.map(\.number)
          try await resolve(run, databases, in: first.database, &rows)
          rest = rest.dropFirst(run.count)
        }
      }
      try report(rows, isSeveral: databases.names.count > 1)
      if rows.contains(where: { $0.result != .resolved }) || !isWhole { throw ExitCode.failure }
    }
  }

  private func resolve(_ ids: [Int64], _ databases: Databases, in name: String, _ rows: inout [Row])
    async throws
  {
    var results: [ResolveResult]
    if dryRun {
      let query = LogQuery(limit: ids.count, ids: ids)
      let found = try await databases.failures(query, in: name).get()
      results = ids.map { id in
        guard let row = found.first(where: { $0.id == id }) else { return .notFound }
        return ResolveResult(
          isFinal: row.isFinal, replayedAs: row.isResolved ? FailureRecord.resolved : row.replayedAs)
      }
    } else {
      results = try await databases.resolve(ids, in: name)
    }
    rows += zip(ids, results).map { Row(database: name, failure: $0, result: $1) }
  }

  /// - Returns: Whether all databases answered.
  private func resolveAll(_ databases: Databases, _ rows: inout [Row]) async throws -> Bool {
    let (answers, isWhole) = try await databases.forEachDriver { _ throws(QudoError) in true }.answered()
    for (name, _) in answers {
      var failures = filter.filter
      (failures.isFinal, failures.isReplayed) = (true, false)
      var query = LogQuery(kinds: kind.kinds, oldestFirst: true, limit: Self.page, failures: failures)
      // Failures that are added meanwhile are not taken.
      let newest = try await databases.failures(LogQuery(limit: 1), in: name).get().first?.id ?? 0
      while true {
        let page = query
        let ids = try await databases.failures(page, in: name).get().map(\.id).filter { $0 <= newest }
        if !ids.isEmpty { try await resolve(ids, databases, in: name, &rows) }
        guard ids.count == Self.page, let last = ids.last else { break }
        query.after = last
      }
    }
    return isWhole
  }

  private func report(_ rows: [Row], isSeveral: Bool) throws {
    if json {
      let elements = try rows.map { row in
        try JSONWriter.one(
          .object([
            ("database", .text(row.database)), ("failure", .integer(row.failure)),
            ("result", .text(row.result.name)),
          ]))
      }
      try Output.line("[\(elements.joined(separator: ",\n"))]")
    }
    for row in rows {
      let name = isSeveral ? "\(SafeText.terminalSafe(row.database))/\(row.failure)" : "\(row.failure)"
      if let trouble = row.result.trouble {
        printError("failure \(name) \(trouble)")
      } else if !json {
        try Output.line(name)
      }
    }
  }
}

extension ResolveResult {
  fileprivate var name: String {
    switch self {
    case .resolved: "resolved"
    case .alreadyResolved: "alreadyResolved"
    case .alreadyReplayed: "alreadyReplayed"
    case .notFinal: "notFinal"
    case .notFound: "notFound"
    }
  }

  fileprivate var trouble: String? {
    switch self {
    case .resolved: nil
    case .alreadyResolved: "was already resolved"
    case .alreadyReplayed(0): "was replayed before it was imported"
    case .alreadyReplayed(let job): "was already replayed, as job \(job)"
    case .notFinal: "is of a run that was retried. Only a job's final failure can be resolved"
    case .notFound: "is not in the failure log. List its rows with qudo failures"
    }
  }
}
