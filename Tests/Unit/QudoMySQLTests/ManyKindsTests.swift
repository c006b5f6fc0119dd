#if MySQL
import MariaDBServer
@testable import QudoMySQL
import Qudo
import Testing

@Suite struct ManyKindsTests {
  private let kinds = (0..<60).map { Kind("kind \($0)") }
  private var want: ClaimRequest { ClaimRequest(kinds.map { .init($0) }, limit: 10) }

  @Test func onlyKindsWithReadyJobsAreLookedInto() async throws {
    let database = try await TestDatabase()
    let statements = Locked<[SQL]>([])
    let driver = try database.driver(
      options: "pool=1", observer: { statement in statements.withLock { $0.append(statement) } })
    let other = try database.driver()
    _ = try await other.insert(kinds.map { NewJob($0) })
    var claimed = 0
    while claimed < 60 { claimed += try await driver.claim(want).jobs.count }
    #expect(try await driver.claim(want).jobs.isEmpty)

    for (number, round) in [(7, "a kind that had none"), (7, "one that had some"), (31, "another")] {
      _ = try await other.insert((0..<3).map { NewJob(kinds[number], payload: Payload("\($0)")) })
      statements.withLock { $0 = [] }
      #expect(
        try await driver.claim(want).jobs.map(\.payload) == (0..<3).map { Payload("\($0)") }, "\(round)")
      let reads = statements.withLock { $0 }.filter {
        $0.text.contains("FROM qudo_ready") && $0.text.hasPrefix("SELECT")
      }
      #expect(reads.count < 10)
      #expect(!reads.contains { $0.text.contains("UNION ALL") }, "\(round)")
    }
    for driver in [driver, other] { await driver.close() }
    try await database.drop()
  }

  /// Others have the best ones locked: what comes behind them is found, of several kinds too.
  @Test func whatOthersHaveLockedHoldsNobodyUp() async throws {
    let database = try await TestDatabase()
    let driver = try database.driver()
    let jobs = (0..<400).map { NewJob(kinds[$0 % 2]) }
    let ids = try await driver.insert(jobs).map(\.id)
    let other = try database.connection()
    try other.run("START TRANSACTION")
    try other.run("SELECT id FROM qudo_ready WHERE id <= \(ids[299]) FOR UPDATE")
    let two = ClaimRequest(kinds.prefix(2).map { .init($0) }, limit: 10)
    #expect(try await driver.claim(two).jobs.map(\.id) == Array(ids[300..<310]))
    try other.run("ROLLBACK")
    #expect(try await driver.claim(two).jobs.map(\.id) == Array(ids[0..<10]))
    await driver.close()
    try await database.drop()
  }

  @Test("Many workers of many kinds run each job once, and none is left")
  func manyKindsRunEachJobOnce() async throws {
    let database = try await TestDatabase()
    let driver = try database.driver(options: "pool=8")
    _ = try await driver.insert((0..<600).map { NewJob(kinds[$0 % 20]) })
    let want = want
    let runs = try await withThrowingTaskGroup(of: [Int64].self) { group in
      for _ in 0..<8 {
        group.addTask {
          var done: [Int64] = []
          var jobs = try await driver.claim(want).jobs
          while !jobs.isEmpty {
            done += jobs.map(\.id)
            jobs =
              try await driver.settle(jobs.map { Settlement($0.lease, .completed()) }, claiming: want).claim?
              .jobs ?? []
          }
          return done
        }
      }
      return try await group.reduce(into: []) { $0 += $1 }
    }
    #expect(runs.count == 600)
    #expect(Set(runs).count == 600)
    #expect(try await driver.count() == [])
    await driver.close()
    try await database.drop()
  }
}
#endif
