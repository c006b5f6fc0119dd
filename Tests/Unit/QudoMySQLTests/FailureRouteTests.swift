#if MySQL
import MariaDBServer
@testable import QudoMySQL
import Qudo
import Testing

/// Final failures that enqueue jobs of other kinds, on a server.
@Suite struct FailureRouteTests {
  private let want = ClaimRequest([.init("a", leaseDuration: .seconds(3600))], limit: 10)

  private func check(_ database: TestDatabase) async throws {
    #expect(try await TableInvariants.violations(in: database.name, on: database.server) == [])
  }

  @Test("a worker that starts writes no route that is there") func writesNothing() async throws {
    let database = try await TestDatabase()
    let texts = Locked<[String]>([])
    let driver = try database.driver(observer: { statement in texts.withLock { $0.append(statement.text) } })
    let routes = [FailureRoute("a", to: "z"), FailureRoute("b", to: nil), FailureRoute("c", to: "a")]
    try await driver.setFailureRoutes(routes)
    let other = try database.driver(observer: { statement in texts.withLock { $0.append(statement.text) } })
    for driver in [driver, other] {
      texts.withLock { $0 = [] }
      try await driver.setFailureRoutes(routes)
      #expect(
        texts.withLock { $0 }.filter { !$0.hasPrefix("SELECT") && !$0.hasPrefix("SET @n") } == ["COMMIT"])
    }
    try await driver.setFailureRoutes([FailureRoute("a", to: "y"), FailureRoute("a", to: "x")])
    #expect(
      try await other.failureRoutes() == [FailureRoute("a", to: "x"), FailureRoute("c", to: "a")])
    for driver in [driver, other] { await driver.close() }
    try await database.drop()
  }

  @Test("the new jobs follow the order of the settlements, among the replacements") func order() async throws
  {
    let database = try await TestDatabase()
    let driver = try database.driver()
    try await driver.setFailureRoutes([FailureRoute("a", to: "z")])
    _ = try await driver.insert((0..<5).map { NewJob("a", payload: Payload("\($0)")) })
    let jobs = try await driver.claim(want).jobs
    let outcomes: [Settlement.Outcome] = [
      .failed(message: "no"), .completed(replacements: [NewJob("z", payload: Payload("new"))]),
      .aborted(message: "no"), .completed(), .failed(message: "no"),
    ]
    let settlements = zip(jobs, outcomes).map { Settlement($0.lease, $1) }
    let claim = try await driver.settle(
      settlements, claiming: ClaimRequest([.init("z")], limit: 10)
    ).claim
    let texts = claim?.jobs.map { String(decoding: $0.payload.bytes, as: UTF8.self) }
    #expect(texts == ["0", "new", "2", "4"])
    #expect(claim?.jobs.map(\.id) == claim?.jobs.map(\.id).sorted())
    try await check(database)
    await driver.close()
    try await database.drop()
  }

  @Test(
    "a final failure whose answer was lost, or of which a statement was stopped, enqueues one job",
    arguments: ["INSERT INTO qudo_job", "SELECT j.id, k.name", "SELECT id, ends", "DELETE FROM qudo_job"])
  func once(_ beginning: String) async throws {
    let database = try await TestDatabase()
    let met = Locked(0)
    let driver = try database.driver(
      options: "pool=1",
      replacing: { statement in
        let text = statement.text.replacing("\nWHERE ", with: " WHERE ")
        guard text.hasPrefix(beginning), text.contains(" WHERE "),
          met.withLock({
            $0 += 1; return $0 == 1
          })
        else {
          return statement.bytes
        }
        return Array(text.replacing(" WHERE ", with: " WHERE 0 AND ").utf8)
      })
    try await driver.setFailureRoutes([FailureRoute("a", to: "z")])
    _ = try await driver.insert([NewJob("a", payload: Payload("x"))])
    let lease = try await driver.claim(want).jobs[0].lease
    #expect(
      try await driver.settle([Settlement(lease, .failed(message: "no"))], claiming: nil).results == [
        .settled()
      ])
    #expect(met.withLock { $0 } > 0)
    #expect(try await driver.jobs(matching: JobQuery()).map(\.kind) == ["z"])
    #expect(try await driver.failures(LogQuery()).count == 1)
    try await check(database)
    await driver.close()
    try await database.drop()
  }

  @Test("a final failure whose commit was not heard of enqueues one job") func repeated() async throws {
    let database = try await TestDatabase()
    let relay = try Relay(to: database.server.port)
    defer { relay.stop() }
    let driver = try database.driver(options: "pool=1", port: relay.port)
    try await driver.setFailureRoutes([FailureRoute("a", to: "z")])
    _ = try await driver.insert([NewJob("a", payload: Payload("x"))])
    let lease = try await driver.claim(want).jobs[0].lease
    relay.swallowAnswers(to: "INSERT INTO qudo_failure")
    #expect(
      try await driver.settle([Settlement(lease, .failed(message: "no"))], claiming: nil).results == [
        .settled()
      ])
    #expect(relay.left == 0)
    #expect(try await driver.jobs(matching: JobQuery()).map(\.kind) == ["z"])
    #expect(try await driver.failures(LogQuery()).count == 1)
    try await check(database)
    await driver.close()
    try await database.drop()
  }

  @Test("jobs that are given up enqueue others in the order of their leases") func lost() async throws {
    let database = try await TestDatabase()
    let time = Locked(Timestamp(microseconds: 1_800_000_000_000_000))
    let driver = try database.driver(clock: { time.withLock { $0 } })
    try await driver.setFailureRoutes([FailureRoute("a", to: "z")])
    let ids = try await driver.insert((0..<3).map { NewJob("a", payload: Payload("\($0)")) }).map(\.id)
    for seconds in [30, 10, 20] {
      _ = try await driver.claim(
        ClaimRequest([.init("a", leaseDuration: .seconds(seconds), maxExpiredLeases: 1)], limit: 1))
    }
    time.withLock { $0 = $0.advanced(by: .seconds(60)) }
    let claim = try await driver.claim(ClaimRequest([.init("z")], limit: 10))
    #expect(claim.givenUp.map(\.id) == [ids[1], ids[2], ids[0]])
    #expect(claim.jobs.map { String(decoding: $0.payload.bytes, as: UTF8.self) } == ["1", "2", "0"])
    #expect(claim.jobs.compactMap(\.metadata.failedJob?.reason) == [.lost, .lost, .lost])
    try await check(database)
    await driver.close()
    try await database.drop()
  }
}
#endif
