#if MySQL
@testable import QudoMySQL
import Qudo
import Testing

/// Callers that enqueue at the same time share transactions.
@Suite struct InserterTests {
  /// Holds the only connection until `body` has let the callers queue up.
  private func together(_ driver: MySQLDriver, _ body: @Sendable () async -> Void) async throws {
    let (started, start) = AsyncStream<Void>.makeStream()
    async let holder: Void = driver.pool.transact { transaction throws(QudoError) in
      start.finish()
      _ = try transaction.connection.run("SELECT SLEEP(0.5)")
      try transaction.commit()
    }
    for await _ in started {}
    await body()
    try await holder
  }

  @Test func theyShareACommitAndEachGetsItsOwnAnswer() async throws {
    let database = try await TestDatabase()
    let statements = Locked<[SQL]>([])
    let driver = try database.driver(
      options: "pool=1", observer: { statement in statements.withLock { $0.append(statement) } })
    try await driver.connect()
    statements.withLock { $0 = [] }
    let answers = Locked<[Int: [InsertResult]]>([:])
    try await together(driver) {
      await withTaskGroup(of: Void.self) { group in
        for number in 0..<40 {
          group.addTask {
            let jobs = [
              NewJob("a", payload: Payload("\(number)")), NewJob("a", unique: UniqueKey("\(number / 2)")),
            ]
            let results = try? await driver.insert(jobs)
            answers.withLock { $0[number] = results }
          }
        }
      }
    }
    let found = Dictionary(
      uniqueKeysWithValues: try await driver.jobs(matching: JobQuery()).map { ($0.id, $0) })
    #expect(found.count == 60)
    let all = answers.withLock { $0 }
    for number in 0..<40 {
      let results = try #require(all[number])
      #expect(results.count == 2)
      #expect(found[results[0].id]?.payload == Payload("\(number)"))
      #expect(found[results[1].id]?.uniqueKey == "\(number / 2)")
    }
    #expect(all.values.filter { if case .conflict = $0[1] { true } else { false } }.count == 20)
    let commits = statements.withLock { $0 }.filter { $0.text == "COMMIT" }.count
    #expect(commits < 10)
    await driver.close()
    try await database.drop()
  }

  @Test func oneThatIsRefusedSpoilsNoOther() async throws {
    let database = try await TestDatabase()
    var limits = Limits()
    limits.payloadBytes = 1 << 30
    let driver = try database.driver(options: "pool=1", limits: limits)
    try await driver.connect()
    let large = NewJob("a", payload: Payload([UInt8](repeating: 1, count: 9 << 20)))
    let codes = Locked<[QudoError.Code?]>([])
    try await together(driver) {
      await withTaskGroup(of: Void.self) { group in
        for number in 0..<10 {
          group.addTask {
            do throws(QudoError) {
              _ = try await driver.insert([number == 4 ? large : NewJob("a")])
              codes.withLock { $0.append(nil) }
            } catch {
              codes.withLock { $0.append(error.code) }
            }
          }
        }
      }
    }
    #expect(codes.withLock { $0 }.compactMap(\.self) == [.invalidArgument])
    #expect(try await driver.count() == [JobCount("a", ready: 9)])
    await driver.close()
    try await database.drop()
  }
}
#endif
