#if MySQL
import MariaDBServer
@testable import QudoMySQL
import Qudo
import Testing

/// What busy claims leave out for a moment: marks of cancelled jobs, expiries of waiting ones, due times of delayed ones, and leases.
@Suite struct TrustTests {
  private let one = ClaimRequest([.init("a", leaseDuration: .seconds(3600))], limit: 1)

  /// A driver whose next claim trusts that there is nothing but ready jobs, until ``end(_:)``.
  private func trusting(_ database: TestDatabase, jobs: Int = 20) async throws -> (MySQLDriver, Lease) {
    let driver = try database.driver()
    _ = try await driver.insert((0..<jobs).map { NewJob("a", payload: Payload("\($0)")) })
    driver.pool.access.cursors.withLock { $0 = ScanCursors(slow: .seconds(3600), trust: .seconds(3600)) }
    let first = try await driver.claim(one).jobs
    return (driver, try #require(first.first).lease)
  }

  private func trusts(_ driver: MySQLDriver) -> Bool {
    driver.pool.access.cursors.withLock { $0.view(.now).trust != nil }
  }

  /// As if time went by.
  private func end(_ driver: MySQLDriver) {
    driver.pool.access.cursors.withLock { cursors in
      var entries = ScanCursors.Entries()
      entries.endTrust = true
      cursors.entered(entries)
    }
  }

  @Test("a busy claim hears of a cancel of another process when its trust ends") func cancelElsewhere()
    async throws
  {
    let database = try await TestDatabase()
    let (driver, lease) = try await trusting(database)
    let other = try database.driver()
    #expect(try await other.cancel([lease.job], reason: nil) == [.cancelling])
    #expect(trusts(driver))
    let claim = try await driver.claim(one)
    #expect(claim.jobs.map(\.id) == [2])
    #expect(claim.cancelling == [], "it trusts")
    #expect(try #require(claim.timeUntilNextDue) <= .seconds(3600), "and looks again then")
    end(driver)
    #expect(try await driver.claim(one).cancelling == [lease.job])
    #expect(!trusts(driver), "there are marks")
    await driver.close()
    await other.close()
    try await database.drop()
  }

  @Test("a busy claim hears of its own driver's cancel at once") func cancelHere() async throws {
    let database = try await TestDatabase()
    let (driver, lease) = try await trusting(database)
    #expect(trusts(driver))
    #expect(try await driver.cancel([lease.job], reason: nil) == [.cancelling])
    #expect(!trusts(driver))
    #expect(try await driver.claim(one).cancelling == [lease.job])
    await driver.close()
    try await database.drop()
  }

  @Test("a claim that finds fewer jobs than it wants asks for marks and expiries") func fewer() async throws {
    let database = try await TestDatabase()
    let (driver, lease) = try await trusting(database, jobs: 4)
    let other = try database.driver()
    #expect(try await other.cancel([lease.job], reason: nil) == [.cancelling])
    let late = try await other.insert([NewJob("b", expires: .after(.microseconds(1)))])[0].id
    let claim = try await driver.claim(ClaimRequest([.init("a", leaseDuration: .seconds(3600))], limit: 8))
    #expect(claim.jobs.map(\.id) == [2, 3, 4])
    #expect(claim.cancelling == [lease.job])
    #expect(claim.givenUp.map(\.id) == [late])
    await driver.close()
    await other.close()
    try await database.drop()
  }

  @Test("a job that has expired does not begin, and ends, whatever the claim trusts") func expired()
    async throws
  {
    let database = try await TestDatabase()
    let (driver, _) = try await trusting(database, jobs: 3)
    let other = try database.driver()
    let late = try await other.insert([NewJob("a", priority: 1, expires: .after(.microseconds(1)))])[0].id
    #expect(trusts(driver))
    let claim = try await driver.claim(one)
    #expect(claim.jobs.map(\.id) == [2])
    #expect(claim.givenUp.map(\.id) == [late])
    await driver.close()
    await other.close()
    try await database.drop()
  }

  @Test("a busy claim sees a delayed job of another process that is due when its trust ends")
  func dueElsewhere()
    async throws
  {
    let database = try await TestDatabase()
    let (driver, _) = try await trusting(database)
    let other = try database.driver()
    let due = try await other.insert([NewJob("a", priority: 1, due: .after(.microseconds(1)))])[0].id
    #expect(trusts(driver))
    let claim = try await driver.claim(one)
    #expect(claim.jobs.map(\.id) == [2], "it trusts")
    #expect(try #require(claim.timeUntilNextDue) <= .seconds(3600), "and looks again then")
    end(driver)
    #expect(try await driver.claim(one).jobs.map(\.id) == [due])
    await driver.close()
    await other.close()
    try await database.drop()
  }

  @Test("a busy claim sees a delayed job of its own driver at once") func dueHere() async throws {
    let database = try await TestDatabase()
    let (driver, _) = try await trusting(database)
    let due = try await driver.insert([NewJob("a", priority: 1, due: .after(.microseconds(1)))])[0].id
    #expect(!trusts(driver))
    #expect(try await driver.claim(one).jobs.map(\.id) == [due])
    await driver.close()
    try await database.drop()
  }

  @Test("nothing is trusted for longer than until a delayed job is due") func soonDue() async throws {
    let database = try await TestDatabase()
    let (driver, _) = try await trusting(database)
    #expect(trusts(driver))
    _ = try await driver.insert([NewJob("b", due: .after(.seconds(1800)))])
    _ = try await driver.claim(one)
    #expect(!trusts(driver), "a delayed job is due before")
    await driver.close()
    try await database.drop()
  }

  @Test("nothing is trusted for longer than until the lease of another process expires") func soonExpired()
    async throws
  {
    let database = try await TestDatabase()
    let other = try database.driver()
    _ = try await other.insert([NewJob("b")])
    #expect(
      try await other.claim(ClaimRequest([.init("b", leaseDuration: .seconds(1800))], limit: 1)).jobs.count
        == 1)
    let (driver, _) = try await trusting(database)
    #expect(!trusts(driver))
    await driver.close()
    await other.close()
    try await database.drop()
  }

  @Test("a busy claim that trusts knows the leases of its own driver") func leases() async throws {
    let database = try await TestDatabase()
    let (driver, _) = try await trusting(database)
    _ = try await driver.insert([NewJob("b")])
    let short = ClaimRequest([.init("b", leaseDuration: .seconds(60))], limit: 1)
    #expect(try await driver.claim(short).jobs.count == 1)
    #expect(trusts(driver))
    let claim = try await driver.claim(one)
    #expect(claim.jobs.map(\.id) == [2])
    #expect(try #require(claim.timeUntilNextLeaseExpiry) <= .seconds(60))
    await driver.close()
    try await database.drop()
  }
}
#endif
