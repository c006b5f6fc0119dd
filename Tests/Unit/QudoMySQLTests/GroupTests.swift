#if MySQL
import MariaDBServer
@testable import QudoMySQL
import Qudo
import QudoTesting
import Testing

/// Groups of jobs as rows of a server, beside other sessions and scan cursors.
@Suite struct GroupTests {
  private func grouped(_ group: String?, _ count: Int, due: Due = .now) -> [NewJob] {
    (1...count).map { NewJob("a", payload: Payload("\(group ?? "none")\($0)"), group: group, due: due) }
  }

  private func claim(_ driver: MySQLDriver, _ limit: Int) async throws -> [ClaimedJob] {
    try await driver.claim(ClaimRequest([.init("a", leaseDuration: .seconds(3600))], limit: limit)).jobs
  }

  private func texts(_ jobs: [ClaimedJob]) -> [String] {
    jobs.map { String(decoding: $0.payload.bytes, as: UTF8.self) }
  }

  private func check(_ database: TestDatabase) async throws {
    #expect(try await TableInvariants.violations(in: database.name, on: database.server) == [])
  }

  @Test(
    "places begin at the scan cursor, and a job that comes back below it is found"
  )
  func cursors() async throws {
    let database = try await TestDatabase()
    let (driver, other) = (try database.driver(), try database.driver())
    _ = try await driver.insert(grouped("A", 30))
    for driver in [driver, other] {
      driver.pool.access.cursors.withLock { cursors in
        cursors = ScanCursors(slow: .seconds(3600), leastWalk: .zero, trust: .zero)
        cursors.turnOn(.now)
      }
    }
    #expect(texts(try await claim(other, 5)) == (1...5).map { "A\($0)" })
    #expect(texts(try await claim(driver, 5)) == (6...10).map { "A\($0)" })
    // As if no time went by from now on.
    for driver in [driver, other] {
      driver.pool.access.cursors.withLock { $0.turnOn(.now + .seconds(3600)) }
    }
    _ = try await driver.insert(grouped("B", 3))
    #expect(texts(try await claim(driver, 3)) == ["A11", "B1", "A12"])
    // Its cursor is below those places anyway.
    #expect(texts(try await claim(other, 2)) == ["B2", "A13"])
    // A job that comes back lies below all cursors.
    let jobs = try await claim(driver, 4)
    _ = try await driver.settle([Settlement(jobs[0].lease, .released)], claiming: nil)
    #expect(try await claim(driver, 1).map(\.id) == [jobs[0].id])
    try await check(database)
    for driver in [driver, other] { await driver.close() }
    try await database.drop()
  }

  /// Returns random jobs.
  private static func jobs(_ count: Int, _ random: inout Seeded) -> [NewJob] {
    let groups: [String?] = ["A", "B", nil, nil]
    var jobs: [NewJob] = []
    for _ in 0..<count {
      func isOne(of count: Int) -> Bool { Int.random(in: 0..<count, using: &random) == 0 }
      var new = NewJob(isOne(of: 4) ? "b" : "a")
      new.group = groups[Int.random(in: 0..<groups.count, using: &random)]
      new.priority = isOne(of: 2) ? 1 : 0
      if isOne(of: 5) { new.unique = UniqueKey(isOne(of: 2) ? "u" : "v", onConflict: .overwrite) }
      if isOne(of: 5) { new.due = .after(.seconds(5)) }
      if isOne(of: 5) { new.concurrencyKey = "k" }
      jobs.append(new)
    }
    return jobs
  }

  @Test("each row is that of a live job at its place, whatever the verbs do", arguments: [1, 2, 3])
  func rows(seed: UInt64) async throws {
    let database = try await TestDatabase()
    let start = Timestamp(microseconds: 1_800_000_000_000_000)
    let time = Locked(start)
    let drivers = try (0..<2).map { _ in try database.driver(clock: { time.withLock { $0 } }) }
    var random = Seeded(seed: seed)
    var claimed: [ClaimedJob] = []
    func ids(_ count: Int) async throws -> [Int64] {
      let all = try await drivers[0].jobs(matching: JobQuery(limit: 1000)).map(\.id)
      return Array(all.shuffled(using: &random).prefix(count))
    }
    for _ in 0..<80 {
      let driver = drivers[Int.random(in: 0..<2, using: &random)]
      switch Int.random(in: 0..<10, using: &random) {
      case 0...3:
        _ = try await driver.insert(Self.jobs(Int.random(in: 1...12, using: &random), &random))
      case 4, 5:
        let limit = Int.random(in: 1...20, using: &random)
        claimed += try await driver.claim(
          ClaimRequest(
            ["a", "b"].map { .init($0, leaseDuration: .seconds(30), maxExpiredLeases: 2) }, limit: limit)
        ).jobs
      case 6:
        let outcomes: [Settlement.Outcome] = [
          .completed(), .completed(), .failed(message: ""), .retry(after: .seconds(1), message: ""),
          .retry(after: .zero, message: ""), .released, .completed(replacements: grouped("B", 1)),
        ]
        let settlements = claimed.shuffled(using: &random).map {
          Settlement($0.lease, outcomes.randomElement(using: &random) ?? .completed())
        }
        _ = try await driver.settle(settlements, claiming: nil)
        claimed = []
      case 7: _ = try await driver.cancel(try await ids(3), reason: nil)
      case 8:
        let changes = [JobChange(priority: 1), JobChange(due: .now), JobChange(metadata: ["a": "b"])]
        _ = try await driver.change(try await ids(4), changes.randomElement(using: &random) ?? changes[0])
      default:
        let seconds = Int64.random(in: 1...40, using: &random)
        time.withLock { $0 = $0.advanced(by: .seconds(seconds)) }
      }
      try await check(database)
    }
    for driver in drivers { await driver.close() }
    try await database.drop()
  }

  @Test("listings and claimed jobs have the true due time, and its ages are of places") func dueTimes()
    async throws
  {
    let database = try await TestDatabase()
    let start = Timestamp(microseconds: 1_800_000_000_000_000)
    let time = Locked(start)
    let driver = try database.driver(clock: { time.withLock { $0 } })
    _ = try await driver.insert(grouped("A", 2))
    time.withLock { $0 = $0.advanced(by: .seconds(60)) }
    let later = start.advanced(by: .seconds(60))
    let ids = try await driver.insert(grouped("B", 1)).map(\.id)
    let found = try await driver.jobs(
      matching: JobQuery(JobFilter(dueAt: later..<later.advanced(by: .seconds(1)))))
    #expect(found.map(\.id) == ids && found.map(\.dueAt) == [later])
    let jobs = try await claim(driver, 2)
    #expect(texts(jobs) == ["A1", "B1"] && jobs.map(\.dueAt) == [start, later])
    await driver.close()
    try await database.drop()
  }
}
#endif
