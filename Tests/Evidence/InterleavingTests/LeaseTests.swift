#if QUDO_INTERLEAVINGS
import Evidence
import Qudo
import QudoSQLite
import QudoTesting
import Testing

extension Interleavings {
  /// Two workers on one file. Time goes on to the next moment that one of them waits for, no further.
  @Suite(.enabled(if: Evidence.isAsked)) struct LeaseTests {
    @Test func noHealthyWorkerLosesALease() async throws {
      await interleavings("renewal of leases", "steps of time", seeds: 30) { seed, random in
        let (file, clock, runs) = (try JobFile(), ManualClock(), Runs())
        let drivers = [try file.open(clock), try file.open(clock)]
        let lease = Duration.milliseconds(random.number(1000...10_000))
        let works = try drivers.map { driver in
          var options = WorkerOptions()
          options.concurrency = random.number(1...4)
          options.pollInterval = .milliseconds(random.number(100...5000))
          // What gets no turn is given back after a while, and is claimed again by whoever comes.
          options.clock = clock
          options.logger = quiet
          let handler = JobHandler("a", policy: JobPolicy(leaseDuration: lease)) { context in
            runs.begin(context.payload.name)
            await runs.hold()
            runs.end(context.payload.name, completes: true)
          }
          let worker = try Worker(Queue(driver), handlers: [handler], options: options)
          return Task { try await worker.work() }
        }
        runs.close()
        let count = random.number(2...12)
        var steps = 0
        for index in 0..<count { _ = try await drivers[index % 2].insert([job("\(index)")]) }
        for _ in 0..<random.number(20...40) {
          if random.once(in: 4) {
            runs.open()
            runs.close()
          }
          await clock.sleepers(atLeast: 2)
          let left = max(0, (clock.nextWake ?? 0) - clock.sinceBoot())
          clock.advance(by: .microseconds(random.once(in: 3) ? Int(left) / 2 : Int(left)))
          steps += 1
        }
        runs.open()
        for work in works { work.cancel() }
        for work in works {
          let summary = try await work.value
          guard summary.leaseLost == 0 else {
            throw Wrong("a healthy worker lost a leaseDuration: \(summary)")
          }
        }
        try runs.check()
        let again = runs.began.filter { $0.value > 1 }
        guard again.isEmpty else { throw Wrong("jobs of healthy workers ran again: \(again)") }
        let left = try await drivers[0].count()
        guard left.allSatisfy({ $0.running == 0 }) else { throw Wrong("leases were not given back: \(left)") }
        for driver in drivers { await driver.close() }
        return steps
      }
    }
  }
}
#endif
