import Qudo
import QudoSQLite
import QudoTesting
import Testing

/// The token decides, wherever the lease was thought to lie.
@Suite struct LeaseTests {
  let file: TemporaryFile
  let clock = ManualClock()
  let driver: SQLiteDriver

  init() throws {
    file = try TemporaryFile()
    driver = try file.open(clock: clock)
  }

  private func claimed() async throws -> Lease {
    _ = try await driver.insert([job()])
    return try #require(try await driver.claim(want()).jobs.first).lease
  }

  @Test func aLeaseAsItWasBeforeAnExtensionIsStillGood() async throws {
    let lease = try await claimed()
    let extended = try #require(try await driver.extend([lease], by: .seconds(90))[0])
    let again = try #require(try await driver.extend([lease], by: .seconds(120))[0])
    #expect(extended.token == lease.token && again.ends - extended.ends == 30_000_000)
    #expect(try await driver.settle([Settlement(lease, .completed())], claiming: nil).results == [.settled()])
    #expect(try await driver.settle([Settlement(again, .completed())], claiming: nil).results == [.leaseLost])
  }

  @Test func anotherTokenOrAnotherJobIsRefused() async throws {
    let lease = try await claimed()
    for forged in [
      Lease(job: lease.job, token: lease.token ^ 1, holder: lease.holder, ends: lease.ends),
      Lease(job: lease.job + 1, token: lease.token, holder: lease.holder, ends: lease.ends),
    ] {
      #expect(try await driver.extend([forged], by: .seconds(1)) == [nil])
      #expect(try await driver.settle([Settlement(forged, .completed())], claiming: nil).results == [.leaseLost])
    }
    #expect(try await driver.count() == [JobCount("a", running: 1)])
  }

  @Test func anExtensionBeyondAllTimeHoldsForEver() async throws {
    let lease = try await claimed()
    #expect(try await driver.extend([lease], by: .seconds(Int64.max))[0]?.ends == .max - 1)
    #expect(try await driver.find(JobQuery()).map(\.leaseEnds) == [.latest])
  }
}
