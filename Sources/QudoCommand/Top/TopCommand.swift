internal import ArgumentParser
internal import Qudo
internal import QudoMonitor

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

struct TopCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "top", abstract: "Watch the databases in the terminal.",
    discussion: """
      Shows the databases, their kinds, the processes that hold running jobs and the newest failures, and keeps the screen up to date. Press ? for the \
      keys: they open kinds, jobs and failures, filter and sort, and, after a confirmation, pause and resume kinds, cancel jobs and \
      replay failures. Watching only reads; the changes need the right to write to the database, as pause, cancel and replay do.

        IN/S, OUT/S  jobs enqueued and ended per second; ~ marks an estimate, on servers
        READY        jobs that are due and wait; FAIL/MIN failed runs of the last minute, retried ones included
        +/-S         change of the kind's unfinished jobs per second, and TREND their number
        DONE/S       completed runs per second, and RUN50, RUN99 the percentiles of their time: of kinds with work --record
        WAIT50, 99   percentiles of the time from a job's due time to its claim, estimated from the running jobs in the samples
        OLDEST       how long the longest-waiting ready job has waited

      A sample counts the waiting jobs. The next one follows after --interval, but not before 50 times the processor time of the last one has \
      passed, so watching costs at most 2 % of one core. If a database does not answer within --timeout, its line says so, and it is tried \
      again.

      NO_COLOR and --no-color turn colors off. Without UTF-8 in the locale, it draws with ASCII. If standard output is not a terminal, \
      or TERM is dumb, or with --once, it prints one screen as text after two samples, and ends; the width is $COLUMNS, else 120. With \
      --json it prints one object: {"at", "took", "databases"}; each database is {"database", "error", "exact", "worker", \
      "enqueuedPerSecond", "endedPerSecond", "failuresPerSecond", "failuresInMinute", "ready", "delayed", "running", "oldestReady", \
      "paused", "fileBytes", "walBytes", "kinds", "workers"}; each kind {"kind", "ready", "delayed", "running", "held", "paused", \
      "pausedUntil", "pauseReason", "oldestReady", "changePerSecond", "completedPerSecond", "failuresPerSecond", "failuresInMinute", \
      "runP50", "runP99", "waitP50", "waitP99"}; each worker {"process", "jobs"} with jobs of {"id", "kind", "attempt", "startedAt"}. \
      Durations are in seconds, and what is unknown is null.

      Exit status: 0 done, 1 one of several databases cannot be read at the end, 64 wrong usage, 75 none can. If you quit it by a key, it is 0 unless \
      the terminal fails. A signal restores the terminal first.

        qudo top --database jobs.db
        qudo top --database a.db --database b.db --interval 5s
        qudo top --once --json
      """)

  @OptionGroup var database: Database
  @Option(
    help: ArgumentHelp("The shortest time between two samples. Default: 1s.", valueName: "duration"),
    transform: { try Duration(parsing: $0) })
  var interval: Duration?
  @Option(
    help: ArgumentHelp(
      "How long to wait for a database before it counts as unreachable. Default: 5s.", valueName: "duration"),
    transform: { try Duration(parsing: $0) })
  var timeout: Duration?
  @Flag(help: "Print one screen as text, and end.") var once = false
  @Flag(help: "Print one JSON object, and end.") var json = false
  @Flag(help: "Use no colors.") var noColor = false

  func validate() throws {
    guard interval ?? .seconds(1) >= .milliseconds(100) else {
      throw ValidationError("--interval must be at least 100ms")
    }
    guard timeout ?? .seconds(1) >= .milliseconds(1) else {
      throw ValidationError("--timeout must be at least 1ms")
    }
  }

  func run() async throws {
    let sampler = QueueSampler(try database.sources(timeout ?? .seconds(5)), timeout: timeout ?? .seconds(5))
    let environment = TerminalEnvironment()
    if once || json || !Output.isTerminal || environment.isDumb {
      return try await printOnce(sampler, environment)
    }
    try await TopLoop(
      database: database, sampler: sampler, interval: interval ?? .seconds(1),
      attributes: environment.attributes(noColor: noColor),
      options: Screen.Options(ascii: !environment.isUTF8, clock: { $0.localTimeOfDay })
    ).run()
  }

  private func printOnce(_ sampler: QueueSampler, _ environment: TerminalEnvironment) async throws {
    let columns = environment.columns ?? (Output.isTerminal ? Terminal.size.columns : 120)
    var state = TopState(size: ScreenSize(max(columns, 20), .max))
    _ = state.handle(.sample(await sampler.sample()))
    // Rates need two samples.
    try await Task.sleep(for: min(interval ?? .seconds(1), .seconds(1)))
    let sample = await sampler.sample()
    for case .load(let request) in state.handle(.sample(sample)) + [.load(.failures)] {
      _ = state.handle(.loaded(request, await TopReading.read(request, sampler)))
    }
    if json {
      try Output.line(JSONWriter.one(sample.json))
    } else {
      let options = Screen.Options(
        ascii: !environment.isUTF8, clock: { $0.localTimeOfDay }, isInteractive: false)
      for line in Screen.lines(state, options) {
        try Output.line(String(line.text.reversed().drop { $0 == " " }.reversed()))
      }
    }
    var failures = 0
    for database in sample.databases {
      guard let error = database.error else { continue }
      failures += 1
      printError("\(SafeText.terminalSafe(database.name)): \(SafeText.terminalSafe("\(error)", limit: 500))")
    }
    guard failures < sample.databases.count else { throw ExitCode(EX_TEMPFAIL) }
    guard failures == 0 else { throw ExitCode.failure }
    await sampler.close()
  }
}

/// The facts about the terminal from the environment.
struct TerminalEnvironment {
  private let variable: (String) -> String?

  init(_ variable: @escaping (String) -> String? = { name in getenv(name).map { String(cString: $0) } }) {
    self.variable = variable
  }

  /// Whether the terminal cannot move its cursor.
  var isDumb: Bool { ["", "dumb"].contains(variable("TERM") ?? "") }

  /// "When present and not an empty string (regardless of its value), prevents the addition of ANSI color": no-color.org.
  func attributes(noColor: Bool) -> Style.Attributes {
    noColor || variable("NO_COLOR")?.isEmpty == false ? .monochrome : .colors
  }

  /// "LC_ALL [...] shall override", then the category, then LANG: POSIX, 8.2.
  var isUTF8: Bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].lazy.compactMap(variable).first { !$0.isEmpty } ?? ""
    let lower = locale.lowercased()
    return lower.contains("utf-8") || lower.contains("utf8")
  }

  /// The width that the user asked for.
  var columns: Int? { variable("COLUMNS").flatMap { Int($0) }.flatMap { $0 > 0 ? min($0, 1000) : nil } }
}

extension Timestamp {
  /// The time of day in this machine's time zone: `13:00:00`.
  var localTimeOfDay: String { String(local.dropFirst(11).prefix(8)) }
}
