#if QUDO_INTERLEAVINGS
import Evidence
import Qudo
import QudoSQLite
import QudoTesting
import Testing

extension Interleavings {
  /// Group commit, the reader alongside it, and closing.
  @Suite(.enabled(if: Evidence.isAsked)) struct CallersTests {
    @Test func eachCallerIsAnsweredOnceAndToldTheTruth() async throws {
      await interleavings("callers of one driver", "calls", seeds: 60) { seed, random in
        let (file, clock, ledger) = (try JobFile(), ManualClock(), Ledger())
        let driver = try file.open(clock, random.once(in: 3) ? .full : .normal)
        let closesAfter = random.once(in: 3) ? Int.max : random.number(0...90)
        await Caller.run(
          (0..<8).map { Caller($0, driver, ledger, closesAfter: closesAfter, seed: seed) }, calls: 12)
        await driver.close()
        let fresh = try file.open(clock)
        try ledger.check(try await fresh.jobs(matching: JobQuery(limit: 10_000)), heldState: .ready)
        await fresh.close()
        return ledger.calls
      }
    }

    @Test func nobodyIsOverlookedWhenAllComeAtOnce() async throws {
      await interleavings("waves of callers of one driver", "calls", seeds: 20) { _, random in
        let file = try JobFile()
        let driver = try file.open(ManualClock())
        let calls = try await Waves.run(driver, 40, &random)
        await driver.close()
        return calls
      }
    }

    @Test func twoDriversOfOneFileTakeTurns() async throws {
      await interleavings("callers of two drivers of one file", "calls", seeds: 30) { seed, random in
        let (file, clock, ledger) = (try JobFile(), ManualClock(), Ledger())
        let drivers = [try file.open(clock), try file.open(clock)]
        await Caller.run(
          (0..<8).map { Caller($0, drivers[$0 % 2], ledger, closesAfter: .max, seed: seed) }, calls: 12)
        for driver in drivers { await driver.close() }
        let fresh = try file.open(clock)
        try ledger.check(try await fresh.jobs(matching: JobQuery(limit: 10_000)), heldState: .ready)
        await fresh.close()
        return ledger.calls
      }
    }
  }
}
#endif
