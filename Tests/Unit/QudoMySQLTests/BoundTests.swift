#if MySQL
import MariaDBServer
@testable import QudoMySQL
import Qudo
import Testing

/// The bounds that claims begin at, on a real server: what appears below them is found.
@Suite struct BoundTests {
  private let one = ClaimRequest([.init("a", leaseDuration: .seconds(3600))], limit: 1)

  /// A driver whose claims are bounded, with 30 jobs of which it has claimed 10. No bound expires before ``expire(_:)``.
  private func bounded(_ database: TestDatabase) async throws -> MySQLDriver {
    let driver = try database.driver()
    _ = try await driver.insert((0..<30).map { NewJob("a", payload: Payload("\($0)")) })
    driver.pool.access.cursors.withLock { cursors in
      cursors = ScanCursors(slow: .seconds(3600), leastWalk: .zero, trust: .zero)
      cursors.turnOn(.now)
    }
    let claimed = try await driver.claim(ClaimRequest([.init("a", leaseDuration: .seconds(3600))], limit: 10))
      .jobs
    #expect(claimed.map(\.id) == Array(1...10))
    keep(driver)
    return driver
  }

  /// As if no time went by from now on.
  private func keep(_ driver: MySQLDriver) {
    driver.pool.access.cursors.withLock { $0.turnOn(.now + .seconds(3600)) }
  }

  /// As if time went by.
  private func expire(_ driver: MySQLDriver) {
    driver.pool.access.cursors.withLock { $0.turnOn(.now - .seconds(1)) }
  }

  private func claim(_ driver: MySQLDriver) async throws -> Int64? {
    try await driver.claim(one).jobs.first?.id
  }

  /// The server hung while another process enqueued it.
  @Test("A job that is committed late is claimed when the bound expires")
  func jobCommittedLateIsClaimed() async throws {
    let database = try await TestDatabase()
    let driver = try await bounded(database)
    let late = try database.connection(commits: false)
    try late.run([
      "INSERT INTO qudo_job(id, kind, ranking, due, enqueued, payload) VALUES(1000, 1, 0, 5, 5, ''), (1001, 1, 0, 6, 5, '')",
      "INSERT INTO qudo_ready(kind, ranking, due, id, flags) VALUES(1, 0, 5, 1000, 0), (1, 0, 6, 1001, 0)",
    ])
    expire(driver)
    #expect(try await claim(driver) == 11, "it is not there yet")
    keep(driver)
    try late.run("COMMIT")
    #expect(try await claim(driver) == 12, "the bound holds")
    expire(driver)
    #expect(try await claim(driver) == 1000)
    #expect(try await claim(driver) == 1001, "and what comes after it")
    #expect(try await claim(driver) == 13)
    await driver.close()
    try await database.drop()
  }

  @Test("A job that another session had locked is claimed when the bound expires")
  func jobLockedByASessionIsClaimedLater() async throws {
    let database = try await TestDatabase()
    let driver = try await bounded(database)
    let other = try database.connection(commits: false)
    try other.run("SELECT id FROM qudo_ready WHERE id IN (11, 12) FOR UPDATE")
    #expect(try await claim(driver) == 13)
    expire(driver)
    #expect(try await claim(driver) == 14, "it is still locked")
    try other.run("ROLLBACK")
    expire(driver)
    #expect(try await driver.claim(ClaimRequest([.init("a")], limit: 3)).jobs.map(\.id) == [11, 12, 15])
    await driver.close()
    try await database.drop()
  }

  @Test("Leases and delayed jobs below the bounds are found, too")
  func leasesBelowTheBoundsAreFound() async throws {
    let database = try await TestDatabase()
    let (driver, other) = (try await bounded(database), try database.driver())
    #expect(try await claim(driver) == 11)
    let late = try database.connection(commits: false)
    try late.run([
      "INSERT INTO qudo_job(id, kind, ranking, due, enqueued, payload) VALUES(1000, 1, 0, 5, 5, ''), (1001, 1, 0, 6, 5, '')",
      "INSERT INTO qudo_running(id, ends, token, kind, ranking, due, lost_limit) VALUES(1000, 7, 2, 1, 0, 5, 9)",
      "INSERT INTO qudo_delayed(kind, ranking, due, id, flags) VALUES(1, 0, 6, 1001, 0)", "COMMIT",
    ])
    #expect(try await claim(driver) == 12, "the bounds hold")
    expire(driver)
    #expect(try await claim(driver) == 1000)
    #expect(try await claim(driver) == 1001)
    // Another process's lease may be shorter than those that are known.
    _ = try await other.claim(ClaimRequest([.init("a", leaseDuration: .seconds(30))], limit: 1))
    expire(driver)
    let next = try await driver.claim(one).timeUntilNextLeaseExpiry
    #expect(next.map { $0 <= .seconds(30) } == true)
    for one in [driver, other] { await one.close() }
    try await database.drop()
  }

