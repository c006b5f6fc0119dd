internal import ArgumentParser
internal import Qudo

struct Cancel: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Cancel unfinished jobs, by their ids or by kind and state.",
    discussion: """
      A waiting job leaves at once. A running job's worker is told, in whatever process it is; it stops the command as a time limit \
      would: SIGTERM, then SIGKILL 5 s later. If the command ended with status 0 before it was told, the job completed. All other cancelled \
      jobs are in the failure log with the reason cancelled, from which replay enqueues them again.

      With ids, prints a line for each: the id and cancelled, or cancelling for a running job; an id without an unfinished job is \
      reported, and the exit status is 1. With --kind, --state or --all, cancels in transactions of 1,000 jobs, and prints two \
      numbers: how many waited, and how many run. With --json, one array whose elements are {"database", "id", "result"}; the \
      result is cancelled, cancelling or notFound. With --dry-run, nothing is cancelled, and the result is what it would be.

        qudo cancel 17 18 --reason 'wrong address'
        qudo cancel --kind mail.send --state delayed --dry-run
      """)

  @OptionGroup var database: Database
  @OptionGroup var durability: DurabilityOption
  @Argument(help: ArgumentHelp("Ids of jobs; with several databases, DATABASE/ID.", valueName: "id"))
  var ids: [JobName] = []
  @OptionGroup var kind: KindOption
  @Option(help: "Only this state: ready, delayed or running. Repeat for several. Default: all.") var state:
    [JobState] = []
  @Flag(help: "Cancel all jobs of all kinds.") var all = false
  @Option(help: "The message for the failure log. Default: cancelled.") var reason: String?
  @Flag(help: "Only say which jobs would be cancelled.") var dryRun = false
  @Flag(help: "Print one JSON array.") var json = false

  private var isBulk: Bool { all || kind.kinds != nil || !state.isEmpty }

  func validate() throws {
    if isBulk, !ids.isEmpty { throw ValidationError("give ids, or --kind, --state or --all, not both") }
    if all, kind.kinds != nil || !state.isEmpty {
      throw ValidationError("--all is every job: leave it out with --kind or --state")
    }
    if !isBulk, ids.isEmpty { throw ValidationError("give the ids of jobs, or --kind, --state or --all") }
  }

  func run() async throws {
    let body = { (databases: Databases) in
      var report = CancelReport(json: json, isBulk: isBulk, isSeveral: databases.names.count > 1)
      do {
        if isBulk {
          try await cancelMatching(databases, &report)
        } else {
          try await cancelIDs(databases, &report)
        }
      } catch {
        // What was cancelled before the error stays so.
        try report.end()
        throw error
      }
      try report.end()
      if report.hasTrouble { throw ExitCode.failure }
    }
    if dryRun { return try await database.list { try await body($0) } }
    try await database.use(durability: durability.durability, create: false) { try await body($0) }
  }

  private func cancelIDs(_ databases: Databases, _ report: inout CancelReport) async throws {
    let names = databases.names
    let jobs = try ids.map { JobID(database: try $0.database(of: names), number: $0.number) }
    let queue = Queue(databases)
    guard dryRun else {
      var rest = jobs[...]
      while let first = rest.first {
        let group = Array(rest.prefix { $0.database == first.database })
        let results = try await queue.cancel(group, reason: reason)
        for (job, result) in zip(group, results) { try report.add(job, result) }
        rest = rest.dropFirst(group.count)
      }
      return
    }
    for job in jobs {
      let state = try await queue.job(job)?.state
      try report.add(job, state.map { $0 == .running ? .cancelling : .cancelled } ?? .notFound)
    }
  }

  private func cancelMatching(_ databases: Databases, _ report: inout CancelReport) async throws {
    let states = state.isEmpty ? nil : Set(state)
    let (answers, isWhole) = try await databases.forEachDriver { _ throws(QudoError) in true }.answered()
    if !isWhole { report.hasTrouble = true }
    for (name, _) in answers {
      var query = JobQuery(kinds: kind.kinds, states: states, limit: dryRun ? 100 : 1000)
      while true {
        let found = try await page(query, databases, name)
        for job in found { try report.add(JobID(database: name, number: job.id), job.result) }
        guard found.count == query.limit, let last = found.last else { break }
        query.after = last.id
      }
    }
  }

  private func page(_ query: JobQuery, _ databases: Databases, _ database: String) async throws
    -> [CancelledJob]
  {
    if dryRun {
      let jobs = try await databases.control(in: database) { driver throws(QudoError) in
        try await driver.jobs(matching: query)
      }
      return jobs.map { CancelledJob(id: $0.id, result: $0.state == .running ? .cancelling : .cancelled) }
    }
    return try await databases.control(in: database) { [reason] driver throws(QudoError) in
      try await driver.cancel(matching: query, reason: reason)
    }
  }
}

/// Reports each job as soon as its fate is known: a later error must not hide what was done.
private struct CancelReport {
  let json: Bool
  let isBulk: Bool
  let isSeveral: Bool
  var hasTrouble = false
  private var isBegun = false
  private var counts: [CancelResult: Int] = [:]

  init(json: Bool, isBulk: Bool, isSeveral: Bool) {
    (self.json, self.isBulk, self.isSeveral) = (json, isBulk, isSeveral)
  }

  mutating func add(_ job: JobID, _ result: CancelResult) throws {
    counts[result, default: 0] += 1
    let name = isSeveral ? "\(SafeText.terminalSafe(job.database))/\(job.number)" : "\(job.number)"
    if json {
      let row = JSON.object([
        ("database", .text(job.database)), ("id", .integer(job.number)), ("result", .text(result.rawValue)),
      ])
      try Output.write((isBegun ? ",\n" : "[") + JSONWriter.one(row))
    } else if !isBulk, result != .notFound {
      try Output.line("\(name) \(result.rawValue)")
    }
    isBegun = true
    guard result == .notFound else { return }
    hasTrouble = true
    printError("no unfinished job \(name). List finished runs with qudo statuses or qudo failures")
  }

  func end() throws {
    if json { return try Output.line(isBegun ? "]" : "[]") }
    if isBulk { try Output.line("\(counts[.cancelled, default: 0]) \(counts[.cancelling, default: 0])") }
  }
}
