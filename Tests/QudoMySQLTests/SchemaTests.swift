#if MySQL
import MariaDBServer
@testable import QudoMySQL
import Qudo
import Testing

@Suite struct SchemaTests {
  private func tables(_ database: TestDatabase) async throws -> [String] {
    var tables: [String] = []
    for name in try await database.server.query("SHOW TABLES", in: database.name) {
      tables += try await database.server.query("SHOW CREATE TABLE \(name)", in: database.name)
    }
    return tables
  }

  private func code(_ database: TestDatabase) async throws -> QudoError.Code? {
    let driver = try database.driver()
    defer { Task { await driver.close() } }
    do {
      try await driver.connect()
      return nil
    } catch {
      return error.code
    }
  }

  @Test func tenThatComeAtOnceMakeOneSchema() async throws {
    let database = try await TestDatabase()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<10 {
        let driver = try database.driver()
        group.addTask {
          _ = try await driver.insert([NewJob("a", payload: Payload("\(number)"))])
          await driver.close()
        }
      }
      try await group.waitForAll()
    }
    #expect(try await database.server.query("SELECT version FROM qudo_schema", in: database.name) == ["1", "2"])
    #expect(try await database.server.query("SELECT COUNT(*) FROM qudo_job", in: database.name) == ["10"])
    try await database.drop()
  }

  @Test func theScriptMakesWhatTheFirstConnectionMakes() async throws {
    let (one, other) = (try await TestDatabase(), try await TestDatabase())
    #expect(try await code(one) == nil)
    try await one.server.query(MySQLDriver.schemaSQL, in: other.name)
    #expect(try await tables(one) == tables(other))
    #expect(try await tables(one).count == 10)
    // And it may be run again.
    try await one.server.query(MySQLDriver.schemaSQL, in: other.name)
    #expect(try await code(other) == nil)
    for database in [one, other] { try await database.drop() }
  }

  @Test(arguments: [0, 3, 8, 9]) func aMigrationThatWasInterruptedIsFinished(_ done: Int) async throws {
    let (whole, database) = (try await TestDatabase(), try await TestDatabase())
    #expect(try await code(whole) == nil)
    let connection = try database.connection()
    for statement in Schema.migrations[0].statements.prefix(done) { try connection.run(statement) }
    #expect(try await code(database) == nil)
    #expect(try await tables(database) == tables(whole))
    #expect(try await database.server.query("SELECT version FROM qudo_schema", in: database.name) == ["1", "2"])
    for database in [whole, database] { try await database.drop() }
  }

  @Test func tablesThatAreNotQudosAreRefused() async throws {
    for table in ["qudo_job(x INT)", "qudo_schema(x INT)"] {
      let database = try await TestDatabase()
      try await database.server.query("CREATE TABLE \(table)", in: database.name)
      #expect(try await code(database) == .foreignSchema)
      try await database.drop()
    }
  }

  @Test func aNewerSchemaIsRefusedUnlessItSaysOtherwise() async throws {
    let database = try await TestDatabase()
    #expect(try await code(database) == nil)
    try await database.server.query("INSERT INTO qudo_schema VALUES(7, 0, 1, 1)", in: database.name)
    #expect(try await code(database) == nil)
    try await database.server.query("INSERT INTO qudo_schema VALUES(8, 0, 3, 3)", in: database.name)
    #expect(try await code(database) == .newerSchema)
    try await database.drop()
  }

  @Test func anApplicationsOwnTablesAreLeftAlone() async throws {
    let database = try await TestDatabase()
    try await database.server.query("CREATE TABLE job(id INT); CREATE TABLE qudos(id INT)", in: database.name)
    #expect(try await code(database) == nil)
    #expect(try await tables(database).count == 12)
    try await database.drop()
  }
}
#endif
