internal import ArgumentParser
internal import Qudo

struct Replay: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Enqueue failed jobs again, by their ids in the failure log.",
    discussion: """
      Enqueues a new job with the payload, priority and unique key of the job that was given up: due now, as a first attempt. \
      --payload, --priority, --unique-key and the like correct it. Each row can be replayed once. Prints the ids of the new jobs; with --json, one array whose elements are {"database", "failure", \
      "result", "job"}. The result is replayed, conflict (another job has the unique key; replay it later), alreadyReplayed, \
      notFinal or notFound. A row that qudo resolve marked is replayed by its id, but not by --all. If a row cannot be replayed, the others still are, and the exit status is 1.

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
      throw ValidationError("--all gives no job another payload: name the failures that are to have it")
    }
    if all, uniqueKey != nil {
      throw ValidationError("--all gives no job another unique key: name the failure that is to have it")
    }
    if !all, kind.kinds != nil || filter.isGiven {
      throw ValidationError("--kind, --reason, --since and --message need --all")
    }
  }

  private struct Row {
    let database: String
    let failure: Int64
    let result: ReplayResult
  }

  func run() async throws {
    let change = try options.change()
    try await database.use(durability: durability.durability, create: false) { databases in
      var report = Report(json: json, isSeveral: databases.names.count > 1)
      var isWhole = true
      do {
        if all {
          isWhole = try await replayAll(databases, change, &report)
        } else {
          try await replayIDs(databases, change, &report)
        }
      } catch {
        try report.end()
        throw error
      }
      try report.end()
      if report.hasTrouble || !isWhole { throw ExitCode.failure }
    }
  }

  /// Prints the result of each row at once, so that a later error cannot hide the replays that were written.
  private struct Report {
    let json: Bool
    let isSeveral: Bool
    private(set) var hasTrouble = false
    private var isBegun = false

    init(json: Bool, isSeveral: Bool) {
      self.json = json
      self.isSeveral = isSeveral
    }

    mutating func add(_ rows: [Row]) throws {
      for row in rows {
        if json {
          try Output.write(
            (isBegun ? ",\n" : "[")
              + JSONWriter.one(row.result.json(failure: row.failure, database: row.database)))
        } else if case .replayed(let job) = row.result {
          try Output.line(isSeveral ? "\(SafeText.terminalSafe(row.database))/\(job)" : "\(job)")
        }
        isBegun = true
        guard let trouble = row.result.trouble else { continue }
        hasTrouble = true
        printError(
          "failure \(isSeveral ? SafeText.terminalSafe(row.database) + "/" : "")\(row.failure) \(trouble)")
      }
    }

    func end() throws {
      if json { try Output.line(isBegun ? "]" : "[]") }
    }
  }

  private func replayIDs(_ databases: Databases, _ change: JobChange, _ report: inout Report) async throws {
    let names = databases.names
    let named = try ids.map { (database: try $0.database(of: names), number: $0.number) }
    var rest = named[...]
    while let first = rest.first {
      let run = rest.prefix(Self.page).prefix { $0.database == first.database }.map(\.number)
      let results = try await databases.replay(
        run, changing: change, unique: uniqueKey.map { UniqueKey($0) }, in: first.database)
      try report.add(zip(run, results).map { Row(database: first.database, failure: $0, result: $1) })
      rest = rest.dropFirst(run.count)
    }
  }

  /// The number of rows per page. Each row may have a payload of 1 MiB or more.
  private static let page = 32

  private func replayAll(_ databases: Databases, _ change: JobChange, _ report: inout Report) async throws
    -> Bool
  {
    // Find the unavailable databases once, not per page.
    let (answers, isWhole) = try await databases.forEachDriver { _ throws(QudoError) in true }.answered()
    for (name, _) in answers {
      var failures = filter.filter
      (failures.isFinal, failures.isReplayed) = (true, false)
      var query = LogQuery(kinds: kind.kinds, oldestFirst: true, limit: Self.page, failures: failures)
      // A replayed job may fail again at once: its new failures are not taken.
      let newest = try await databases.failures(LogQuery(limit: 1), in: name).get().first?.id ?? 0
      while true {
        let page = query
        let found = await databases.failures(page, in: name)
        let ids = try found.get().map(\.id).filter { $0 <= newest }
        if !ids.isEmpty {
          try report.add(
            zip(ids, try await databases.replay(ids, changing: change, in: name)).map {
              Row(database: name, failure: $0, result: $1)
            })
        }
        // Page by id: rows that are added or pruned meanwhile do not shift the others.
        guard ids.count == Self.page, let last = ids.last else { break }
        query.after = last
      }
    }
    return isWhole
  }
}

extension ReplayResult {
  fileprivate var trouble: String? {
    switch self {
    case .replayed: nil
    case .conflict(let job): "has the unique key of job \(job), which is not finished. Replay it later"
    case .alreadyReplayed(0): "was replayed before it was imported"
    case .alreadyReplayed(let job): "was already replayed, as job \(job)"
    case .notFinal: "is of a run that was retried. Only a job's final failure can be replayed"
    case .notFound: "is not in the failure log. List its rows with qudo failures"
    }
  }

  fileprivate func json(failure: Int64, database: String) -> JSON {
    let (name, job): (String, Int64?) =
      switch self {
      case .replayed(let job): ("replayed", job)
      case .conflict(let job): ("conflict", job)
      case .alreadyReplayed(let job): ("alreadyReplayed", job)
      case .notFinal: ("notFinal", nil)
      case .notFound: ("notFound", nil)
      }
    return .object([
      ("database", .text(database)), ("failure", .integer(failure)), ("result", .text(name)),
      ("job", job.map { .integer($0) } ?? .null),
    ])
  }
}
