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

  @Test("A driver can be created while its server is down, and has its name")
  func driverOfADownServerHasItsName() async throws {
    let server = try await MariaDBServer.start()
    let database = try await TestDatabase(on: server)
    server.kill()
    let driver = try database.driver()
    #expect(driver.name == "127.0.0.1:\(server.port)/\(database.name)")
    #expect(
      driver.capabilities == [
        .durable, .multiProcess, .crossProcessWakeup, .remote, .control, .schedules, .maxRunning, .rateLimits,
        .concurrencyKeys, .groups, .keyStops, .keyRates,
      ])
    await #expect(throws: QudoError.self) { try await driver.insert([NewJob("a")]) }
    let error = try #require(await error(try database.driver()))
    #expect(error.code == .unreachable)
    try await server.start()
    #expect(try await driver.insert([NewJob("a")]) == [.inserted(1)])
    #expect(
      driver.capabilities == [
        .durable, .multiProcess, .crossProcessWakeup, .survivesPowerLoss, .remote, .control, .schedules,
        .maxRunning, .rateLimits,
        .concurrencyKeys, .groups, .keyStops, .keyRates,
      ])
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
    try await database.server.query(
      """
      CREATE USER \(user)@'%' IDENTIFIED BY 'pw'; GRANT SELECT, INSERT, UPDATE, DELETE ON \(database.name).* TO \(user)@'%';
      """)
    #expect(await code(try database.driver(user: user, password: "pw")) == .accessDenied)
    // Somebody else makes them, and then these rights do.
    try await database.server.query(MySQLDriver.schemaSQL, in: database.name)
    let driver = try database.driver(user: user, password: "pw")
    _ = try await driver.insert([NewJob("a")])
    let claim = try await driver.claim(ClaimRequest([.init("a")], limit: 1))
    #expect(
      try await driver.settle([Settlement(claim.jobs[0].lease, .failed(message: ""))], claiming: nil).results
        == [.settled()])
    await driver.close()
    try await database.drop()
  }

  @Test func aReadOnlyServerIsToldAsSuch() async throws {
    let server = try await MariaDBServer.start()
    let database = try await TestDatabase(on: server)
    try await server.query(
      "CREATE USER app@'%' IDENTIFIED BY 'pw'; GRANT ALL ON \(database.name).* TO app@'%'; SET GLOBAL read_only = 1"
    )
    let driver = try database.driver(user: "app", password: "pw")
    #expect(await code(try database.driver(user: "app", password: "pw")) == .readOnly)
    try await server.query("SET GLOBAL read_only = 0")
    _ = try await driver.insert([NewJob("a")])
    try await server.query("SET GLOBAL read_only = 1")
    let error = await #expect(throws: QudoError.self) { try await driver.insert([NewJob("a")]) }
    // It may pass: a server that was good before is being replaced.
    #expect(error?.code == .unreachable && error?.message.contains("read-only") == true)
    #expect(try await driver.count() == [JobCount("a", ready: 1)])
    try await server.query("SET GLOBAL read_only = 0")
    #expect(try await driver.insert([NewJob("a")]) == [.inserted(2)])
    await driver.close()
  }

  @Test("a demoted server is left, and its name leads to the new one") func demoted() async throws {
    let (old, new) = (try await MariaDBServer.start(), try await MariaDBServer.start())
    let relay = try Relay(to: old.port)
    defer { relay.stop() }
    let name = try await TestDatabase(on: old).name
    #expect(try await TestDatabase(on: new).name == name)
    for server in [old, new] {
      try await server.query(
        "CREATE USER app@'%' IDENTIFIED BY 'pw'; GRANT ALL ON *.* TO app@'%'; REVOKE READ ONLY ADMIN, SUPER ON *.* FROM app@'%'"
      )
    }
    // As on a replica: the same tables.
    for server in [old, new] {
      try await server.query(
        "\(MySQLDriver.schemaSQL); UPDATE qudo_info SET value = 'the same' WHERE name = 'generation'",
        in: name)
    }
    let driver = try TestDatabase(on: old, name: name).driver(user: "app", password: "pw", port: relay.port)
    // All four connections are open.
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<16 { group.addTask { _ = try await driver.claim(ClaimRequest([.init("a")], limit: 1)) } }
      try await group.waitForAll()
    }
    try await old.query("SET GLOBAL read_only = 1")
    relay.lead(to: new.port)
    #expect(try await driver.insert([NewJob("a")]).map(\.id) == [1])
    for _ in 0..<8 { _ = try await driver.insert([NewJob("a")]) }
    #expect(try await new.query("SELECT COUNT(*) FROM qudo_job", in: name) == ["9"])
    #expect(try await old.query("SELECT COUNT(*) FROM qudo_job", in: name) == ["0"])
    await driver.close()
  }

  @Test("a password that is changed for a moment may pass") func changedPassword() async throws {
    let server = try await MariaDBServer.start()
    let database = try await TestDatabase(on: server)
    try await server.query(
      "CREATE USER app@'%' IDENTIFIED BY 'pw'; GRANT ALL ON \(database.name).* TO app@'%'")
    let driver = try database.driver(user: "app", password: "pw")
    _ = try await driver.insert([NewJob("a")])
    let killed = try await server.query(
      "SELECT CONCAT('KILL ', id) FROM information_schema.PROCESSLIST WHERE user = 'app'")
    try await server.query("SET PASSWORD FOR app@'%' = PASSWORD('other'); \(killed.joined(separator: ";"))")
    let error = await #expect(throws: QudoError.self) { try await driver.insert([NewJob("a")]) }
    #expect(error?.code == .unreachable && error?.message.contains("refuses the user") == true)
    try await server.query("SET PASSWORD FOR app@'%' = PASSWORD('pw')")
    #expect(try await driver.insert([NewJob("a")]) == [.inserted(2)])
    await driver.close()
  }

  @Test(
    "a connection opens in one round trip, and makes the tables in three more if the server may be silent for long"
  ) func roundTrips() async throws {
    let database = try await TestDatabase()
    let relay = try Relay(to: database.server.port)
    defer { relay.stop() }
    for isFirst in [true, false] {
      let index = relay.commands.count
      // However slow the machine is, all statements but the first fit into one text.
      let driver = try database.driver(options: "pool=1&read-timeout=1000h", port: relay.port)
      try await driver.connect()
      // The call itself is one. While a server is silent, other connections ask for news of this one.
      #expect(relay.commands[index] - 1 == (isFirst ? 4 : 1), "\(relay.commands)")
      await driver.close()
    }
    try await database.drop()
  }

  @Test("Settings that lose jobs in a power cut are reported") func lossySettingsAreReported() async throws {
    let server = try await MariaDBServer.start(["--innodb-flush-log-at-trx-commit=2"])
    let driver = try await TestDatabase(on: server).driver()
    let facts = try await driver.connect()
    #expect(facts.isMariaDB)
    #expect(facts.losesOnPowerCut == ["innodb_flush_log_at_trx_commit is 2: set it to 1"])
    #expect(
      driver.capabilities == [
        .durable, .multiProcess, .crossProcessWakeup, .remote, .control, .schedules, .maxRunning, .rateLimits,
        .concurrencyKeys, .groups, .keyStops, .keyRates,
      ])
    await driver.close()
  }

  @Test("A payload beyond the server's limit is refused, and batches are split")
  func payloadBeyondTheServersLimitIsRefused() async throws {
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
