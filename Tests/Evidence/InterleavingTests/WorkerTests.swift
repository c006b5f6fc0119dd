#if QUDO_INTERLEAVINGS
import Evidence
import Qudo
import QudoSQLite
import QudoTesting
import Testing

extension Interleavings {
  /// Workers that are stopped at any moment.
  @Suite(.enabled(if: Evidence.isAsked)) struct WorkerTests {
    @Test func noJobRunsTwiceAtOnceAndAllRun() async throws {
      await interleavings("workers that are stopped", "runs", seeds: 20) { seed, random in
        let (file, clock) = (try JobFile(), ManualClock())
        let (driver, other) = (try file.open(clock), try file.open(clock))
        let limit = random.number(1...3)
        let options = options(clock, &random)
        let runs = Runs(concurrency: options.concurrency, limits: ["b": limit])
        let worker = try Worker(
          try queue(driver, clock, &random),
          handlers: ["a", "b"].map { handler($0, runs, clock, seed, limit: $0 == "b" ? limit : nil) },
          options: options)
        let time = Time(clock, step: .milliseconds(200), seed: seed)

        let names = (0..<random.number(10...40)).map { "\($0)" }
        let first = Task { try await worker.work() }
        runs.at(random.number(1...names.count)) { first.cancel() }
        await withTaskGroup(of: Void.self) { group in
          for (index, name) in names.enumerated() {
            let (driver, pause) = (index % 3 == 0 ? other : driver, random.number(0...20))
            group.addTask {
              await giveWay(pause)
              _ = try? await driver.insert([job(name, index % 2 == 0 ? "a" : "b")])
            }
          }
        }
        // If no run came to the mark.
        await giveWay(random.number(0...200))
        first.cancel()
        let summary = try await first.value
        guard runs.running.isEmpty else { throw Wrong("a worker returned, and \(runs.running) still run") }
        let left = try await other.count()
        guard left.allSatisfy({ $0.running == 0 }) else {
          throw Wrong("a worker returned, and did not give back: \(left)")
        }
        let second = try await worker.workUntilEmpty()
        try runs.check()
        guard summary.leaseLost + second.leaseLost == 0 else {
          throw Wrong("leases were lost: \(summary), \(second)")
        }
        let completed = runs.completed
        guard names.allSatisfy({ completed[$0] == 1 }) else {
          throw Wrong("not each job was completed once: \(completed)")
        }
        let rest = try await other.count()
        guard rest.isEmpty else { throw Wrong("jobs are left: \(rest)") }
        await time.stop()
        await driver.close()
        await other.close()
        return runs.began.values.reduce(0, +)
      }
    }

    private func options(_ clock: ManualClock, _ random: inout Seeded) -> WorkerOptions {
      var options = WorkerOptions()
      options.concurrency = random.number(1...6)
      options.maxPrefetch = random.once(in: 3) ? 0 : random.number(1...20)
      options.prefetchWindow = .milliseconds(random.number(0...2000))
      options.shutdownGracePeriod = .milliseconds(random.number(0...3000))
      // A run that does not heed its cancellation is not given up: it would continue alongside the next one.
      options.cancellationGracePeriod = .seconds(100_000)
      options.pollInterval = .milliseconds(random.number(1...5000))
      options.clock = clock
      options.logger = quiet
      return options
    }

    /// The driver alone, or as one of several databases would be worked on.
    private func queue(_ driver: SQLiteDriver, _ clock: ManualClock, _ random: inout Seeded) throws -> Queue<
      NoHooks
    > {
      guard random.once(in: 2) else { return Queue(driver) }
      var options = DatabaseOptions()
      options.clock = clock
      options.logger = quiet
      options.callTimeout = .seconds(100_000)
      return Queue(try Databases([Databases.Source(driver)], options: options))
    }

    /// Some runs take a while, some fail and are tried again, some leave another job.
    private func handler(_ kind: Kind, _ runs: Runs, _ clock: ManualClock, _ seed: UInt64, limit: Int?)
      -> JobHandler
    {
      let policy = JobPolicy(
        maxRetries: 1000, retryDelay: .fixed(.zero), leaseDuration: .seconds(100_000), maxConcurrency: limit)
      return JobHandler(kind, policy: policy) { context in
        let name = context.payload.name
        var random = Seeded(
          seed: name.utf8.reduce(seed) { $0 &* 31 &+ UInt64($1) } &+ UInt64(context.attempt) << 32)
        runs.begin(name, kind)
        do {
          await giveWay(random.number(0...10))
          if random.once(in: 4) {
            try await clock.sleep(untilSinceBoot: clock.sinceBoot() + Int64(random.number(0...2_000_000)))
          }
          if random.once(in: 6) { throw Wrong("again") }
        } catch {
          runs.end(name, kind, completes: false)
          throw error
        }
        runs.end(name, kind, completes: true)
      }
    }
  }
}
#endif
