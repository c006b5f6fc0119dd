#if MySQL
import Evidence
import Foundation
import MariaDBServer
@testable import QudoMySQL
import Qudo
import Testing

/// The statements of maxima and rates that the server is told to stop: no limit is exceeded, and each transaction is whole.
@Suite struct StoppedLimitTests {
  /// Stops every n-th of the statements that begin so, while it is on.
  private final class Stopper: Sendable {
    private let beginning: String
    private let interval: Int
    private let met = Locked(0)
    let isOn = Locked(true)

    init(_ beginning: String, every interval: Int) { (self.beginning, self.interval) = (beginning, interval) }

    var count: Int { met.withLock { $0 } }

    func bytes(_ statement: SQL) -> [UInt8] {
      guard isOn.withLock({ $0 }), statement.text.replacing("\nWHERE ", with: " WHERE ").hasPrefix(beginning)
      else {
        return statement.bytes
      }
      let count = met.withLock { count in
        count += 1
        return count
      }
      guard count % interval == 1 % interval,
        let stopped = stopped(statement, isOdd: count / interval % 2 == 1)
      else { return statement.bytes }
      return stopped
    }

    /// The statement as one that changes or finds nothing and reports success; nil for one that cannot.
    ///
    /// - Parameter isOdd: Whether a count returns no rows. Else it finds none.
    private func stopped(_ statement: SQL, isOdd: Bool) -> [UInt8]? {
      guard beginning.hasPrefix("SELECT") || beginning.hasPrefix("(SELECT") else {
        return StoppedStatementTests.short(statement, beginning)
      }
      let text = statement.text.replacing("\nWHERE ", with: " WHERE ")
      if isOdd, text.hasPrefix("SELECT COUNT(*)") { return Array("\(text) HAVING 0".utf8) }
      if !isOdd, text.contains("LEFT JOIN"), text.hasPrefix("SELECT k.id") {
        return Array(text.replacing(#/ ON [rb]\.kind = k\.id/#, with: " ON 0").utf8)
      }
      return Array(text.replacing(" WHERE ", with: " WHERE 0 AND ").utf8)
    }
  }

  private func check(_ database: TestDatabase) async throws {
    #expect(try await TableInvariants.violations(in: database.name, on: database.server) == [])
  }

  @Test(
    "a maximum of waiting jobs",
    arguments: Evidence.arguments([
      "SELECT id FROM qudo_kind FORCE INDEX", "SELECT COUNT(*) FROM (SELECT 1 FROM qudo_ready",
      "SELECT COUNT(*) FROM (SELECT 1 FROM qudo_delayed", "(SELECT id FROM qudo_ready",
      "SELECT j.kind, j.ranking",
      "SELECT kind, ranking, due, id, flags FROM qudo_ready",
      "SELECT kind, ranking, due, id, flags FROM qudo_delayed", "SELECT job FROM qudo_unique",
      "INSERT INTO qudo_failure", "DELETE FROM qudo_ready", "DELETE FROM qudo_delayed",
      "DELETE FROM qudo_job",
      "DELETE FROM qudo_unique",
    ]))
  func maxWaiting(_ beginning: String) async throws {
    let database = try await TestDatabase()
    let stopper = Stopper(beginning, every: 3)
    let driver = try database.driver(options: "pool=1", replacing: { stopper.bytes($0) })
    func jobs(_ kind: Kind, _ bound: MaxWaiting, _ count: Int) -> [NewJob] {
      (0..<count).map {
        NewJob(
          kind, unique: $0 < 4 ? UniqueKey("\(bound) \($0)", onConflict: .keep) : nil,
          due: $0 % 2 == 0 ? .now : .after(.seconds(3600)), maxWaiting: bound)
      }
    }
    for _ in 0..<3 {
      #expect(try await driver.insert(jobs("refuses", .refuse(8), 8)).count == 8)
      let error = await #expect(throws: QudoError.self) {
        try await driver.insert([NewJob("refuses", maxWaiting: .refuse(8))])
      }
      #expect(error?.code == .queueFull)
      let first = try await driver.insert(jobs("drops", .dropOldest(8), 8)).map(\.id)
      let more = try await driver.insert(
        (0..<5).map { NewJob("drops", due: .after(.seconds($0 + 1)), maxWaiting: .dropOldest(8)) }
      ).map(\.id)
      let left = try await driver.jobs(matching: JobQuery(kinds: ["drops"])).map(\.id)
      #expect(left == Array(first.dropFirst(5)) + more)
      try await check(database)
      stopper.isOn.withLock { $0 = false }
      #expect(try await driver.cancel(matching: JobQuery(), reason: nil).count == 16)
      stopper.isOn.withLock { $0 = true }
    }
    #expect(stopper.count > 2, "there was none of these statements")
    let failures = try await driver.failures(LogQuery(limit: 1000))
    #expect(failures.count { $0.reason == .dropped } == 15)
    #expect(Set(failures.map(\.job)).count == failures.count)
    await driver.close()
    try await database.drop()
  }

