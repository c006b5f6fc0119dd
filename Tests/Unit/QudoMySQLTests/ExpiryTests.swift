#if MySQL
import Evidence
import MariaDBServer
@testable import QudoMySQL
import Qudo
import Testing

/// Jobs that expire while other sessions work, and what they cost.
@Suite struct ExpiryTests {
  private static let hour = Duration.seconds(3600)
  private let start = Timestamp(microseconds: 1_800_000_000_000_000)

  private func want(_ limit: Int = 10, _ kinds: Kind...) -> ClaimRequest {
    ClaimRequest(
      (kinds.isEmpty ? ["a"] : kinds).map { .init($0, leaseDuration: Self.hour) }, limit: limit)
  }

  private func check(_ database: TestDatabase) async throws {
    #expect(try await TableInvariants.violations(in: database.name, on: database.server) == [])
  }

  private func rows(_ database: TestDatabase) async throws -> [Int64] {
    try await database.server.query("SELECT id FROM qudo_expiry ORDER BY id", in: database.name).compactMap {
      Int64($0)
    }
  }

  // MARK: Rows

  @Test("the row of an expiry goes with its job, or when its time has come") func rowsGo() async throws {
    let database = try await TestDatabase()
    let time = Locked(start)
    let driver = try database.driver(clock: { time.withLock { $0 } })
    func pass(_ duration: Duration) { time.withLock { $0 = $0.advanced(by: duration) } }
    func insert(_ count: Int) async throws -> [Int64] {
      try await driver.insert((0..<count).map { _ in NewJob("a", expires: .after(.seconds(60))) }).map(\.id)
    }
    let ended = try await insert(6)
    let claimed = try await driver.claim(want()).jobs
    let outcomes: [Settlement.Outcome] = [
      .completed(), .completed(replacements: [NewJob("b")]), .failed(message: ""), .aborted(message: ""),
      .completed(), .completed(),
    ]
    let settlements = zip(claimed, outcomes).enumerated().map { index, pair in
      Settlement(pair.0.lease, pair.1, recording: index > 4 ? .seconds(1) : nil)
    }
    #expect(try await driver.settle(settlements, claiming: nil).results.count == ended.count)
    #expect(try await rows(database) == [])
    let cancelled = try await insert(2)
    #expect(try await rows(database) == cancelled)
    _ = try await driver.cancel(cancelled, reason: nil)
    #expect(try await rows(database) == [])

    // A job that runs on needs none, and gets it back when it waits.
    let running = try await insert(3)
    let leases = try await driver.claim(want()).jobs.map(\.lease)
    pass(.seconds(60))
    #expect(try await driver.claim(want()).givenUp == [])
    #expect(try await rows(database) == [])
    _ = try await driver.settle(
      [
        Settlement(leases[0], .retry(after: .seconds(1), message: "")), Settlement(leases[1], .released),
        Settlement(leases[2], .completed()),
      ], claiming: nil)
    #expect(try await rows(database) == Array(running.prefix(2)))
    try await check(database)
    #expect(try await driver.claim(want()).givenUp.map(\.id) == Array(running.prefix(2)))

    // What a stopped statement left.
    try await database.server.query("INSERT INTO qudo_expiry VALUES(999999, 1)", in: database.name)
    let free = try await driver.insert([NewJob("a")])[0].id
    try await database.server.query("INSERT INTO qudo_expiry VALUES(\(free), 1)", in: database.name)
    #expect(try await driver.claim(want()).jobs.map(\.id) == [free])
    #expect(try await rows(database) == [])
    await driver.close()
    try await database.drop()
  }

  @Test("a job whose row is missing is not claimed after its expiry") func missingRow() async throws {
    let database = try await TestDatabase()
    let time = Locked(start)
    let driver = try database.driver(clock: { time.withLock { $0 } })
    let ids = try await driver.insert([
      NewJob("a", expires: .after(.seconds(1))), NewJob("a", expires: .after(.seconds(9))),
    ]).map(\.id)
    try await database.server.query("DELETE FROM qudo_expiry", in: database.name)
    time.withLock { $0 = $0.advanced(by: .seconds(1)) }
    let claim = try await driver.claim(want())
    #expect(claim.givenUp.map(\.id) == [ids[0]] && claim.jobs.map(\.id) == [ids[1]])
    await driver.close()
    try await database.drop()
  }

  // MARK: Races

