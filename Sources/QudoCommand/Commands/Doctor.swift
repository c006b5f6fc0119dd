internal import ArgumentParser
internal import Qudo
internal import QudoMySQL
internal import QudoSQLite

struct Doctor: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Look for faults of a database, and say what to do about each.",
    discussion: """
      Checks the location, free space, rights, settings, locks and WAL of a file, and the jobs, leases, logs and schedules in it. On a \
      server, it checks the settings, privileges and clock, and the jobs. "Operating Qudo" has a table of the checks. It changes nothing: \
      it creates and migrates no file, and delays no writer. Without --integrity, it takes about as long with a million waiting jobs as \
      with one. With --integrity, the WAL of a busy file grows meanwhile: check a backup of a large file instead. On Linux, it names the \
      processes that hold locks, if they are in its own process namespace.

      Prints the worst finding first: its severity (fault, warning or note), the database, the check, what was found, and what to do. \
      Then a line for each database says what was checked. Workers do not record which kinds they handle: if the oldest ready job of a \
      kind has waited for longer than --max-wait while no job of the kind runs, the kind is reported as one without a worker.

      With --json each element is {"database", "check", "severity", "message", "advice", "subject", "figures"}. The subject is the kind, \
      the schedule, the log or the table that it is about, or null. The figures are an object of numbers: bytes, seconds, counts, and \
      process, a process id.

      Exit status: 0 nothing found, or notes only; 1 warnings or faults, or one of several databases cannot be reached; 64 wrong usage; \
      75 no database can be reached.

        qudo doctor --database jobs.db
        qudo doctor --integrity --json
      """)

  @OptionGroup var database: Database
  @Flag(help: "Read the whole file, and check that it is sound and that its tables agree with each other.")
  var integrity = false
  @Option(
    help: ArgumentHelp("How long a ready job may wait before its kind is reported.", valueName: "duration"),
    transform: { try Duration(parsing: $0) })
  var maxWait: Duration = .seconds(600)
  @Option(
    help: ArgumentHelp(
      "How far ahead a job may be due before it is reported. Default: 366d.", valueName: "duration"),
    transform: { try Duration(parsing: $0) })
  var maxDelay: Duration?
  @Option(
    help: ArgumentHelp(
      "The --retention-age of the workers, or none. Rows of a log that are older by a day are reported. Default: 14d.",
      valueName: "duration|none"),
    transform: { try RetentionBound($0) { try Duration(parsing: $0) } })
  var retentionAge: RetentionBound<Duration>?
  @Option(
    help: ArgumentHelp(
      "The --retention-rows of the workers, or none. A log with more rows, by a tenth and by 100000, is reported. Default: 1000000.",
      valueName: "number|none"),
    transform: { try RetentionBound($0) { try RetentionOptions.number($0) } })
  var retentionRows: RetentionBound<Int>?
  @Flag(help: "Print one JSON array.") var json = false

  func run() async throws {
    let urls = try database.urls()
    var options = DiagnosisOptions()
    (options.checksIntegrity, options.maxWait) = (integrity, maxWait)
    if let maxDelay { options.maxDelay = maxDelay }
    if let retentionAge { options.retention?.maxAge = retentionAge.value }
    if let retentionRows { options.retention?.maxRows = retentionRows.value }
    let answers = await withTaskGroup(of: (Int, Result<Diagnosis, QudoError>).self) { [options] group in
      for (index, url) in urls.enumerated() {
        group.addTask {
          do throws(QudoError) {
            return (index, .success(try await DatabaseOpening.diagnose(url, options)))
          } catch {
            return (index, .failure(error))
          }
        }
      }
      var all: [Int: Result<Diagnosis, QudoError>] = [:]
      for await (index, answer) in group { all[index] = answer }
      return urls.indices.compactMap { index in
        all[index].map { DatabaseAnswer(database: "\(urls[index])", result: $0) }
      }
    }
    let (found, isWhole) = try answers.answered()
    var diagnoses = found.map(\.rows)
    Diagnosis.compareSchedules(&diagnoses)
    let rows = diagnoses.enumerated().flatMap { index, diagnosis in
      diagnosis.findings.map { (index: index, database: diagnosis.database, finding: $0) }
    }.sorted { ($1.finding.severity, $0.index) < ($0.finding.severity, $1.index) }
    if json {
      try Output.line(JSONWriter.array(rows.map { $0.finding.json(database: $0.database) }))
    } else {
      for row in rows { try Output.write(row.finding.paragraph(database: row.database)) }
      for diagnosis in diagnoses { try Output.line(diagnosis.summary) }
    }
    if !isWhole || diagnoses.contains(where: { $0.severity ?? .note > .note }) { throw ExitCode.failure }
  }
}

extension Finding {
  /// A heading, what was found, and what to do.
  fileprivate func paragraph(database: String) -> String {
    """
    \(severity.rawValue): \(SafeText.terminalSafe(database)): \(check)
      \(SafeText.terminalSafe(message, limit: 600))
      -> \(SafeText.terminalSafe(advice, limit: 600))

    """
  }

  fileprivate func json(database: String) -> JSON {
    .object([
      ("database", .text(database)), ("check", .text(check)), ("severity", .text(severity.rawValue)),
      ("message", .text(message)), ("advice", .text(advice)), ("subject", .text(subject)),
      ("figures", .object(figures.sorted { $0.key < $1.key }.map { ($0.key, .integer($0.value)) })),
    ])
  }
}

extension Diagnosis {
  /// Such as `jobs: no problems (1 note); checked: rights, wal`.
  fileprivate var summary: String {
    let counts = Finding.Severity.allCases.reversed().compactMap { severity -> String? in
      let count = findings.count { $0.severity == severity }
      return count == 0 ? nil : "\(count) \(severity.rawValue)\(count == 1 ? "" : "s")"
    }.joined(separator: ", ")
    let result =
      severity ?? .note > .note ? counts : "no problems" + (counts.isEmpty ? "" : " (\(counts))")
    return "\(SafeText.terminalSafe(database)): \(result); checked: \(checks.joined(separator: ", "))"
  }
}

extension DatabaseOpening {
  /// Looks for what is wrong with a database, without opening it as a queue.
  fileprivate static func diagnose(_ url: DatabaseURL, _ options: DiagnosisOptions) async throws(QudoError)
    -> Diagnosis
  {
    switch url.place {
    case .sqlite(let path): return try await SQLiteDriver.diagnose(path: path, options)
    case .mysql(let server):
      #if MySQL
      let driver = try MySQLDriver(completed(server))
      do throws(QudoError) {
        let diagnosis = try await driver.diagnose(options)
        await driver.close()
        return diagnosis
      } catch {
        await driver.close()
        throw error
      }
      #else
      throw QudoError(
        .invalidArgument,
        "\(server): this build has no driver for MySQL and MariaDB. Build it with --traits MySQL")
      #endif
    }
  }
}
