internal import ArgumentParser
internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

struct MetricsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "metrics", abstract: "Print figures of the databases as OpenMetrics text.",
    discussion: """
      For a scraper that runs a command, or for the textfile collector of Prometheus' node_exporter: with --output the file is \
      replaced atomically, so that no reader sees a part of it.

        qudo_up                             1 if the database could be read, else 0
        qudo_jobs                           jobs by kind and state: ready, delayed, running, held
        qudo_oldest_ready_seconds           how long the kind's longest-waiting ready job has waited; 0 without one
        qudo_kind_paused                    1 if the kind is paused, else 0
        qudo_failure_log_rows               rows of the failure log by kind, retried runs included
        qudo_status_log_rows                rows of the status log by kind
        qudo_failures_total                 rows that the failure log has ever had (files only)
        qudo_worker                         1 if a living process has looked for jobs, else 0 (files only)
        qudo_file_bytes                     size of the file and its -wal (files only)
        qudo_schedule_next_timestamp_seconds  when a schedule ticks next, in seconds since 1970
        qudo_schedule_overdue_seconds       how long a schedule's next tick is overdue, because no worker runs; 0 if it is not
        qudo_schedule_paused                1 if the schedule is paused, else 0

      Each has the label database; those of jobs and logs have the label kind. Kinds without jobs are left out unless --kind names \
      them; then only these are shown. Files are only read; on a server, missing or older tables are created or migrated, as by \
      each command. Counting reads the index entries of all waiting jobs and of both logs: scrape every 15 s or less often.

      If a database cannot be read, qudo_up is 0 and its other figures are missing. Exit status: 0 done, 1 if one of several databases \
      cannot be read, 75 if none can.

        qudo metrics --database jobs.db
        qudo metrics --database jobs.db --output /var/lib/node_exporter/qudo.prom
      """)

  @OptionGroup var database: Database
  @OptionGroup var kind: KindOption
  @Option(
    help: ArgumentHelp(
      "How long to wait for a database before it counts as unreachable. Default: 10s.", valueName: "duration"),
    transform: { try Duration(parsing: $0) })
  var timeout: Duration?
  @Option(
    help: ArgumentHelp(
      "Write to this file, which is replaced atomically, instead of standard output.", valueName: "file"))
  var output: String?

  func validate() throws {
    guard timeout ?? .seconds(1) >= .milliseconds(1) else {
      throw ValidationError("--timeout must be at least 1ms")
    }
    if let output, output.isEmpty || output.hasSuffix("/") {
      throw ValidationError("--output must name a file")
    }
  }

  func run() async throws {
    let kinds = kind.kinds
    let answers = try await database.observe(within: timeout ?? .seconds(10)) { driver throws(QudoError) in
      try await DatabaseFigures(of: driver, kinds)
    }
    let text = OpenMetrics.text(MetricFamilies(answers, kinds).all)
    if let output { try AtomicFile.write(text, to: output) } else { try Output.write(text) }
    var failures = 0
    for answer in answers {
      guard case .failure(let error) = answer.result else { continue }
      failures += 1
      printError(
        "\(SafeText.terminalSafe(answer.database)): \(SafeText.terminalSafe("\(error)", limit: 500))")
    }
    if failures == answers.count { throw ExitCode(EX_TEMPFAIL) }
    if failures > 0 { throw ExitCode.failure }
  }
}

/// The figures of one database.
struct DatabaseFigures: Sendable {
  let counts: [JobCount]
  let backlog: Backlog
  let sizes: DatabaseSizes
  let schedules: [StoredSchedule]
  /// The time by the database's clock.
  let now: Timestamp?

  init(of driver: any ObservedDriver, _ kinds: [Kind]?) async throws(QudoError) {
    counts = try await driver.count(kinds)
    backlog = try await driver.backlog(kinds, countingUpTo: 0)
    sizes = try await driver.sizes()
    guard let scheduling = driver as? any ScheduleDriver else {
      (schedules, now) = ([], nil)
      return
    }
    schedules = try await scheduling.schedules(nil)
    now = schedules.isEmpty ? nil : try await scheduling.dueSchedules(after: nil, limit: 0).now
  }
}

