#if MySQL
import MariaDBServer
@testable import QudoMySQL
import Qudo
import QudoTesting
import Testing

/// Pruning on a server, whose ids have gaps and whose rows many processes prune.
@Suite struct PruneTests {
  private let clock = ManualClock()

  /// Adds so many rows to the status log, each `step` above the one before, in the order of time.
  private func fill(_ database: TestDatabase, _ count: Int, step: Int) async throws {
    try await database.server.query(
      """
      INSERT INTO qudo_status(id, job, kind, status, started_at, ended_at, codec, payload)
      SELECT high + seq * \(step), seq, 1, 0, 0, \(clock.now().wall.microseconds), 0, REPEAT('x', 100)
      FROM seq_1_to_\(count), (SELECT COALESCE(MAX(id), 0) AS high FROM qudo_status) AS newest
      """, in: database.name)
  }

  private func rows(_ database: TestDatabase, _ table: String) async throws -> [String] {
    try await database.server.query("SELECT COUNT(*) FROM \(table)", in: database.name)
  }

  @Test(
    "a number of rows is exact though ids have gaps, and not counted at each look", .timeLimit(.minutes(5)))
  func gaps() async throws {
    let database = try await TestDatabase()
    let statements = Locked<[String]>([])
    let clock = clock
    let driver = try database.driver(
      clock: { clock.now().wall }, observer: { sql in statements.withLock { $0.append(sql.text) } })
    try await driver.connect()
    try await fill(database, 1500, step: 3)
    let prune = PruneOptions(keep: 1000, limit: 300)
    #expect(try await driver.prune(prune) == 300)
    #expect(try await driver.prune(prune) == 200)
    #expect(try await driver.prune(prune) == 0)
    for _ in 0..<5 {
      try await fill(database, 70, step: 7)
      #expect(try await driver.prune(prune) == 70)
      #expect(try await driver.prune(prune) == 0)
    }
    let other = try database.driver(clock: { clock.now().wall })
    try await fill(database, 10, step: 1)
    #expect(try await other.prune(prune) == 10)
    try await fill(database, 10, step: 1)
    #expect(try await driver.prune(prune) == 10)
    #expect(try await driver.prune(prune) == 0)
    // After what the other one pruned, a row that is remembered 1,000 rows behind the first one is no help yet.
    #expect(statements.withLock { $0.count { $0.contains("COUNT(*), COALESCE") } } <= 2)
    #expect(try await rows(database, "qudo_status") == ["1000"])
    await other.close()
    await driver.close()
    try await database.drop()
  }

  @Test("a look that finds nothing to delete writes and locks nothing", .timeLimit(.minutes(5)))
  func nothing() async throws {
    let database = try await TestDatabase()
    let statements = Locked<[String]>([])
    let clock = clock
    let driver = try database.driver(
      clock: { clock.now().wall }, observer: { sql in statements.withLock { $0.append(sql.text) } })
    try await driver.connect()
    try await fill(database, 100, step: 2)
    statements.withLock { $0 = [] }
    for options in [PruneOptions(olderThan: .seconds(60)), PruneOptions(keep: 100)] {
      #expect(try await driver.prune(options) == 0)
    }
    let asked = statements.withLock { $0 }
    #expect(
      !asked.isEmpty
        && asked.allSatisfy { !$0.contains("DELETE") && !$0.contains("INSERT") && !$0.contains("FOR UPDATE") }
    )
    await driver.close()
    try await database.drop()
  }

  @Test("expired idempotency keys go", .timeLimit(.minutes(5))) func keys() async throws {
    let database = try await TestDatabase()
    let clock = clock
    let driver = try database.driver(clock: { clock.now().wall })
    _ = try await driver.insert((0..<1500).map { _ in NewJob("a", idempotencyKey: IdempotencyKey()) })
    #expect(try await driver.prune(PruneOptions()) == 0)
    #expect(try await rows(database, "qudo_receipt") == ["1500"])
    clock.advance(by: .seconds(86_401))
    #expect(try await driver.prune(PruneOptions(keep: 1_000_000)) == 0)
    #expect(try await rows(database, "qudo_receipt") == ["0"])
    await driver.close()
    try await database.drop()
  }

  @Test("many processes prune at once, and none fails", .timeLimit(.minutes(5))) func together() async throws
  {
    let database = try await TestDatabase()
    let clock = clock
    let drivers = try (0..<4).map { _ in try database.driver(clock: { clock.now().wall }) }
    try await drivers[0].connect()
    try await fill(database, 3000, step: 2)
    let deleted = try await withThrowingTaskGroup(of: Int.self) { group in
      for driver in drivers {
        group.addTask {
          var deleted = 0
          while case let count = try await driver.prune(PruneOptions(keep: 500, limit: 100)), count > 0 {
            deleted += count
          }
          return deleted
        }
      }
      return try await group.reduce(0, +)
    }
    #expect(deleted == 2500)
    #expect(try await rows(database, "qudo_status") == ["500"])
    for driver in drivers { await driver.close() }
    try await database.drop()
  }
}
#endif
