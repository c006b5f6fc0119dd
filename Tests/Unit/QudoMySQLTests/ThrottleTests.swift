#if MySQL
import Evidence
import MariaDBServer
@testable import QudoMySQL
import Qudo
import Testing

/// Throttles of unique keys as rows of a server, with other sessions and stopped statements, and what they cost.
@Suite struct ThrottleTests {
  private static let hour = Duration.seconds(3600)
  private let start = Timestamp(microseconds: 1_800_000_000_000_000)

  private func want(_ limit: Int = 10) -> ClaimRequest {
    ClaimRequest([.init("a", leaseDuration: Self.hour)], limit: limit)
  }

  private func check(_ database: TestDatabase) async throws {
    #expect(try await TableInvariants.violations(in: database.name, on: database.server) == [])
  }

  private func count(_ table: String, _ database: TestDatabase) async throws -> [String] {
    try await database.server.query("SELECT COUNT(*) FROM \(table)", in: database.name)
  }

  @Test("ended rests go with a prune, and with the next enqueue of their key") func endedRestsGo()
    async throws
  {
    let database = try await TestDatabase()
    let time = Locked(start)
    let driver = try database.driver(clock: { time.withLock { $0 } })
    _ = try await driver.insert(
      (0..<300).map {
        NewJob("a", unique: UniqueKey("\($0)", throttle: .seconds(60)), due: $0 % 2 == 0 ? .now : .at(start))
      })
    try await check(database)
    let jobs = try await driver.claim(want(299)).jobs
    _ = try await driver.settle(jobs.map { Settlement($0.lease, .completed()) }, claiming: nil)
    try await check(database)
    #expect(try await count("qudo_rest", database) == ["300"])
    #expect(try await count("qudo_unique", database) == ["300"])
    #expect(try await driver.prune(PruneOptions()) == 0)
    #expect(try await count("qudo_rest", database) == ["300"])
    time.withLock { $0 = $0.advanced(by: .seconds(60)) }
    guard case .inserted? = try await driver.insert([NewJob("a", unique: "0")]).first else {
      Issue.record("the rest has ended")
      return
    }
    #expect(try await count("qudo_rest", database) == ["299"])
    #expect(try await driver.prune(PruneOptions(keep: 1_000_000)) == 0)
    #expect(try await count("qudo_rest", database) == ["1"], "that of the job that waits")
    #expect(try await count("qudo_unique", database) == ["2"])
    try await check(database)
    await driver.close()
    try await database.drop()
  }

  /// The statement as one that finds nothing and reports success.
  private static func short(_ statement: SQL, _ beginning: String) -> [UInt8]? {
    let text = statement.text.replacing("\nWHERE ", with: " WHERE ")
    guard text.hasPrefix(beginning), let place = text.firstRange(of: " WHERE ") else { return nil }
    return Array("\(text[..<place.lowerBound]) WHERE 0 AND \(text[place.upperBound...])".utf8)
  }

