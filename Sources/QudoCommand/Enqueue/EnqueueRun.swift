internal import Qudo
internal import QudoMySQL

/// Enqueues batches, prints their results, and tracks the progress for error messages.
struct EnqueueRun {
  private let queue: Queue<NoHooks>
  private let places: [(url: DatabaseURL, index: Int)]
  private let kind: String
  private let json: Bool
  private let isStream: Bool
  private let onUnknown: UnknownOutcome
  /// True if the user gave the key, so that files store it too.
  private let isKeyed: Bool
  /// True if a database is a server, which gets a key with each job.
  private let hasServers: Bool
  /// The name that each job's key is derived from.
  private let name: String
  private let key: IdempotencyKey
  private var fallback: FallbackCount
  /// The number of acknowledged jobs.
  private var done = 0

  init(
    _ databases: Databases, _ urls: [DatabaseURL], kind: String, json: Bool, key: String?, isStream: Bool,
    order: DatabaseOptions.Order,
    onUnknown: UnknownOutcome
  ) {
    queue = Queue(databases)
    places = urls.enumerated().map { ($1, $0) }
    (self.kind, self.json, self.isStream, self.onUnknown) = (kind, json, isStream, onUnknown)
    isKeyed = key != nil
    hasServers = urls.contains { $0.isServer }
    name = key ?? String(IdempotencyKey().description.prefix(16))
    self.key = IdempotencyKey(name)
    fallback = FallbackCount(databases, urls, order)
  }

  /// - Throws: the error that ended the run, with the line to resume from.
  mutating func enqueue(_ jobs: [NewJob]) async throws {
    guard !jobs.isEmpty else { return }
    let keys = isKeyed || hasServers ? jobs.indices.map { key.numbered(isStream ? done + $0 + 1 : 0) } : nil
    let keyed = if isKeyed, let keys { zip(jobs, keys).map { with($0, $1) } } else { jobs }
    let report: EnqueueReport
    do {
      report = try await queue.enqueue(keyed, onUnknown: onUnknown, spareKeys: keys)
    } catch let error as QudoError {
      throw stopped(error.own, jobs.count)
    }
    try write(report)
    done += jobs.count
    fallback.add(report.results)
    for case .conflict(let id) in report.results {
      throw CommandError(
        "job \(id.number) of kind \(SafeText.terminalSafe(kind)) has the unique key: it is not finished, or its --throttle has not passed; nothing was enqueued. Try again later, or use --on-conflict"
      )
    }
  }

  private func with(_ job: NewJob, _ key: IdempotencyKey) -> NewJob {
    var job = job
    job.idempotencyKey = key
    return job
  }

  // MARK: Results

  private func write(_ report: EnqueueReport) throws {
    let isInDoubt = !report.mayAlsoBeIn.isEmpty
    if json {
      try Output.write(JSONWriter.lines(report.results.compactMap { $0.json(mayBeDoubled: isInDoubt) }))
    } else {
      try Output.write(report.results.compactMap { $0.line(named: places.count > 1) }.joined())
    }
    guard isInDoubt else { return }
    let others = report.mayAlsoBeIn.map { SafeText.terminalSafe($0) }.joined(separator: ", ")
    for (index, result) in report.results.enumerated() {
      let what = isStream ? "line \(done + index + 1)" : "the job"
      printError(
        "\(what) may be doubled: it is in \(SafeText.terminalSafe(result.id.database)) as \(result.id.number), and may be in \(others)"
      )
    }
  }

  /// Reports jobs that went to another database because a preferred one was unavailable.
  func tellWhatFellBack() {
    for line in fallback.lines { printError(line) }
  }

  // MARK: The line to resume from

  private func stopped(_ error: QudoError, _ count: Int) -> CommandError {
    CommandError("\(error)\(advice(error, count))", status: error.code.exitStatus)
  }

  private func advice(_ error: QudoError, _ count: Int) -> String {
    let isUnknown = error.code == .outcomeUnknown
    // Only the database that may have the job knows its key, and a file stores only keys that the user gave.
    let knowsKeys = places.count == 1 && (isKeyed || places[0].url.isServer)
    guard isStream else {
      guard isUnknown else { return "" }
      return knowsKeys
        ? ". To find out, repeat it with --idempotency-key \(shownName)"
        : ". Repeat it if the job is idempotent"
    }
    let before =
      switch done {
      case 0: "no line before is enqueued"
      case 1: "line 1 is enqueued"
      default: "lines 1 to \(done) are enqueued"
      }
    guard isUnknown else {
      return done == 0 ? "; nothing was enqueued" : "; \(before). Continue from line \(done + 1)"
    }
    let these = count == 1 ? "line \(done + 1)" : "lines \(done + 1) to \(done + count)"
    let repetition =
      knowsKeys ? ", or give all lines again with --idempotency-key \(shownName): no job is doubled then" : ""
    return
      "; \(before), \(these) may be. Continue from line \(done + 1), which may double \(these)\(repetition)"
  }

  private var shownName: String { isKeyed ? "as before" : name }
}

extension QudoError {
  /// The database's own error, if there is only one database.
  fileprivate var own: QudoError {
    guard code == .unreachable, let down = cause as? AllDatabasesUnavailable, down.failures.count == 1 else {
      return self
    }
    return down.failures[0].error
  }
}

extension EnqueueResult {
  fileprivate func line(named: Bool) -> String? {
    if case .conflict = self { return nil }
    return named ? "\(SafeText.terminalSafe(id.database))/\(id.number)\n" : "\(id.number)\n"
  }

  fileprivate func json(mayBeDoubled: Bool) -> JSON? {
    var members: [(key: String, value: JSON)] = [
      ("id", .integer(id.number)), ("database", .text(id.database)),
    ]
    switch self {
    case .inserted, .overwritten: break
    case .existing: members.append(("existing", .bool(true)))
    case .conflict: return nil
    }
    if mayBeDoubled { members.append(("mayBeDoubled", .bool(true))) }
    return .object(members)
  }
}
