public import ArgumentParser
internal import Qudo
public import QudoBench
internal import QudoMySQL
internal import QudoSQLite

extension Workload: ExpressibleByArgument {}

struct BenchCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure Qudo against raw SQLite on this disk, or against raw calls on a server.",
    discussion: """
      Each workload alternates between the library's public interface and a floor: the fewest prepared statements that do the same \
      in raw SQLite. The reference floor is the plain design (one table, one partial index, SQLite's own page size and checkpoints); \
      the best floor has every setting that was found to be faster. Payloads have 100 bytes, files are new. Rates are medians of the \
      rounds. A ratio is Qudo's figure divided by the floor's, with its lowest and highest value.

      All workloads together take under ten minutes. Measure on an idle machine.

        qudo bench enqueue-one drain --durability full --rounds 5

      With --database it measures a server instead, against plain libmariadb calls: enqueue-one, enqueue-batch, claim-settle-one \
      (and in batches), drain, drain-processes and deep. The database must have no tables of Qudo, and the user must be allowed to \
      CREATE, ALTER and DROP. The benchmark removes its tables; if it is killed, it leaves tables whose names begin with qudo_ and \
      qudobench_.

        qudo bench --database mysql://user:password@host/empty --rounds 7
      """)

  @Argument(
    help:
      "The workloads to run: \(Workload.allCases.map(\.rawValue).joined(separator: ", ")). All by default.")
  var workloads: [Workload] = []
  @Option(
    help:
      "mysql://user:password@host:port/name of a database that only the benchmark uses. Default: new SQLite files."
  )
  var database: String?
  @Option(help: "full, normal or off. Repeat for several. Default: full and normal.")
  var durability: [SQLiteDriver.Durability] = []
  @Option(help: "The number of jobs in each measurement. Default: depends on the workload.") var jobs: Int?
  @Option(help: "The number of rounds, 1 to 100.") var rounds = 3
  @Flag(help: "Also measure 10,000,000 waiting jobs, and soak for 10 minutes.") var long = false
  @Option(help: "A folder on the disk to measure; a temporary folder is created in it.") var folder = "."
  @Flag(help: "Print JSON.") var json = false

  func validate() throws {
    guard (1...100).contains(rounds) else { throw ValidationError("--rounds must be from 1 to 100") }
    let least = database == nil ? 1000 : 100
    guard (least...100_000_000).contains(jobs ?? least) else {
      throw ValidationError("--jobs must be from \(Figures.grouped(least)) to 100,000,000")
    }
    if let server = try server() { try validate(server) }
  }

  /// The server to measure, or nil to measure SQLite files.
  private func server() throws -> DatabaseServer? {
    guard let database else { return nil }
    let url: DatabaseURL
    do { url = try DatabaseURL(parsing: database) } catch { throw ValidationError(error.message) }
    guard case .mysql(let server) = url.place else {
      throw ValidationError(
        "--database takes a server: mysql://user:password@host:port/name. To measure files, use --folder")
    }
    return server
  }

  private func validate(_ server: DatabaseServer) throws {
    #if MySQL
    guard durability.isEmpty, !long else {
      throw ValidationError("--durability and --long apply to files only. Leave them out for a server")
    }
    for workload in workloads where !ServerBench.workloads.contains(workload) {
      let names = ServerBench.workloads.map(\.rawValue).joined(separator: ", ")
      throw ValidationError("\(workload.rawValue) cannot be measured on a server. Choose from \(names)")
    }
    #else
    throw ValidationError(
      "\(SafeText.terminalSafe("\(server)")): this build has no driver for MySQL and MariaDB. Build it with --traits MySQL"
    )
    #endif
  }

  func run() async throws {
    let temporary = try TemporaryFolder(in: folder, "qudo-bench")
    try await temporary.use { try await run(in: temporary) }
  }

  private func run(in folder: TemporaryFolder) async throws {
    #if MySQL
    if let server = try server() { return try await run(DatabaseOpening.completed(server), in: folder) }
    #endif
    var settings = Bench.Settings(folder: folder.path) { try PipedProcess($0) }
    if !durability.isEmpty { settings.durabilities = durability }
    settings.jobs = jobs
    settings.rounds = rounds
    settings.isLong = long
    let syncs = try Disk.syncRate(in: folder.path)
    let bench = Bench(settings)
    let (lines, failure) = await measure(Workload.allCases) { try await bench.run([$0], report: $1) }
    try write(BenchReport(lines, settings, syncs: syncs), failure)
  }

  #if MySQL
  private func run(_ server: DatabaseServer, in folder: TemporaryFolder) async throws {
    var settings = ServerBench.Settings(server, folder: folder.path) { try PipedProcess($0) }
    settings.jobs = jobs
    settings.rounds = rounds
    let bench = ServerBench(settings)
    let facts = try bench.start()
    var (lines, failure) = await measure(ServerBench.workloads) { try await bench.run($0, report: $1) }
    do { try bench.end() } catch { failure = failure ?? error }
    try write(BenchReport(lines, server: facts, rounds: rounds), failure)
  }
  #endif

  /// - Returns: the lines measured so far, and the error that ended the measurement early, if any.
  private func measure(
    _ all: [Workload], _ run: (Workload, (BenchLine) throws -> Void) async throws -> Void
  ) async -> ([BenchLine], (any Error)?) {
    var lines: [BenchLine] = []
    do {
      for workload in workloads.isEmpty ? all : workloads {
        if Progress.isShown { printError("\(workload.rawValue)…") }
        try await run(workload) { lines.append($0) }
      }
      return (lines, nil)
    } catch {
      return (lines, error)
    }
  }

  /// Prints the report, even an incomplete one, before it throws the failure.
  private func write(_ report: BenchReport, _ failure: (any Error)?) throws {
    try Output.write(json ? try report.json() : report.text)
    if let failure { throw failure }
  }
}

/// A child process of a multi-process benchmark.
struct BenchProcess: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench-process", abstract: "Part of a measurement; run by bench.", shouldDisplay: false)

  @Argument var arguments: [String]

  func run() async throws { try await Child.run(arguments) { try Output.line($0) } }
}