  @Test(
    "a maximum of running jobs",
    arguments: Evidence.arguments([
      "SELECT id FROM qudo_kind FORCE INDEX", "SELECT k.id, COUNT(r.id)", "INSERT INTO qudo_running",
      "DELETE FROM qudo_ready", "DELETE FROM qudo_running",
    ]))
  func maxRunning(_ beginning: String) async throws {
    let database = try await TestDatabase()
    let stopper = Stopper(beginning, every: 3)
    let driver = try database.driver(options: "pool=1", replacing: { stopper.bytes($0) })
    _ = try await driver.insert((0..<20).map { NewJob($0 % 2 == 0 ? "a" : "b") })
    func claim(_ lease: Duration = .seconds(3600)) async throws -> [ClaimedJob] {
      try await driver.claim(
        ClaimRequest(
          [
            .init("a", leaseDuration: lease, maxExpiredLeases: 99, maxRunning: 3),
            .init("b", leaseDuration: .seconds(3600), maxRunning: 2),
          ], limit: 9)
      ).jobs
    }
    // Expired leases make room, and for no more than there is.
    for _ in 0..<4 { #expect(try await claim(.microseconds(1)).count { $0.kind == "a" } == 3) }
    var held = try await claim()
    for _ in 0..<5 {
      let counts = try await driver.count().sorted { $0.kind < $1.kind }
      #expect(counts.map(\.running) == [3, 2])
      #expect(try await claim().isEmpty)
      try await check(database)
      let index = try #require(held.lastIndex { $0.kind == "a" })
      let last = held.remove(at: index)
      #expect(
        try await driver.settle([Settlement(last.lease, .completed())], claiming: nil).results == [.settled()]
      )
      let next = try await claim()
      #expect(next.map(\.kind) == ["a"])
      held = next + held
    }
    #expect(stopper.count > 2, "there was none of these statements")
    await driver.close()
    try await database.drop()
  }

  @Test(
    "a rate",
    arguments: Evidence.arguments([
      "SELECT id FROM qudo_kind FORCE INDEX", "SELECT k.id, b.full_at", "INSERT INTO qudo_running",
      "DELETE FROM qudo_ready",
    ]))
  func rate(_ beginning: String) async throws {
    let database = try await TestDatabase()
    let stopper = Stopper(beginning, every: 2)
    let now = Locked(Timestamp(microseconds: 1_700_000_000_000_000))
    let driver = try database.driver(
      options: "pool=1", clock: { now.withLock { $0 } }, replacing: { stopper.bytes($0) })
    let rate = RateLimit(1, per: .seconds(1), burst: 3)
    _ = try await driver.insert((0..<40).map { _ in NewJob("a") })
    func claim() async throws -> [ClaimedJob] {
      try await driver.claim(
        ClaimRequest([.init("a", leaseDuration: .seconds(3600), rate: rate)], limit: 9)
      ).jobs
    }
    func advance(_ seconds: Int) { now.withLock { $0 = $0.advanced(by: .seconds(seconds)) } }
    for _ in 0..<4 {
      #expect(try await claim().count == 3)
      #expect(try await claim().isEmpty)
      advance(2)
      let jobs = try await claim()
      #expect(jobs.count == 2)
      var unbegun = Settlement(jobs[0].lease, .released)
      unbegun.hasBegun = false
      #expect(try await driver.settle([unbegun], claiming: nil).results == [.settled()])
      #expect(try await claim().count == 1, "its token was given back")
      advance(60)
      try await driver.throttle("a", rate, for: .seconds(9))
      advance(8)
      #expect(try await claim().isEmpty)
      advance(1)
      #expect(try await claim().count == 1, "the bucket was empty")
      advance(60)
      try await check(database)
    }
    #expect(stopper.count > 2, "there was none of these statements")
    await driver.close()
    try await database.drop()
  }

  @Test("a token that a stopped statement does not give back is lost, and none is added") func unreturned()
    async throws
  {
    let database = try await TestDatabase()
    let stopper = Stopper("UPDATE qudo_rate", every: 1)
    let driver = try database.driver(
      options: "pool=1", clock: { Timestamp(microseconds: 1_700_000_000_000_000) },
      replacing: { stopper.bytes($0) })
    let want = ClaimRequest(
      [.init("a", leaseDuration: .seconds(3600), rate: RateLimit(1, per: .seconds(1), burst: 2))], limit: 9)
    _ = try await driver.insert((0..<4).map { _ in NewJob("a") })
    let jobs = try await driver.claim(want).jobs
    #expect(jobs.count == 2)
    for (job, isStopped) in zip(jobs, [true, false]) {
      stopper.isOn.withLock { $0 = isStopped }
      var unbegun = Settlement(job.lease, .released)
      unbegun.hasBegun = false
      #expect(try await driver.settle([unbegun], claiming: nil).results == [.settled()])
      #expect(try await driver.claim(want).jobs.count == (isStopped ? 0 : 1))
    }
    #expect(stopper.count == 1)
    try await check(database)
    await driver.close()
    try await database.drop()
  }
}
#endif
