internal import ArgumentParser
internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

struct Health: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Check, for a probe, that databases answer and jobs run.",
    discussion: """
      Prints one line for each condition that fails, and nothing if all hold. Without conditions it only checks that each database can \
      be read. It changes nothing, waits for no writer, and takes the same time however many jobs are ready: it looks once for each \
      kind and priority, and reads the overdue delayed jobs that no worker has promoted yet. But on a server, it creates missing tables and \
      migrates older ones, as each command does.

      --worker holds if a living process has the file open and has looked there for jobs since it opened it. It does not say when: a \
      process that hangs still counts. To check that jobs really run, use --oldest-ready. A server does not know its workers, so \
      --worker is for files only.

      --oldest-ready holds if no job has been ready for longer, counted from its due time or, if its worker was lost, from the end of \
      its lease. Paused kinds count for neither --oldest-ready nor --max-ready.

      With --json each element is {"database", "healthy", "worker", "oldestReady", "oldestReadyKind", "ready", "problems"}. \
      oldestReady is in seconds, and null if no job is ready. ready is counted only with --max-ready, up to one more than that. worker \
      is null for servers.

      Exit status: 0 healthy, 1 a condition fails or one of several databases cannot be read, 64 wrong usage, 75 no database can be \
      read.

        qudo health --worker --oldest-ready 5m --database jobs.db
        qudo health --oldest-ready 30s --max-ready 1000 --kind mail.send --json
      """)

  @OptionGroup var database: Database
  @Flag(help: "A living process has the file open and has looked for jobs.") var worker = false
  @Option(
    help: ArgumentHelp("The longest that a job may have been ready.", valueName: "duration"),
    transform: { try Duration(parsing: $0) })
  var oldestReady: Duration?
  @Option(help: ArgumentHelp("The maximum number of ready jobs, 0 or more.", valueName: "number"))
  var maxReady: Int?
  @OptionGroup var kind: KindOption
  @OptionGroup var timeout: TimeoutOption
  @Flag(help: "Print one JSON array.") var json = false

  func validate() throws {
    guard oldestReady ?? .zero >= .zero else { throw ValidationError("--oldest-ready must not be negative") }
    guard maxReady ?? 0 >= 0 else { throw ValidationError("--max-ready must not be negative") }
    if worker, try database.urls().contains(where: \.isServer) {
      throw ValidationError(
        "--worker needs a SQLite file: a server does not tell whether a worker is there. Use --oldest-ready")
    }
  }

  func run() async throws {
    let (kinds, most) = (kind.kinds, maxReady.map { $0 < .max ? $0 + 1 : $0 } ?? 0)
    let answers = try await database.observe(within: timeout.duration) { driver throws(QudoError) in
      try await driver.backlog(kinds, countingUpTo: most)
    }
    let reports = answers.map {
      HealthReport($0, worker: worker, oldestReady: oldestReady, maxReady: maxReady)
    }
    if json {
      try Output.line(JSONWriter.array(reports.map(\.json)))
    } else {
      for report in reports {
        for problem in report.problems {
          try Output.line("\(SafeText.terminalSafe(report.database)): \(problem)")
        }
      }
    }
    guard reports.contains(where: { $0.backlog != nil }) else { throw ExitCode(EX_TEMPFAIL) }
    guard reports.allSatisfy(\.problems.isEmpty) else { throw ExitCode.failure }
  }
}

/// The conditions of one database that fail.
struct HealthReport {
  let database: String
  /// Nil if the database could not be read.
  let backlog: Backlog?
  let countsReady: Bool
  private(set) var problems: [String] = []
  private let oldest: Backlog.Oldest?

  init(_ answer: DatabaseAnswer<Backlog>, worker: Bool, oldestReady: Duration?, maxReady: Int?) {
    database = answer.database
    countsReady = maxReady != nil
    do throws(QudoError) {
      let backlog = try answer.result.get()
      self.backlog = backlog
      oldest = backlog.oldest.filter { !$0.isPaused }.max { $0.age < $1.age }
    } catch {
      (backlog, oldest) = (nil, nil)
      problems.append("cannot be read: \(SafeText.terminalSafe("\(error)", limit: 500))")
      return
    }
    if worker, backlog?.hasWorker != true {
      problems.append(
        backlog?.hasWorker == nil
          ? "it is unknown whether a worker is there: the file system has no locks that tell"
          : "no worker: no living process has looked for jobs in the file")
    }
    if let oldestReady, let oldest, oldest.age > oldestReady {
      problems.append(
        "a job of the kind \(SafeText.terminalSafe(oldest.kind.name)) has been ready for \(Self.seconds(oldest.age)) s, more than \(Self.seconds(oldestReady)) s"
      )
    }
    if let maxReady, let backlog, backlog.ready > maxReady {
      problems.append("more than \(maxReady) jobs are ready")
    }
  }

  /// With at most three digits behind the point.
  private static func seconds(_ duration: Duration) -> String {
    let thousandths = duration.wholeMicroseconds / 1000
    guard thousandths % 1000 != 0 else { return "\(thousandths / 1000)" }
    return "\(Double(thousandths) / 1000)"
  }

  var json: JSON {
    .object([
      ("database", .text(database)), ("healthy", .bool(problems.isEmpty)),
      ("worker", backlog?.hasWorker.map { .bool($0) } ?? .null),
      ("oldestReady", .number(oldest.map { Double($0.age.wholeMicroseconds) / 1_000_000 })),
      ("oldestReadyKind", .text(oldest?.kind.name)),
      ("ready", countsReady ? backlog.map { .integer(Int64($0.ready)) } ?? .null : .null),
      ("problems", .array(problems.map { .text($0) })),
    ])
  }
}