/// The figures as metrics. The names that ``DepthGauge`` of QudoMetrics has, too, mean the same here.
private struct MetricFamilies {
  private var up = OpenMetrics.Family("qudo_up", help: "Whether the database could be read.")
  private var jobs = OpenMetrics.Family("qudo_jobs", help: "Jobs by kind and state.")
  private var oldest = OpenMetrics.Family(
    "qudo_oldest_ready_seconds", unit: "seconds",
    help: "How long the longest-waiting ready job has waited; 0 without one.")
  private var paused = OpenMetrics.Family("qudo_kind_paused", help: "Whether the kind is paused.")
  private var failureRows = OpenMetrics.Family(
    "qudo_failure_log_rows", help: "Rows of the failure log, retried runs included.")
  private var statusRows = OpenMetrics.Family("qudo_status_log_rows", help: "Rows of the status log.")
  private var failures = OpenMetrics.Family(
    "qudo_failures", .counter, help: "Rows that the failure log ever had, retried runs included.")
  private var worker = OpenMetrics.Family(
    "qudo_worker", help: "Whether a living process has the file open and has looked for jobs.")
  private var bytes = OpenMetrics.Family(
    "qudo_file_bytes", unit: "bytes", help: "Size of the file and its -wal.")
  private var next = OpenMetrics.Family(
    "qudo_schedule_next_timestamp_seconds", unit: "seconds", help: "When the schedule ticks next, since 1970."
  )
  private var overdue = OpenMetrics.Family(
    "qudo_schedule_overdue_seconds", unit: "seconds",
    help: "How long the next tick is overdue; 0 if it is not.")
  private var schedulePaused = OpenMetrics.Family(
    "qudo_schedule_paused", help: "Whether the schedule is paused.")

  /// - Parameter kinds: The kinds that are shown even without jobs.
  init(_ answers: [DatabaseAnswer<DatabaseFigures>], _ kinds: [Kind]?) {
    for answer in answers {
      let database = ("database", answer.database)
      guard let figures = try? answer.result.get() else {
        up.add(0, database)
        continue
      }
      up.add(1, database)
      add(figures, kinds, database)
    }
  }

  private mutating func add(_ figures: DatabaseFigures, _ wanted: [Kind]?, _ database: (String, String)) {
    let counts = Dictionary(figures.counts.map { ($0.kind, $0) }) { first, _ in first }
    let ages = Dictionary(figures.backlog.oldest.map { ($0.kind, $0) }) { first, _ in first }
    let kinds = Set(wanted ?? []).union(counts.keys).union(ages.keys)
    for name in kinds.sorted() {
      let (kind, count) = (("kind", name.name), counts[name] ?? JobCount(name))
      for (state, number) in [
        ("ready", count.ready), ("delayed", count.delayed), ("running", count.running), ("held", count.held),
      ] {
        jobs.add(Int64(number), database, kind, ("state", state))
      }
      oldest.add(seconds: Double(ages[name]?.age.wholeMicroseconds ?? 0) / 1_000_000, database, kind)
      paused.add(count.isPaused || ages[name]?.isPaused == true ? 1 : 0, database, kind)
    }
    for (rows, family) in [
      (figures.sizes.failures, \Self.failureRows), (figures.sizes.statuses, \Self.statusRows),
    ] {
      for (kind, count) in rows.sorted(by: { $0.key < $1.key }) where wanted?.contains(kind) != false {
        self[keyPath: family].add(Int64(count), database, ("kind", kind.name))
      }
    }
    if let ever = figures.sizes.failuresEver { failures.add(ever, database) }
    if let hasWorker = figures.backlog.hasWorker { worker.add(hasWorker ? 1 : 0, database) }
    if let size = figures.sizes.fileBytes { bytes.add(size, database, ("file", "database")) }
    if let size = figures.sizes.walBytes { bytes.add(size, database, ("file", "wal")) }
    for schedule in figures.schedules {
      let labels = (("schedule", schedule.name), ("kind", schedule.kind.name))
      schedulePaused.add(schedule.isPaused ? 1 : 0, database, labels.0, labels.1)
      guard let tick = schedule.nextTick?.microseconds, let now = figures.now?.microseconds else { continue }
      next.add(seconds: Double(tick) / 1_000_000, database, labels.0, labels.1)
      overdue.add(
        seconds: Double(max(now.clampedMinus(tick), 0)) / 1_000_000, database, labels.0, labels.1)
    }
  }

  var all: [OpenMetrics.Family] {
    [
      up, jobs, oldest, paused, failureRows, statusRows, failures, worker, bytes, next, overdue,
      schedulePaused,
    ]
  }
}

/// A file that is replaced atomically.
enum AtomicFile {
  static func write(_ text: String, to path: String) throws {
    // Next to it, so that the rename stays within the file system; a collector reads only names that end with .prom.
    var template = Array("\(path).XXXXXX".utf8CString)
    let file = mkstemp(&template)
    guard file >= 0 else { throw failure(path, errno) }
    var error: Int32 = 0
    var text = text
    // The reader is another user.
    if fchmod(file, 0o644) != 0 { error = errno }
    if error == 0 { error = text.withUTF8 { writeAll(UnsafeRawBufferPointer($0), to: file) } }
    if close(file) != 0, error == 0 { error = errno }
    if error == 0, rename(template, path) != 0 { error = errno }
    guard error != 0 else { return }
    unlink(template)
    throw failure(path, error)
  }

  private static func failure(_ path: String, _ error: Int32) -> CommandError {
    CommandError(
      "cannot write \(SafeText.terminalSafe(path)): \(String(cString: strerror(error))). Choose another file, or check its folder's permissions"
    )
  }
}