  @Test("a job that is changed or recovered below the bound is claimed at once") func changed() async throws {
    let database = try await TestDatabase()
    let driver = try await bounded(database)
    #expect(try await driver.change([20], JobChange(priority: 1)) == [.changed])
    #expect(try await claim(driver) == 20)
    #expect(try await driver.recover([3]) == [.recovered])
    #expect(try await claim(driver) == 3)
    #expect(try await driver.change([25], JobChange(due: .at(Timestamp(microseconds: 1)))) == [.changed])
    #expect(try await claim(driver) == 25)
    #expect(try await claim(driver) == 11)
    await driver.close()
    try await database.drop()
  }

  @Test func aClaimThatFindsNothingLooksBelowAtOnce() async throws {
    let database = try await TestDatabase()
    let driver = try await bounded(database)
    #expect(
      try await driver.claim(ClaimRequest([.init("a", leaseDuration: .seconds(3600))], limit: 20)).jobs.count
        == 20)
    let other = try database.driver()
    _ = try await other.insert([NewJob("a", priority: 9)])
    #expect(try await driver.claim(ClaimRequest([.init("a")], limit: 5)).jobs.map(\.priority) == [9])
    for one in [driver, other] { await one.close() }
    try await database.drop()
  }

  /// What a claim took that was rolled back lies below no bound.
  @Test func aClaimThatIsRolledBackRaisesNoBound() async throws {
    let database = try await TestDatabase()
    let driver = try await bounded(database)
    try await database.server.query(
      "CREATE TRIGGER stop BEFORE INSERT ON qudo_running FOR EACH ROW SIGNAL SQLSTATE '45000'",
      in: database.name)
    await #expect(throws: QudoError.self) { try await driver.claim(one) }
    try await database.server.query("DROP TRIGGER stop", in: database.name)
    #expect(try await claim(driver) == 11)
    await driver.close()
    try await database.drop()
  }

  /// What lies before the bound is read from the index's own place.
  @Test func theBoundIsLookedUpInTheIndex() async throws {
    let database = try await TestDatabase()
    let driver = try database.driver()
    _ = try await driver.insert((0..<3000).map { NewJob("a", payload: Payload("\($0)")) })
    let connection = try database.connection()
    let row = try #require(
      try connection.run("SELECT ranking, due, id FROM qudo_ready ORDER BY id LIMIT 1 OFFSET 1000").rows?
        .next())
    let key = ScanCursors.Key(ranking: row.integer(0), due: row.integer(1), id: row.integer(2))
    var cursors = ScanCursors(slow: .zero)
    for _ in 0..<2 {
      cursors.claimed(
        from: cursors.view(.now), took: .seconds(1), look: nil, due: 100, ends: 100, last: [1: key], .now)
    }
    let view = cursors.view(.now)
    let kind = ClaimableKind(demand: .init("a"), number: 1)
    let sql = try #require(ClaimReading.ready([kind], 10, from: view))
    try connection.run("ANALYZE TABLE qudo_ready")
    let plan = try #require(try connection.run("EXPLAIN \(sql)").rows?.next())
    #expect(plan.text(3) == "range")
    #expect(plan.text(6) == "28", "all four columns are looked up")
    #expect(!plan.text(9).contains("filesort"))
    for statement in ScanCursors.Look.statements(view, [kind]).dropFirst() {
      for plan in try #require(try connection.run("EXPLAIN \(statement)").rows).map({ $0.text(9) }) {
        #expect(!plan.contains("filesort"))
      }
    }
    await driver.close()
    try await database.drop()
  }
}
#endif
