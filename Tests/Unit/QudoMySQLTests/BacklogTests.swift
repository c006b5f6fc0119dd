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
    #expect(try await driver.logRows(countingUpTo: 9) == LogRowCounts(failures: 1, statuses: 1))
    #expect(try await driver.logRows(countingUpTo: 0) == LogRowCounts(failures: 0, statuses: 0))
    await driver.close()
    try await database.drop()
  }

  @Test("figures for a dashboard: what the other verbs tell, and the newest rows of the logs") func figures()
    async throws
  {
    let database = try await TestDatabase()
    let driver = try database.driver()
    _ = try await driver.insert((0..<5).map { _ in job() } + [job("b", due: .after(.seconds(600)))])
    let claimed = try await driver.claim(ClaimRequest([.init("a")], limit: 3)).jobs
    _ = try await driver.settle(
      [
        Settlement(claimed[0].lease, .completed(), recording: .milliseconds(5)),
        Settlement(claimed[1].lease, .failed(message: "no")),
      ], claiming: nil)
    try await driver.pause(["b"], until: nil, reason: "no disk")
    let figures = try await driver.figures(limit: 10)
    #expect(figures.counts == (try await driver.count()) && figures.counts.map(\.running) == [1, 0])
    #expect(figures.oldest.map(\.kind) == ["a"] && figures.pauses.map(\.kind) == ["b"])
    #expect(!figures.isExact && (figures.highestID ?? 0) >= 6)
    #expect(figures.running.map(\.id) == [claimed[2].lease.job])
    #expect(figures.failures.map(\.kind) == ["a"] && figures.failures.map(\.reason) == [.failed])
    #expect(figures.ended.map(\.status).contains(.completed))
    #expect(try await driver.figures(limit: 0).ended.isEmpty)
    await driver.close()
    try await database.drop()
  }

  @Test("lists read as much of payloads as they show") func payloads() async throws {
    let database = try await TestDatabase()
    let driver = try database.driver()
    let text = Array("späte".utf8)
    let ids = try await driver.insert([
      NewJob("a", payload: Payload(text)), NewJob("b", payload: Payload("two")),
    ])
    .compactMap(\.id)
    func found(_ query: JobQuery) async throws -> [[UInt8]] {
      try await driver.jobs(matching: query).map(\.payload.bytes)
    }
    for query in [JobQuery(ids: [ids[0]]), JobQuery(kinds: ["a"]), JobQuery(limit: 1)] {
      #expect(try await found(query.withPayloads(upTo: 3)) == [Array(text.prefix(3))])
      #expect(try await found(query.withPayloads(upTo: 0)) == [[]])
      #expect(try await found(query.withPayloads(upTo: .max)) == [text])
    }
    let claimed = try await driver.claim(ClaimRequest([.init("b")], limit: 1)).jobs
    _ = try await driver.settle(claimed.map { Settlement($0.lease, .failed(message: "no")) }, claiming: nil)
    #expect(try await driver.failures(LogQuery()).map(\.payload) == [Payload("two")])
    #expect(try await driver.failures(LogQuery().withoutPayloads).map(\.payload) == [nil])
    await driver.close()
    try await database.drop()
  }
}
#endif
