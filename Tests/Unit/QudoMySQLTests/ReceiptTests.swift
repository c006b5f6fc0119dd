#if MySQL
import MariaDBServer
@testable import QudoMySQL
import Qudo
import Testing

/// A transaction whose answer was lost is repeated, and done once.
@Suite struct ReceiptTests {
  private let want = ClaimRequest([.init("a")], limit: 10)

  private func transaction(_ connection: Connection, after lost: CommitToken? = nil) -> Transaction {
    Transaction(connection, KindCache(), after: lost)
  }

  @Test func whatWasCommittedIsAnsweredAndNotDoneAgain() async throws {
    let database = try await TestDatabase()
    let driver = try database.driver()
    let connection = try database.connection(commits: false)
    try await driver.connect()
    let jobs = [
      NewJob("a", payload: Payload("1")), NewJob("a", unique: UniqueKey("k")),
      NewJob("a", unique: UniqueKey("k")), NewJob("b"),
    ]

    let insert = transaction(connection)
    let results = try insert.run(inserting: jobs)
    #expect(results == [.inserted(1), .inserted(2), .conflict(2), .inserted(3)])
    #expect(try transaction(connection, after: insert.receipt).run(inserting: jobs) == results)
    #expect(try await driver.count() == [JobCount("a", ready: 2), JobCount("b", ready: 1)])

    let claim = transaction(connection)
    let claimed = try #require(try claim.run(settling: [], claiming: want).claim)
    let again = try #require(
      try transaction(connection, after: claim.receipt).run(settling: [], claiming: want).claim)
    #expect(claimed.jobs.count == 2)
    #expect(again.jobs.map(\.lease) == claimed.jobs.map(\.lease))
    #expect(again.jobs.map(\.payload) == claimed.jobs.map(\.payload))