  @Test(
    "a statement that changes or finds nothing and reports success forgets no rest",
    arguments: Evidence.arguments([
      "UPDATE qudo_rest", "DELETE FROM qudo_unique", "DELETE FROM qudo_rest", "DELETE FROM qudo_job",
      "DELETE FROM qudo_running", "SELECT h.kind, h.name", "SELECT id, ends, token, kind",
    ]))
  func short(_ beginning: String) async throws {
    let database = try await TestDatabase()
    let (met, time) = (Locked(0), Locked(start))
    let driver = try database.driver(
      options: "pool=1", clock: { time.withLock { $0 } },
      replacing: { statement in
        guard let short = Self.short(statement, beginning),
          met.withLock({
            $0 += 1; return $0 % 29 == 1
          })
        else { return statement.bytes }
        return short
      })
    for round in 0..<6 {
      let ids = try await driver.insert(
        (0..<12).map { NewJob("a", unique: UniqueKey("\($0)", throttle: $0 % 4 == 3 ? nil : Self.hour)) }
      ).map { result -> Int64 in
        if case .inserted(let id) = result { return id }
        Issue.record("round \(round): \(result)")
        return 0
      }
      try await check(database)
      let jobs = try await driver.claim(want(100)).jobs
      #expect(jobs.map(\.id) == ids)
      let outcomes: [Settlement.Outcome] = [
        .completed(), .failed(message: ""), .completed(), .completed(), .completed(replacements: []),
        .aborted(message: ""),
      ]
      let settlements = zip(jobs, outcomes + outcomes).map { Settlement($0.lease, $1) }
      #expect(
        try await driver.settle(settlements, claiming: nil).results == settlements.map { _ in .settled() })
      try await check(database)
      // Those that completed with a throttle rest.
      for (number, isResting) in [(0, true), (1, false), (3, false), (4, true), (8, true)] {
        let result = try await driver.insert([NewJob("b"), NewJob("a", unique: UniqueKey("\(number)"))])[1]
        #expect(isResting ? result == .conflict(ids[number]) : result.id > ids[11], "\(number): \(result)")
        try await check(database)
      }
      _ = try await driver.cancel(matching: JobQuery(kinds: ["a", "b"]), reason: nil)
      time.withLock { $0 = $0.advanced(by: Self.hour) }
    }
    #expect(met.withLock { $0 } > 2, "there was none of these statements")
    await driver.close()
    try await database.drop()
  }

  @Test(
    "enqueues of one key by several sessions, while it rests and after it, are whole", .timeLimit(.minutes(5))
  )
  func together() async throws {
    let database = try await TestDatabase()
    let drivers = try (0..<4).map { _ in try database.driver() }
    let completed = try await withThrowingTaskGroup(of: Int.self) { group in
      for driver in drivers {
        group.addTask {
          var completed = 0
          for round in 0..<60 {
            let throttle: Duration? = round % 3 == 0 ? nil : .milliseconds(1)
            let policies: [UniqueKey.Conflict] = [.reject, .keep, .overwrite]
            _ = try await driver.insert([
              NewJob(
                "a", unique: UniqueKey("k\(round % 2)", onConflict: policies[round % 3], throttle: throttle))
            ])
            let jobs = try await driver.claim(
              ClaimRequest([.init("a", leaseDuration: .seconds(3600))], limit: 3)
            ).jobs
            let results = try await driver.settle(
              jobs.map { Settlement($0.lease, round % 5 == 0 ? .failed(message: "") : .completed()) },
              claiming: nil)
            completed += results.results.count { $0 == .settled() }
          }
          return completed
        }
      }
      return try await group.reduce(0, +)
    }
    #expect(completed > 0)
    try await check(database)
    for driver in drivers { await driver.close() }
    try await database.drop()
  }

  // MARK: Cost

  private struct Cost: Equatable {
    var trips: Int
    var statements: Int
  }

  /// The cost of each verb, on one connection and with a time that stands still.
  private func costs(_ unique: (Int) -> UniqueKey?) async throws -> [String: Cost] {
    let database = try await TestDatabase()
    let texts = Locked<[String]>([])
    let driver = try database.driver(
      options: "pool=1", clock: { [start] in start }, trustsIdle: Self.hour,
      observer: { statement in texts.withLock { $0.append(statement.text) } })
    var costs: [String: Cost] = [:]
    let isThrottled = unique(0)?.throttle != nil
    func count<Result>(_ name: String, _ body: () async throws -> Result) async throws -> Result {
      let before = driver.roundTrips
      texts.withLock { $0 = [] }
      let result = try await body()
      let said = texts.withLock { $0 }
      costs[name] = Cost(trips: driver.roundTrips - before, statements: said.count)
      if !isThrottled {
        // The look at the holders of keys names the table.
        let own = said.filter { $0.contains("qudo_rest") && !$0.hasPrefix("SELECT h.kind, h.name") }
        #expect(own == [], "\(name)")
      }
      return result
    }
    _ = try await driver.insert([NewJob("a")])
    _ = try await driver.settle([], claiming: want(1))
    _ = try await count("insert") { try await driver.insert([NewJob("a", unique: unique(0))]) }
    _ = try await count("insert 10") {
      try await driver.insert((1...10).map { NewJob("a", unique: unique($0)) })
    }
    var jobs = try await count("claim") { try await driver.claim(want(1)).jobs }
    jobs += try await driver.claim(want(10)).jobs
    let outcomes: [(String, Settlement.Outcome)] = [
      ("complete", .completed()), ("fail", .failed(message: "")),
      ("retry", .retry(after: .seconds(9), message: "")),
      ("release", .released),
    ]
    for (index, (name, outcome)) in outcomes.enumerated() {
      _ = try await count(name) {
        try await driver.settle([Settlement(jobs[index].lease, outcome)], claiming: nil)
      }
    }
    _ = try await count("conflict") { try await driver.insert([NewJob("a", unique: unique(9))]) }
    await driver.close()
    try await database.drop()
    return costs
  }

  @Test("jobs without a throttle run no statement for it") func cost() async throws {
    _ = try await costs { _ in nil }
    let without = try await costs { UniqueKey("\($0)") }
    let with = try await costs { UniqueKey("\($0)", throttle: Self.hour) }
    for (name, cost) in with {
      let plain = try #require(without[name])
      // A completion is no plain one: it asks for the lease first.
      #expect(cost.trips - plain.trips <= (name == "complete" ? 1 : 0), "\(name)")
      #expect(cost.statements - plain.statements <= 5, "\(name)")
    }
  }
}
#endif
