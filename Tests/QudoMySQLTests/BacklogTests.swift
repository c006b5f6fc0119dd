#if MySQL
import MariaDBServer
import Qudo
import Testing

@testable import QudoMySQL

/// What monitoring asks of a server.
@Suite struct BacklogTests {
  private func job(_ kind: Kind = "a", due: Due = .now, priority: Int = 0) -> NewJob {
    NewJob(kind, priority: priority, due: due)
  }

  @Test("the oldest ready job of each kind, a bounded count, and the sizes of the logs") func backlog()
    async throws
  {
    let database = try await TestDatabase()
    let time = Locked<Int64>(1_700_000_000_000_000)
    let driver = try database.driver(clock: { Timestamp(microseconds: time.withLock { $0 }) })
    func pass(_ seconds: Int64) { time.withLock { $0 += seconds * 1_000_000 } }
    func oldest(_ kind: Kind, _ seconds: Int, isPaused: Bool = false) -> Backlog.Oldest {
      Backlog.Oldest(kind: kind, age: .seconds(seconds), isPaused: isPaused)
    }
    #expect(try await driver.backlog(nil, countingUpTo: 5) == Backlog())
    _ = try await driver.insert([job(priority: -5), job("b", due: .after(.seconds(30)))])
    pass(10)
    _ = try await driver.insert([job(priority: 9), job("c", due: .after(.seconds(3600)))])
    #expect(try await driver.backlog(nil, countingUpTo: 0).oldest == [oldest("a", 10)])
    pass(40)
    #expect(
      try await driver.backlog(nil, countingUpTo: 9)
        == Backlog(oldest: [oldest("a", 50), oldest("b", 20)], ready: 3))
    #expect(
      try await driver.backlog(["b", "none"], countingUpTo: 9) == Backlog(oldest: [oldest("b", 20)], ready: 1)
    )
    #expect(try await driver.backlog(["none"], countingUpTo: 9) == Backlog())
    for (most, ready) in [(0, 0), (2, 2), (3, 3), (4, 3)] {
      #expect(try await driver.backlog(nil, countingUpTo: most).ready == ready)
    }
    try await driver.pause(["a"], until: nil, reason: nil)
    #expect(
      try await driver.backlog(nil, countingUpTo: 9)
        == Backlog(oldest: [oldest("a", 50, isPaused: true), oldest("b", 20)], ready: 1))
    try await driver.pause(nil, until: nil, reason: nil)
    #expect(try await driver.backlog(nil, countingUpTo: 9).ready == 0)
    _ = try await driver.resume(nil)
    // A claim promotes the delayed job; a lease that expired makes it ready again.
    let request = ClaimRequest([.init("b", leaseDuration: .seconds(60))], limit: 1)
    let claimed = try await driver.claim(request).jobs
    #expect(try await driver.backlog(nil, countingUpTo: 9) == Backlog(oldest: [oldest("a", 50)], ready: 2))
    pass(70)
    #expect(
      try await driver.backlog(nil, countingUpTo: 9)
        == Backlog(oldest: [oldest("a", 120), oldest("b", 10)], ready: 3))
    #expect(try await driver.sizes() == DatabaseSizes())
    _ = try await driver.settle(
      claimed.map { Settlement($0.lease, .failed(message: ""), recording: .zero) }, claiming: nil)
    #expect(try await driver.sizes() == DatabaseSizes(failures: ["b": 1], statuses: ["b": 1]))
    await driver.close()
    try await database.drop()
  }
}
#endif
