public import ArgumentParser
internal import Qudo
public import QudoBench
internal import QudoSQLite

extension Workload: ExpressibleByArgument {}

struct BenchCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Measure Qudo against raw SQLite on this disk.",
    discussion: """
      Each workload runs through the library's public interface and, in turns with it, as a floor: prepared statements of raw \
      SQLite that do the least. The reference floor is the plain design (one table, one partial index, SQLite's own page size \
      and checkpoints); the best floor has every setting and shape that was found to win. Payloads are of 100 bytes, files are \
      new. Rates are medians of the rounds; a ratio is Qudo's figure by the floor's, with its least and its highest.

      All workloads take under ten minutes. Measure on a quiet machine.

        qudo bench enqueue-one drain --durability full --rounds 5
      """)

  @Argument(help: "Which workloads: \(Workload.allCases.map(\.rawValue).joined(separator: ", ")). All by default.")
  var workloads: [Workload] = []
  @Option(help: "full, normal or off; may be given several times. Default: full and normal.")
  var durability: [SQLiteDriver.Durability] = []
  @Option(help: "How many jobs each measurement is made of; each workload has its own number.") var jobs: Int?
  @Option(help: "How often each is measured, 1 to 100.") var rounds = 3
  @Flag(help: "Measure 10,000,000 waiting jobs too, and soak for 10 minutes.") var long = false
  @Option(help: "The folder on the disk to measure, in which a temporary one is made.") var folder = "."
  @Flag(help: "Print JSON.") var json = false

  func validate() throws {
    guard (1...100).contains(rounds) else { throw ValidationError("--rounds must be from 1 to 100") }
    guard (1000...100_000_000).contains(jobs ?? 1000) else { throw ValidationError("--jobs must be from 1,000 to 100,000,000") }
  }

  func run() async throws {
    let temporary = try TemporaryFolder(in: folder, "qudo-bench")
    try await temporary.use { try await run(in: temporary) }
  }

  private func run(in folder: TemporaryFolder) async throws {
    var settings = Bench.Settings(folder: folder.path) { try PipedProcess($0) }
    if !durability.isEmpty { settings.durabilities = durability }
    settings.jobs = jobs
    settings.rounds = rounds
    settings.isLong = long
    let syncs = try Disk.syncRate(in: folder.path)
    var lines: [BenchLine] = []
    var failure: (any Error)?
    do {
      for workload in workloads.isEmpty ? Workload.allCases : workloads {
        if Progress.isShown { complain("\(workload.rawValue)…") }
        try await Bench(settings).run([workload]) { lines.append($0) }
      }
    } catch {
      // What was measured before it is worth reading all the same.
      failure = error
    }
    let report = BenchReport(lines: lines, settings: settings, syncs: syncs)
    try Output.write(json ? try report.json() : report.text)
    if let failure { throw failure }
  }
}

/// One of several processes of a measurement.
struct BenchProcess: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench-process", abstract: "Part of a measurement; run by bench.", shouldDisplay: false)

  @Argument var arguments: [String]

  func run() async throws { try await Child.run(arguments) { try Output.line($0) } }
}
