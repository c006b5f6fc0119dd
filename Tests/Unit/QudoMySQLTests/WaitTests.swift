#if MySQL
import MariaDBServer
@testable import QudoMySQL
import Qudo
import Testing

/// Waiting until jobs of a server have ended: in another process, and over a restart of the server.
@Suite struct WaitTests {
  private let want = ClaimRequest([.init("a", leaseDuration: .seconds(3600))], limit: 10)

  private func name(_ outcome: JobOutcome) -> String {
    switch outcome {
    case .unfinished(let job): "\(job.state)"
    case .completed(let row): "\(row.status)"
    case .failed(let row): "\(row.reason)"
    case .unrecorded: "unrecorded"
    case .neverExisted: "never"
    }
  }

  /// A driver that counts how often it has looked what became of jobs.
  private func watched(_ database: TestDatabase) throws -> (driver: MySQLDriver, looks: Locked<Int>) {
    let looks = Locked(0)
    let driver = try database.driver(observer: { statement in
      if statement.text.contains("FROM qudo_job AS j") { looks.withLock { $0 += 1 } }
    })
    return (driver, looks)
  }

  /// Returns when the first look has been answered: there were more than one look can take.
  private func answered(_ looks: Locked<Int>) async {
    while looks.withLock({ $0 }) < 4 { await Task.yield() }
  }

  private func jobs(_ ids: [Int64], of driver: MySQLDriver) -> [JobID] {
    ids.map { JobID(database: driver.name, number: $0) }
  }

  @Test(
    "a wait ends when the jobs have ended in another process, however they ended", .timeLimit(.minutes(5)))
  func elsewhere() async throws {
    let database = try await TestDatabase()
    let ((here, looks), there) = (try watched(database), try database.driver())
    let ids = try await there.insert((0..<4).map { _ in NewJob("a") }).map(\.id)
    let leases = try await there.claim(want).jobs.map(\.lease)
    let waiting = jobs(ids + [ids[3] + 100], of: here)
    let queue = Queue(here)
    async let outcomes = queue.wait(for: waiting)
    await answered(looks)
    #expect(try await there.cancel([ids[3]], reason: "stop") == [.cancelling])
    let ends: [Settlement.Outcome] = [.completed(), .completed(), .failed(message: "no"), .released]
    // The last job ends last, and by then the others have been seen or not.
    for (index, end) in ends.enumerated() {
      let settlement = Settlement(leases[index], end, recording: index == 0 ? .seconds(1) : nil)
      _ = try await there.settle([settlement], claiming: nil)
    }
    #expect(
      try await outcomes.map(name) == ["completed", "unrecorded", "failed", "cancelled", "never"])
    for driver in [here, there] { await driver.close() }
    try await database.drop()
  }

  @Test("a wait whose time is over says what the job is doing") func late() async throws {
    let database = try await TestDatabase()
    let driver = try database.driver()
    let ids = try await driver.insert([NewJob("a"), NewJob("a", due: .after(.seconds(3600)))]).map(\.id)
    let outcomes = try await Queue(driver).wait(for: jobs(ids, of: driver), timeout: .milliseconds(10))
    #expect(outcomes.map(name) == ["ready", "delayed"])
    await driver.close()
    try await database.drop()
  }

  @Test("a wait goes on over a restart of the server", .timeLimit(.minutes(5)), arguments: [false, true])
  func restarted(isKilled: Bool) async throws {
    let server = try await MariaDBServer.start()
    let database = try await TestDatabase(on: server)
    let ((here, looks), there) = (try watched(database), try database.driver())
    let ids = try await there.insert([NewJob("a")]).map(\.id)
    let waiting = jobs(ids, of: here)
    let queue = Queue(here)
    async let outcomes = queue.wait(for: waiting)
    await answered(looks)
    if isKilled { server.kill() } else { try await server.stop() }
    try await server.start()
    #expect(try await there.cancel(ids, reason: "after it") == [.cancelled])
    #expect(try await outcomes.map(name) == ["cancelled"])
    for driver in [here, there] { await driver.close() }
  }
}
#endif
