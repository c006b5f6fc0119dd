internal import ArgumentParser
internal import Qudo
internal import QudoSQLite

struct Demo: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Enqueue and run many small jobs in a temporary file, and check that each ran exactly once.",
    discussion: """
      Prints rates, latencies and the settings they were measured with. The file is removed at the end.

        qudo demo --durability normal
      """)

  @Option(help: "The number of jobs, 1 to 10,000,000.") var jobs = 100_000
  @OptionGroup var durability: DurabilityOption

  func validate() throws {
    guard (1...10_000_000).contains(jobs) else {
      throw ValidationError("--jobs must be from 1 to 10,000,000")
    }
  }

  func run() async throws {
    let folder = try TemporaryFolder("qudo-demo")
    try await folder.use { try await run(in: folder) }
  }

  private func run(in folder: TemporaryFolder) async throws {
    let driver = try SQLiteDriver(path: folder.path("demo.db"), durability: durability.durability)
    let demo = DemoRun(driver: driver, jobs: jobs)
    let enqueueTime = try await demo.enqueueInBulk()
    let (workTime, once) = try await demo.work()
    let singles = try await demo.enqueueLatencies()
    let starts = try await demo.startLatencies()
    let pageSize = try await driver.pageSize()
    await driver.close()
    let rescues = try await DemoRun.rescueLatencies(
      folder.path("rescue.db"), in: folder.path(""), durability.durability)
    let total = Figures.grouped(jobs)
    try Output.write(
      """
      enqueued   \(Figures.rate(jobs, in: enqueueTime)), \(total) jobs, 1,000 to a transaction
      worked     \(Figures.rate(jobs, in: workTime)), \(total) jobs, each claimed, run and settled, \(DemoRun.concurrency) at once
      enqueue    p50 \(Figures.percentile(0.5, of: singles)), p99 \(Figures.percentile(0.99, of: singles)), \
      one job until it is acknowledged, \(Figures.grouped(singles.count)) times
      start      p50 \(Figures.percentile(0.5, of: starts)), p99 \(Figures.percentile(0.99, of: starts)), \
      one job from its enqueue to its run in a waiting worker, \(Figures.grouped(starts.count)) times
      rescue     p50 \(Figures.percentile(0.5, of: rescues)), p99 \(Figures.percentile(0.99, of: rescues)), \
      a job from the SIGKILL of its worker to its run in another process, \(rescues.count) times
      checked    \(once ? "each job ran exactly once" : "NOT each job ran exactly once")
      file       \(Figures.grouped(try folder.size("demo.db") / 1024)) KiB after all jobs are done
      settings   durability \(durability.durability.rawValue), \
      SQLite \(SQLiteDriver.libraryVersion), pages of \(Figures.grouped(pageSize)) bytes

      """)
    if !once { throw CommandError("some jobs did not run exactly once. Please report this as a bug") }
  }
}
