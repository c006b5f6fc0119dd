internal import ArgumentParser
internal import Logging
internal import Qudo
internal import QudoMySQL
internal import QudoSQLite

struct DatabasesCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "databases",
    abstract: "Show the state of each database: whether it answers, its version, clock and job counts.",
    discussion: """
      Files are only read: none is created or migrated.

      With --json each element is {"database", "url", "state", "version", "clockDifference", "ready", "delayed", "running", "held", "workers", \
      "isOpen", "cause"}. \
      The url omits the password. The state is live or down; cause says why a database is down. clockDifference is how many \
      milliseconds the database's clock is ahead of this machine's, or null if the database uses this machine's clock. For a file, \
      workers counts the open workers that have claimed a job from it, and isOpen says whether any process has the file open to \
      enqueue or to work; both are null for servers. If a database is down, its other values are null, and its name may be unknown.

      Jobs in a file that no process has open stay there until a worker opens it. An enqueue may have put them there while the \
      servers were unavailable.

      The exit status is 75 if no database is live.

        qudo databases --database local.db --database /mnt/other/far.db
      """)

  @OptionGroup var database: Database
  @Flag(help: "Print one JSON array.") var json = false

  func run() async throws {
    let urls = try database.urls()
    let reports = await withTaskGroup(of: (Int, DatabaseReport).self) { group in
      for (index, url) in urls.enumerated() { group.addTask { (index, await DatabaseReport.of(url)) } }
      var all: [Int: DatabaseReport] = [:]
      for await (index, report) in group { all[index] = report }
      return urls.indices.compactMap { all[$0] }
    }
    try Listing.show(reports, database: "", json: json, nothing: "no databases")
    guard reports.contains(where: { $0.cause == nil }) else {
      throw ExitCode(QudoError.Code.unreachable.exitStatus)
    }
  }
}

/// The state of one database, as far as it answered.
struct DatabaseReport: Sendable {
  let url: DatabaseURL
  var name: String?
  var version: String?
  var difference: Duration?
  var counts: JobCount?
  var workers: Int?
  var isOpen: Bool?
  var cause: String?

  static func of(_ url: DatabaseURL) async -> DatabaseReport {
    var report = DatabaseReport(url: url)
    do throws(QudoError) {
      // `Databases` gives each call a deadline; a driver alone has none.
      let databases = try Databases(
        [
          .init("\(url)") { () async throws(QudoError) in
            try await DatabaseOpening(durability: .full, create: false, isListing: true).open(url, name: nil)
          }
        ], options: quiet)
      report.name = try await look(databases, &report)
      await databases.close()
    } catch {
      report.cause = "\(error)"
    }
    return report
  }

  private static var quiet: DatabaseOptions {
    var options = DatabaseOptions()
    options.logger.logLevel = .critical
    return options
  }

  private static func look(_ databases: Databases, _ report: inout DatabaseReport) async throws(QudoError)
    -> String?
  {
    let clock = SystemClock()
    let answers = await databases.forEachDriver { driver throws(QudoError) in
      let before = clock.now().wall
      let description = try await (driver as? any DescribedDriver)?.describe()
      let after = clock.now().wall
      let middle = before.microseconds + (after.microseconds - before.microseconds) / 2
      let difference = description?.clock.map { Duration.microseconds($0.microseconds.clampedMinus(middle)) }
      return (description, difference, try await driver.count())
    }
    guard let answer = answers.first else { return nil }
    let (description, difference, counts) = try answer.result.get()
    (report.version, report.difference) = (description?.version, difference)
    (report.workers, report.isOpen) = (description?.workers, description?.isOpen)
    report.counts = counts.reduce(JobCount("")) { sum, count in
      JobCount(
        "", ready: sum.ready + count.ready, delayed: sum.delayed + count.delayed,
        running: sum.running + count.running, held: sum.held + count.held)
    }
    return answer.database
  }
}

extension DatabaseReport: Listed {
  static var columns: [Table.Column] {
    [
      "DATABASE", "STATE", "VERSION", .number("CLOCK"), .number("READY"), .number("DELAYED"),
      .number("RUNNING"), .number("WORKERS"), "OPEN", "URL",
      "CAUSE",
    ]
  }

  private var state: String { cause == nil ? "live" : "down" }
  /// The clock difference, rounded to milliseconds.
  private var milliseconds: Int64? {
    difference.map { $0.wholeMicroseconds.clampedPlus($0 < .zero ? -500 : 500) / 1000 }
  }

  var cells: [String] {
    [
      SafeText.terminalSafe(name ?? ""), state, SafeText.terminalSafe(version ?? ""),
      milliseconds.map { $0 >= 0 ? "+\($0) ms" : "\($0) ms" } ?? "",
      counts.map { "\($0.ready)" } ?? "", counts.map { "\($0.delayed)" } ?? "",
      counts.map { "\($0.running)" } ?? "",
      workers.map { "\($0)" } ?? "", isOpen.map { $0 ? "yes" : "no" } ?? "",
      SafeText.terminalSafe("\(url)", limit: 60), SafeText.terminalSafe(cause ?? "", limit: 200),
    ]
  }

  func json(database: String) -> JSON {
    func number(_ count: Int?) -> JSON { count.map { .integer(Int64($0)) } ?? .null }
    return .object([
      ("database", .text(name)), ("url", .text("\(url)")), ("state", .text(state)),
      ("version", .text(version)),
      ("clockDifference", milliseconds.map { .integer($0) } ?? .null), ("ready", number(counts?.ready)),
      ("delayed", number(counts?.delayed)), ("running", number(counts?.running)),
      ("held", number(counts?.held)),
      ("workers", number(workers)),
      ("isOpen", isOpen.map { .bool($0) } ?? .null), ("cause", .text(cause)),
    ])
  }
}