  @Test("each of many jobs is claimed or expires, whatever else happens", .timeLimit(.minutes(5)))
  func race() async throws {
    let database = try await TestDatabase()
    let time = Locked(start)
    let drivers = try (0..<4).map { _ in try database.driver(clock: { time.withLock { $0 } }) }
    let count = 300
    let ids = try await drivers[0].insert(
      (0..<count).map { number in
        NewJob(
          "a", unique: number % 4 == 0 ? UniqueKey("\(number)") : nil, priority: number % 3,
          due: number % 5 == 0 ? .after(.seconds(1)) : .now, expires: .after(.seconds(2 + number % 40)))
      }
    ).map(\.id)
    let expiries = Dictionary(uniqueKeysWithValues: zip(ids, (0..<count).map { 2 + $0 % 40 }))
    let (completed, given) = (Locked<[Int64]>([]), Locked<[Int64]>([]))
    try await withThrowingTaskGroup(of: Void.self) { group in
      for driver in drivers.prefix(3) {
        group.addTask { [start] in
          var round = 0
          while true {
            round += 1
            let before = time.withLock { $0 }
            let claim = try await driver.claim(want(3))
            given.withLock { $0 += claim.givenUp.map(\.id) }
            for job in claim.jobs {
              #expect(
                start.advanced(by: .seconds(expiries[job.id] ?? 0)) > before, "expired before the claim")
            }
            let settlements = claim.jobs.map { job in
              Settlement(job.lease, (Int(job.id) + round) % 3 == 0 ? .completed() : .released)
            }
            let results = try await driver.settle(settlements, claiming: nil).results
            #expect(results == settlements.map { _ in .settled() })
            completed.withLock { done in
              for settlement in settlements where settlement.outcome.completes {
                done.append(settlement.lease.job)
              }
            }
            time.withLock { $0 = $0.advanced(by: .milliseconds(150)) }
            if claim.jobs.isEmpty, try await driver.count() == [] { break }
          }
        }
      }
      // Changes keep their expiry, but move the jobs.
      group.addTask {
        for start in stride(from: 0, to: count, by: 60) {
          _ = try await drivers[3].change(
            Array(ids[start..<start + 60]), JobChange(priority: start % 7, payload: Payload("x")))
        }
      }
      try await group.waitForAll()
    }
    let failures = try await drivers[0].failures(LogQuery(limit: 1000))
    #expect(failures.allSatisfy { $0.reason == .expired && $0.isFinal })
    #expect(failures.map(\.job).sorted() == given.withLock { $0.sorted() })
    #expect((completed.withLock { $0 } + given.withLock { $0 }).sorted() == ids)
    _ = try await drivers[0].claim(want(0))
    #expect(try await rows(database) == [])
    try await check(database)
    for driver in drivers { await driver.close() }
    try await database.drop()
  }

  @Test("jobs expire beside cancels and enqueues that overwrite them", .timeLimit(.minutes(5)))
  func besideOthers() async throws {
    let database = try await TestDatabase()
    let time = Locked(start)
    let drivers = try (0..<3).map { _ in try database.driver(clock: { time.withLock { $0 } }) }
    let (made, ended) = (Locked<Set<Int64>>([]), Locked<[Int64]>([]))
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        for round in 0..<60 {
          let jobs = (0..<8).map { key in
            NewJob(
              "a",
              unique: UniqueKey(
                "\(key)", scope: key < 4 ? .untilFinished : .untilStarted, onConflict: .overwrite),
              priority: (round + key) % 5,
              expires: round % 3 == 0 ? .never : .after(.seconds(1 + round % 2)))
          }
          for result in try await drivers[0].insert(jobs) {
            if case .inserted(let id) = result { _ = made.withLock { $0.insert(id) } }
          }
          time.withLock { $0 = $0.advanced(by: .milliseconds(500)) }
        }
      }
      group.addTask { [none = want(0)] in
        for _ in 0..<60 {
          let claim = try await drivers[1].claim(none)
          ended.withLock { $0 += claim.givenUp.map(\.id) }
        }
      }
      group.addTask {
        for _ in 0..<40 {
          let cancelled = try await drivers[2].cancel(matching: JobQuery(limit: 2), reason: nil)
          ended.withLock { $0 += cancelled.filter { $0.result == .cancelled }.map(\.id) }
        }
      }
      try await group.waitForAll()
    }
    try await check(database)
    time.withLock { $0 = $0.advanced(by: .seconds(60)) }
    let last = try await drivers[0].claim(want(0)).givenUp.map(\.id)
    let left = try await drivers[0].jobs(matching: JobQuery(limit: 1000)).map(\.id)
    #expect((ended.withLock { $0 } + last + left).sorted() == made.withLock { $0.sorted() })
    #expect(try await rows(database) == [])
    for driver in drivers { await driver.close() }
    try await database.drop()
  }

  @Test("a sweep leaves out what others have locked, and takes it later") func locked() async throws {
    let database = try await TestDatabase()
    let time = Locked(start)
    let driver = try database.driver(clock: { time.withLock { $0 } })
    let ids = try await driver.insert((0..<3).map { _ in NewJob("a", expires: .after(.seconds(1))) }).map(
      \.id)
    time.withLock { $0 = $0.advanced(by: .seconds(1)) }
    let session = try database.connection(commits: false)
    try session.run("SELECT id FROM qudo_ready WHERE id = \(ids[0]) FOR UPDATE")
    try session.run("SELECT id FROM qudo_expiry WHERE id = \(ids[1]) FOR UPDATE")
    let first = try await driver.claim(want())
    #expect(Set(first.givenUp.map(\.id)).isSuperset(of: [ids[2]]) && first.jobs.isEmpty)
    try session.run("ROLLBACK")
    let second = try await driver.claim(want())
    #expect((first.givenUp + second.givenUp).map(\.id).sorted() == ids && second.jobs.isEmpty)
    try await check(database)
    await driver.close()
    try await database.drop()
  }

  // MARK: Stopped statements

  /// The statement as one that finds nothing and reports success.
  private static func short(_ statement: SQL, _ beginning: String) -> [UInt8]? {
    let text = statement.text.replacing("\nWHERE ", with: " WHERE ")
    guard text.hasPrefix(beginning), let place = text.firstRange(of: " WHERE ") else { return nil }
    return Array("\(text[..<place.lowerBound]) WHERE 0 AND \(text[place.upperBound...])".utf8)
  }

  @Test(
    "a sweep of which a statement finds nothing is not committed, or is made up for",
    arguments: Evidence.arguments([
      "DELETE FROM qudo_ready", "DELETE FROM qudo_delayed", "DELETE FROM qudo_running",
      "DELETE FROM qudo_job",
      "DELETE FROM qudo_unique", "DELETE FROM qudo_expiry", "INSERT INTO qudo_failure",
      "INSERT INTO qudo_expiry(id, expires) SELECT", "SELECT id FROM qudo_expiry", "SELECT j.id, k.name",
      "SELECT j.kind, j.ranking", "SELECT kind, ranking, due, id, flags", "SELECT ends, id FROM qudo_running",
      "SELECT id, ends, token, kind",
    ]))
  func shortSweep(_ beginning: String) async throws {
    let database = try await TestDatabase()
    let (met, time) = (Locked(0), Locked(start))
    let driver = try database.driver(
      options: "pool=1", clock: { time.withLock { $0 } },
      replacing: { statement in
        guard let short = Self.short(statement, beginning),
          met.withLock({
            $0 += 1; return $0 % 7 == 1
          })
        else {
          return statement.bytes
        }
        return short
      })
    var all: [Int64] = []
    for _ in 0..<3 {
      let ids = try await driver.insert(
        (0..<20).map { number in
          NewJob(
            "a", unique: number % 3 == 0 ? UniqueKey("\(number)") : nil, priority: number < 8 ? 1 : 0,
            due: number % 5 == 4 ? .after(.seconds(1)) : .now, expires: .after(.seconds(5)))
        }
      ).map(\.id)
      all += ids
      var running: [ClaimedJob] = []
      while running.count < 4 { running += try await driver.claim(want(4 - running.count)).jobs }
      try await check(database)
      time.withLock { $0 = $0.advanced(by: .seconds(5)) }
      _ = try await driver.claim(want(0))
      let settlements = [
        Settlement(running[0].lease, .released),
        Settlement(running[1].lease, .retry(after: .zero, message: "")),
        Settlement(running[2].lease, .retry(after: .seconds(9), message: "")),
        Settlement(running[3].lease, .snoozed(.zero)),
      ]
      #expect(
        try await driver.settle(settlements, claiming: nil).results == settlements.map { _ in .settled() })
      try await check(database)
      for _ in 0..<20 where try await driver.count() != [] {
        #expect(try await driver.claim(want()).jobs.map(\.id) == [])
        try await check(database)
      }
      #expect(try await driver.count() == [])
    }
    #expect(met.withLock { $0 } > 2, "there was none of these statements")
    let failures = try await driver.failures(LogQuery(limit: 1000)).filter(\.isFinal)
    #expect(failures.allSatisfy { $0.reason == .expired } && failures.map(\.job).sorted() == all)
    for _ in 0..<20 where try await !rows(database).isEmpty {
      time.withLock { $0 = $0.advanced(by: .seconds(60)) }
      _ = try await driver.claim(want())
    }
    #expect(try await rows(database) == [])
    await driver.close()
    try await database.drop()
  }

  // MARK: Cost

  private struct Cost: Equatable {
    var trips: Int
    var statements: Int
  }

  /// The cost of each verb, on one connection and with a time that stands still.
  private func costs(_ expires: Expiry) async throws -> [String: Cost] {
    let database = try await TestDatabase()
    let texts = Locked<[String]>([])
    let driver = try database.driver(
      options: "pool=1", clock: { [start] in start }, trustsIdle: Self.hour,
      observer: { statement in texts.withLock { $0.append(statement.text) } })
    var costs: [String: Cost] = [:]
    func count<Result>(_ name: String, _ body: () async throws -> Result) async throws -> Result {
      let before = driver.roundTrips
      texts.withLock { $0 = [] }
      let result = try await body()
      let said = texts.withLock { $0 }
      costs[name] = Cost(trips: driver.roundTrips - before, statements: said.count)
      if expires == .never {
        // The claim's row of next times names the table, and the row of a lease the route.
        let own = said.filter { $0.contains("qudo_expiry") && !$0.contains("qudo_pause") }
        #expect(own == [], "\(name)")
        let routes = said.filter { $0.contains("qudo_route") && !$0.contains("FROM qudo_running WHERE") }
        #expect(routes == [], "\(name)")
      }
      return result
    }
    let job = NewJob("a", expires: expires)
    _ = try await driver.insert([job])
    _ = try await driver.claim(want(1))
    _ = try await count("insert") { try await driver.insert([job]) }
    _ = try await count("insert 10") { try await driver.insert((0..<10).map { _ in job }) }
    var jobs: [ClaimedJob] = []
    jobs += try await driver.claim(want(1)).jobs
    jobs += try await count("claim") { try await driver.claim(want(1)).jobs }
    jobs += try await driver.claim(want(8)).jobs
    let outcomes: [(String, Settlement.Outcome)] = [
      ("complete", .completed()), ("fail", .failed(message: "")), ("abort", .aborted(message: "")),
      ("retry", .retry(after: .seconds(9), message: "")), ("release", .released),
      ("snooze", .snoozed(.seconds(9))),
    ]
    for (index, (name, outcome)) in outcomes.enumerated() {
      _ = try await count(name) {
        try await driver.settle([Settlement(jobs[index].lease, outcome)], claiming: nil)
      }
    }
    _ = try await count("complete and claim") {
      try await driver.settle([Settlement(jobs[6].lease, .completed())], claiming: want(1))
    }
    await driver.close()
    try await database.drop()
    return costs
  }

  @Test("jobs without an expiry cost no statement, and jobs with one no round trip") func cost() async throws
  {
    let without = try await costs(.never)
    let with = try await costs(.after(Self.hour))
    #expect(without.mapValues(\.trips) == with.mapValues(\.trips))
    for (name, cost) in with { #expect(cost.statements - (without[name]?.statements ?? 0) <= 3, "\(name)") }
  }

  // MARK: Other drivers

  @Test("a driver that listens is told of a job that expires", .timeLimit(.minutes(5))) func told()
    async throws
  {
    let database = try await TestDatabase()
    let (here, there) = (try database.driver(), try database.driver())
    let (rings, signal) = AsyncStream<Void>.makeStream()
    let id = here.doorbell.listen { signal.yield() }
    // No worker runs this kind, and nobody else claims.
    let job = try await there.insert([
      NewJob("b", due: .after(Self.hour), expires: .after(Self.hour + .seconds(1)))
    ])
    #expect(try await there.change([job[0].id], JobChange(expires: .after(.milliseconds(200)))) == [.changed])
    for await _ in rings where try await here.claim(want()).givenUp.map(\.id) == [job[0].id] { break }
    here.doorbell.stopListening(id)
    for driver in [here, there] { await driver.close() }
    try await database.drop()
  }
}
#endif
