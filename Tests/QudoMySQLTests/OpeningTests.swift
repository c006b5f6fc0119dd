#if MySQL
import MariaDBServer
@testable import QudoMySQL
import Qudo
import Testing

/// Who may use which database of which server, and what others are told.
@Suite struct OpeningTests {
  private func code(_ driver: MySQLDriver) async -> QudoError.Code? { await error(driver)?.code }

  private func error(_ driver: MySQLDriver) async -> QudoError? {
    defer { Task { await driver.close() } }
    do {
      try await driver.connect()
      return nil
    } catch {
      return error
    }
  }

  @Test func aDriverWhoseServerIsDownCanBeHeldAndHasItsName() async throws {
    let server = try await MariaDBServer.start()
    let database = try await TestDatabase(on: server)
    server.kill()
    let driver = try database.driver()
    #expect(driver.name == "127.0.0.1:\(server.port)/\(database.name)")
    #expect(driver.capabilities == [.durable, .severalProcesses, .wakesOtherProcesses, .remote])
    await #expect(throws: QudoError.self) { try await driver.insert([NewJob("a")]) }
    let error = try #require(await error(try database.driver()))
    #expect(error.code == .unreachable)
    try await server.start()
    #expect(try await driver.insert([NewJob("a")]) == [.inserted(1)])
    #expect(driver.capabilities == [.durable, .severalProcesses, .wakesOtherProcesses, .survivesPowerLoss, .remote])
    await driver.close()
  }

  @Test func aWrongPasswordIsToldWithoutIt() async throws {
    let database = try await TestDatabase()
    let error = try #require(await error(try database.driver(password: "wr0ng/secret")))
    #expect(error.code == .accessDenied)
    #expect(!"\(error)".contains("secret"))
    #expect(await code(try database.driver(user: "nobody")) == .accessDenied)
    try await database.drop()
  }

  @Test func aDatabaseThatIsNotThereIsNotMade() async throws {
    let database = try await TestDatabase()
    try await database.drop()
    #expect(await code(try database.driver()) == .cannotOpen)
    #expect(try await database.server.query("SHOW DATABASES LIKE '\(database.name)'").isEmpty)
  }

  @Test func aUserWithoutTheRightToMakeTablesIsToldSo() async throws {
    let database = try await TestDatabase()
    let user = "u_\(database.name)"
    try await database.server.query("""
      CREATE USER \(user)@'%' IDENTIFIED BY 'pw'; GRANT SELECT, INSERT, UPDATE, DELETE ON \(database.name).* TO \(user)@'%';
      """)
    #expect(await code(try database.driver(user: user, password: "pw")) == .accessDenied)
    // Somebody else makes them, and then these rights do.
    try await database.server.query(MySQLDriver.schemaSQL, in: database.name)
    let driver = try database.driver(user: user, password: "pw")
    _ = try await driver.insert([NewJob("a")])
    let claim = try await driver.claim(ClaimRequest([.init("a")], limit: 1))
    #expect(try await driver.settle([Settlement(claim.jobs[0].lease, .failed(message: ""))], claiming: nil).results == [.settled()])
    await driver.close()
    try await database.drop()
  }

  @Test func aReadOnlyServerIsToldAsSuch() async throws {
    let server = try await MariaDBServer.start()
    let database = try await TestDatabase(on: server)
    try await server.query("CREATE USER app@'%' IDENTIFIED BY 'pw'; GRANT ALL ON \(database.name).* TO app@'%'; SET GLOBAL read_only = 1")
    let driver = try database.driver(user: "app", password: "pw")
    #expect(await code(try database.driver(user: "app", password: "pw")) == .unreachable)
    try await server.query("SET GLOBAL read_only = 0")
    _ = try await driver.insert([NewJob("a")])
    try await server.query("SET GLOBAL read_only = 1")
    let error = await #expect(throws: QudoError.self) { try await driver.insert([NewJob("a")]) }
    #expect(error?.code == .unreachable)
    #expect(try await driver.count() == [JobCount("a", ready: 1)])
    await driver.close()
  }

  @Test func settingsThatLoseOnAPowerCutAreToldAndNotDeclared() async throws {
    let server = try await MariaDBServer.start(["--innodb-flush-log-at-trx-commit=2"])
    let driver = try await TestDatabase(on: server).driver()
    let facts = try await driver.connect()
    #expect(facts.isMariaDB)
    #expect(facts.losesOnPowerCut == ["innodb_flush_log_at_trx_commit is 2: set it to 1"])
    #expect(driver.capabilities == [.durable, .severalProcesses, .wakesOtherProcesses, .remote])
    await driver.close()
  }

  @Test func aPayloadThatTheServerDoesNotTakeIsRefusedAndBatchesAreSplit() async throws {
    let server = try await MariaDBServer.start(["--max-allowed-packet=64K"])
    let driver = try await TestDatabase(on: server).driver()
    let large = NewJob("a", payload: Payload([UInt8](repeating: 7, count: 40_000)))
    let error = await #expect(throws: QudoError.self) { try await driver.insert([NewJob("a"), large]) }
    #expect(error?.code == .invalidArgument)
    #expect(error?.message.contains("max_allowed_packet") == true)
    #expect(try await driver.count() == [])
    let jobs = (0..<100).map { NewJob("a", payload: Payload([UInt8](repeating: UInt8($0), count: 20_000))) }
    let results = try await driver.insert(jobs)
    #expect(results == (1...100).map { .inserted($0) })
    let claim = try await driver.claim(ClaimRequest([.init("a")], limit: 100))
    #expect(claim.jobs.map(\.payload) == jobs.map(\.payload))
    await driver.close()
  }
}
#endif