    let settlements = [
      Settlement(claimed.jobs[0].lease, .completed(replacements: jobs)),
      Settlement(claimed.jobs[1].lease, .failed(message: "no")),
      Settlement(claimed.jobs[1].lease, .completed()),
    ]
    let settle = transaction(connection)
    let settled = try settle.run(settling: settlements, claiming: want)
    let settledAgain = try transaction(connection, after: settle.receipt).run(
      settling: settlements, claiming: want)
    #expect(settledAgain.results == settled.results)
    #expect(
      settled.results == [
        .settled(replacements: [.inserted(4), .conflict(2), .conflict(2), .inserted(5)]), .settled(),
        .leaseLost,
      ])
    #expect(settledAgain.claim?.jobs.map(\.lease) == settled.claim?.jobs.map(\.lease))
    let failures = try await driver.failures(LogQuery()).map(\.id)
    #expect(failures.count == 1)

    let replay = transaction(connection)
    let replayed = try replay.replay(failures + [99], JobChange(), nil, Limits())
    #expect(
      try transaction(connection, after: replay.receipt).replay(failures + [99], JobChange(), nil, Limits())
        == replayed)
    #expect(replayed == [.replayed(6), .notFound])
    await driver.close()
    try await database.drop()
  }

  @Test func whatWasNotCommittedIsDone() async throws {
    let database = try await TestDatabase()
    let driver = try database.driver()
    let (connection, other) = (
      try database.connection(commits: false), try database.connection(commits: false)
    )
    try await driver.connect()
    let lost = transaction(connection)
    try lost.makeKinds(["a"])
    lost.receipt.inserted = try lost.insert([NewJob("a")])
    _ = try lost.read([])
    try connection.run("ROLLBACK")
    let again = transaction(other, after: lost.receipt)
    #expect(try again.run(inserting: [NewJob("a")]).count == 1)
    #expect(try await driver.count() == [JobCount("a", ready: 1)])
    // Should the first one come to life now, it cannot be committed any more.
    let late = transaction(connection, after: again.receipt)
    let error = #expect(throws: QudoError.self) {
      try late.makeKinds(["a"])
      _ = try late.insert([NewJob("a")])
      try late.commit()
    }
    #expect(error?.mysql?.isDuplicate == true)
    try connection.run("ROLLBACK")
    #expect(try await driver.count() == [JobCount("a", ready: 1)])
    await driver.close()
    try await database.drop()
  }

  @Test func aLaneHasAFewReceiptsHoweverMuchItDoes() async throws {
    let database = try await TestDatabase()
    let driver = try database.driver(options: "pool=1")
    for number in 0..<3 { _ = try await driver.insert([NewJob("a", payload: Payload("\(number)"))]) }
    let claimed = try await driver.claim(want).jobs
    _ = try await driver.settle(claimed.map { Settlement($0.lease, .completed()) }, claiming: want)
    func receipts() async throws -> [String] {
      try await database.server.query(
        "SELECT number, part, job FROM qudo_lane ORDER BY number", in: database.name)
    }
    #expect(try await receipts() == ["1\t0\t1", "2\t0\t2", "3\t0\t3", "4\t0\t0", "5\t0\t0"])
    for _ in 6...Int(CommitTokenStore.most) { _ = try await driver.insert([NewJob("a")]) }
    #expect(try await receipts() == ["\(CommitTokenStore.most)\t0\t\(CommitTokenStore.most - 2)"])
    _ = try await driver.insert([NewJob("a")])
    #expect(try await receipts().count == 2)
    await driver.close()
    #expect(try await database.server.query("SELECT COUNT(*) FROM qudo_lane", in: database.name) == ["0"])
    try await database.drop()
  }

  @Test func afterALossALaneGoesOnUnderAnotherName() async throws {
    let database = try await TestDatabase()
    let kills = Locked(0)
    let driver = try database.driver(
      options: "pool=1",
      observer: { statement in
        guard statement.text == "COMMIT", kills.withLock({ $0 == 1 }) else { return }
        kills.withLock { $0 = 2 }
        // All but its own.
        do {
          let other = try database.connection()
          let found = try other.run(
            "SELECT id FROM information_schema.PROCESSLIST WHERE db = DATABASE() AND id <> CONNECTION_ID()"
          ).rows
          for id in found?.map({ $0.integer(0) }) ?? [] { try other.run("KILL CONNECTION \(id)") }
        } catch {
          Issue.record(error)
        }
      })
    func lanes() async throws -> [String] {
      try await database.server.query(
        "SELECT GROUP_CONCAT(number ORDER BY number) AS numbers FROM qudo_lane GROUP BY lane ORDER BY COUNT(*) DESC",
        in: database.name)
    }
    _ = try await driver.insert([NewJob("a")])
    kills.withLock { $0 = 1 }
    #expect(try await driver.insert([NewJob("a")]).count == 1)
    #expect(kills.withLock { $0 } == 2)
    #expect(try await lanes() == ["1,2"], "repeated under the same number")
    _ = try await driver.insert([NewJob("a")])
    #expect(try await lanes() == ["1,2", "1"])
    #expect(try await driver.count() == [JobCount("a", ready: 3)])
    await driver.close()
    #expect(try await lanes() == ["1,2"], "what may still be asked for stays")
    try await database.drop()
  }

  @Test func receiptsGoWhenTheirTimeIsOver() async throws {
    let database = try await TestDatabase()
    let driver = try database.driver(
      options: "pool=1", clock: { Timestamp(microseconds: 1_700_000_000_000_000) })
    for number in 0..<70 {
      _ = try await driver.insert([NewJob("a", idempotencyKey: IdempotencyKey("\(number)"))])
    }
    let query = "SELECT COUNT(*) FROM qudo_receipt"
    #expect(try await database.server.query(query, in: database.name) == ["70"])
    await driver.close()
    try await database.server.query(
      "INSERT INTO qudo_lane VALUES('a lane of others', 0, 1, 1, 1700000000000000)", in: database.name)
    // The clock is the server's now, which is later.
    let later = try database.driver(options: "pool=1")
    for _ in 0..<64 { _ = try await later.insert([NewJob("a")]) }
    await later.close()
    #expect(try await database.server.query(query, in: database.name) == ["0"])
    #expect(try await database.server.query("SELECT COUNT(*) FROM qudo_lane", in: database.name) == ["0"])
    try await database.drop()
  }
}
#endif
