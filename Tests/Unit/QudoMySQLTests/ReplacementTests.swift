#if MySQL
import MariaDBServer
@testable import QudoMySQL
import Qudo
import Testing

/// Tables that are dropped, restored or replaced under running drivers.
@Suite struct ReplacementTests {
  private let want = ClaimRequest([.init("a"), .init("b")], limit: 10)

  private func code(_ driver: MySQLDriver, _ kind: Kind = "a") async -> QudoError.Code? {
    do throws(QudoError) {
      _ = try await driver.insert([NewJob(kind)])
      return nil
    } catch {
      return error.code
    }
  }

  private func tables(_ database: TestDatabase) async throws -> [String] {
    try await database.server.query("SHOW TABLES LIKE 'qudo%'", in: database.name)
  }

  private func drop(_ database: TestDatabase) async throws {
    try await database.server.query(
      "DROP TABLE \(try await tables(database).joined(separator: ", "))", in: database.name)
  }

  @Test("tables that are missing are waited for, and made anew they are another database") func madeAnew()
    async throws
  {
    let database = try await TestDatabase()
    let driver = try database.driver()
    #expect(driver.generation.isEmpty)
    #expect(await code(driver) == nil)
    #expect(driver.generation.count == 16)
    try await drop(database)
    for _ in 0..<3 { #expect(await code(driver) == .unreachable) }
    await #expect(throws: QudoError.self) { try await driver.claim(want) }
    #expect(try await tables(database).isEmpty, "a restore may be under way")
    let other = try database.driver()
    #expect(await code(other, "b") == nil)
    #expect(other.generation.count == 16 && other.generation != driver.generation)
    for _ in 0..<3 { #expect(await code(driver) == .databaseReplaced) }
    let error = await #expect(throws: QudoError.self) { try await driver.claim(want) }
    #expect(error?.code == .databaseReplaced)
    #expect(await code(other, "b") == nil)
    #expect(try await other.count() == [JobCount("b", ready: 2)])
    for driver in [driver, other] { await driver.close() }
    try await database.drop()
  }

  @Test("a dump that is restored is waited for, and its kinds are read again") func restored() async throws {
    let database = try await TestDatabase()
    let (driver, other) = (try database.driver(), try database.driver())
    for driver in [driver, other] { #expect(await code(driver) == nil) }
    let dump = try await database.server.dump(database.name)
    // Its number goes to another kind after the restore.
    #expect(await code(driver, "c") == nil)
    try await drop(database)
    for driver in [driver, other] { #expect(await code(driver) == .unreachable) }
    try await database.server.query(dump, in: database.name)
    #expect(await code(other, "b") == nil)
    #expect(await code(driver, "c") == nil)
    #expect(driver.generation == other.generation)
    let counts = try await driver.count().sorted { $0.kind < $1.kind }
    #expect(counts == [JobCount("a", ready: 2), JobCount("b", ready: 1), JobCount("c", ready: 1)])
    // An operator may say that it is another one.
    try await drop(database)
    #expect(await code(driver) == .unreachable)
    try await database.server.query(
      "\(dump); UPDATE qudo_info SET value = UNHEX(MD5(UUID())) WHERE name = 'generation'", in: database.name)
    #expect(await code(driver) == .databaseReplaced)
    let third = try database.driver()
    #expect(await code(third) == nil)
    for driver in [driver, other, third] { await driver.close() }
    try await database.drop()
  }

  @Test("a driver that does nothing during a restore reads the kinds again") func restoredMeanwhile()
    async throws
  {
    let database = try await TestDatabase()
    let driver = try database.driver(trustsIdle: .zero)
    let other = try database.driver()
    for driver in [driver, other] { #expect(await code(driver) == nil) }
    let dump = try await database.server.dump(database.name)
    // Its number goes to another kind after the restore.
    #expect(await code(driver, "b") == nil)
    // The server tells the time of a creation in seconds.
    let isLater =
      "SELECT NOW() > MAX(CREATE_TIME) FROM information_schema.TABLES WHERE TABLE_SCHEMA = '\(database.name)'"
    try await database.server.wait(for: isLater) { $0 == ["1"] }
    try await drop(database)
    try await database.server.query(dump, in: database.name)
    let third = try database.driver()
    #expect(await code(third, "c") == nil)
    #expect(await code(driver, "b") == nil)
    #expect(try await driver.count(["b"]) == [JobCount("b", ready: 1)])
    #expect(try await driver.count(["c"]) == [JobCount("c", ready: 1)])
    for driver in [driver, other, third] { await driver.close() }
    try await database.drop()
  }

  @Test("a connection that was not used for a while is checked, in one round trip") func idle() async throws {
    let database = try await TestDatabase()
    let checking = try database.driver(options: "pool=1", trustsIdle: .zero)
    let trusting = try database.driver(options: "pool=1", trustsIdle: .seconds(3600))
    #expect(await code(checking) == nil)
    #expect(await code(trusting) == nil)
    var trips: [Int] = []
    for driver in [checking, trusting] {
      let before = driver.roundTrips
      #expect(try await driver.count() == [JobCount("a", ready: 2)])
      try await driver.connect()
      trips.append(driver.roundTrips - before)
    }
    // Both calls take a connection.
    #expect(trips[0] - trips[1] == 2)
    try await drop(database)
    try await database.server.query(MySQLDriver.schemaSQL, in: database.name)
    #expect(await code(checking) == .databaseReplaced)
    #expect(try await database.server.query("SELECT COUNT(*) FROM qudo_job", in: database.name) == ["0"])
    for driver in [checking, trusting] { await driver.close() }
    try await database.drop()
  }

  @Test("processes of one database have one generation") func generation() async throws {
    let (one, two) = (try await TestDatabase(), try await TestDatabase())
    let drivers = [try one.driver(), try one.driver(), try two.driver()]
    for driver in drivers { try await driver.connect() }
    #expect(drivers[0].generation == drivers[1].generation && drivers[0].generation != drivers[2].generation)
    for driver in drivers { await driver.close() }
    for database in [one, two] { try await database.drop() }
  }
}
#endif
