#if MySQL
import MariaDBServer
@testable import QudoMySQL
import Qudo
import Testing

/// What busy claims leave out for a moment: the marks of cancelled jobs, and the expiries of waiting ones.
@Suite struct TrustTests {
  private let one = ClaimRequest([.init("a", leaseDuration: .seconds(3600))], limit: 1)

  /// A driver whose next claim trusts that there are neither marks nor expiries, until ``end(_:)``.
  private func trusting(_ database: TestDatabase, jobs: Int = 20) async throws -> (MySQLDriver, Lease) {
    let driver = try database.driver()
    _ = try await driver.insert((0..<jobs).map { NewJob("a", payload: Payload("\($0)")) })
    driver.pool.access.cursors.withLock { $0 = ScanCursors(slow: .seconds(3600), trust: .seconds(3600)) }
    let first = try await driver.claim(one).jobs
    return (driver, try #require(first.first).lease)
  }

  private func trusts(_ driver: MySQLDriver) -> Bool {
    driver.pool.access.cursors.withLock { $0.view(.now).trustsNoEndsUntil != nil }
  }

  /// As if time went by.
  private func end(_ driver: MySQLDriver) {
    driver.pool.access.cursors.withLock { $0.asked(findsEnds: false, .now - .seconds(7200)) }
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
}
#endif
