internal import ArgumentParser
internal import Qudo

struct Wait: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Wait until jobs have ended.",
    discussion: """
      Prints a line for each job when it has ended, in the order of the arguments: its id, and completed, failed, aborted, lost, cancelled, \
      expired or dropped; ended if no log says how (it completed, unless its row was pruned); or unknown if it never existed. With --json, \
      prints an array of objects {"database", "id", "outcome", "message"}.

      The exit status is 0 if all jobs completed or ended, 1 if one failed or is unknown, else 124 if --timeout passed first; the jobs \
      that are left are then reported as unfinished.

      On a SQLite file, the end of a job wakes the command. It polls a server at growing intervals, from 20 ms to 1 s.

        qudo wait "$(qudo enqueue report)" --timeout 10m && mail-report
      """)

  /// The exit status if the time is over, like that of timeout(1).
  private static let timedOut: Int32 = 124

  @OptionGroup var database: Database
  @Argument(help: ArgumentHelp("Ids of jobs; with several databases, DATABASE/ID.", valueName: "id")) var ids:
    [JobName]
  @Option(
    help: ArgumentHelp("How long to wait. Default: until all jobs have ended.", valueName: "duration"),
    transform: { try Duration(parsing: $0) })
  var timeout: Duration?
  @Flag(help: "Print one JSON array.") var json = false

  func run() async throws {
    try await database.list { databases in
      let names = databases.names
      let jobs = try ids.map { JobID(database: try $0.database(of: names), number: $0.number) }
      var report = Report(json: json, isSeveral: names.count > 1)
      do { try await wait(for: jobs, Queue(databases), &report) } catch {
        try report.end()
        throw error
      }
      try report.end()
      if report.hasFailures { throw ExitCode.failure }
      if report.isLate { throw ExitCode(Self.timedOut) }
    }
  }

  private func wait(for jobs: [JobID], _ queue: Queue<NoHooks>, _ report: inout Report) async throws {
    let clock = SystemClock()
    let end = timeout.map { clock.sinceBoot().clampedPlus($0.wholeMicroseconds) }
    for job in jobs {
      let rest = end.map { Duration.microseconds(max(0, $0.clampedMinus(clock.sinceBoot()))) }
      try report.add(job, try await queue.wait(for: job, timeout: rest))
    }
  }

  /// Reports each job as soon as it has ended.
  private struct Report {
    let json: Bool
    let isSeveral: Bool
    private(set) var hasFailures = false
    private(set) var isLate = false
    private var isBegun = false

    init(json: Bool, isSeveral: Bool) { (self.json, self.isSeveral) = (json, isSeveral) }

    mutating func add(_ job: JobID, _ outcome: JobOutcome) throws {
      let (word, message) = Wait.words(outcome)
      if json {
        let row = JSON.object([
          ("database", .text(job.database)), ("id", .integer(job.number)), ("outcome", .text(word)),
          ("message", .text(message)),
        ])
        try Output.write((isBegun ? ",\n" : "[") + JSONWriter.one(row))
      } else {
        try Output.line(
          (isSeveral ? SafeText.terminalSafe(job.database) + "/" : "") + "\(job.number) \(word)")
      }
      isBegun = true
      switch outcome {
      case .completed, .unrecorded: break
      case .unfinished: isLate = true
      case .failed, .neverExisted: hasFailures = true
      }
    }

    func end() throws {
      if json { try Output.line(isBegun ? "]" : "[]") }
    }
  }

  private static func words(_ outcome: JobOutcome) -> (word: String, message: String?) {
    switch outcome {
    case .unfinished: ("unfinished", nil)
    case .completed: ("completed", nil)
    case .failed(let row): (row.reason.rawValue, row.message)
    case .unrecorded: ("ended", nil)
    case .neverExisted: ("unknown", nil)
    }
  }
}
