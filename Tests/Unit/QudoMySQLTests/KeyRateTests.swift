#if MySQL
import Evidence
import MariaDBServer
@testable import QudoMySQL
import Qudo
import QudoTesting
import Testing

/// Rates of concurrency keys on a server: what they cost, and what sessions do to each other.
@Suite struct KeyRateTests {
  private static let hour = Duration.seconds(3600)
  private static let start = Timestamp(microseconds: 1_800_000_000_000_000)
  private static let slow = RateLimit(1, per: .seconds(60))

  private func want(_ limit: Int = 100) -> ClaimRequest {
    ClaimRequest([.init("a", leaseDuration: Self.hour)], limit: limit)
  }

  private func keyed(_ rate: RateLimit?, _ key: String = "k", limit: Int = 100) -> NewJob {
    NewJob("a", payload: Payload(key), concurrencyKey: ConcurrencyKey(key, limit: limit, rate: rate))
  }

  private func check(_ database: TestDatabase) async throws {
    #expect(try await TableInvariants.violations(in: database.name, on: database.server) == [])
  }

  private func finish(_ driver: MySQLDriver, _ jobs: [ClaimedJob]) async throws {
    _ = try await driver.settle(jobs.map { Settlement($0.lease, .completed()) }, claiming: nil)
  }

  // MARK: Cost

  @Test("while no key has a rate, a claim of jobs with keys takes no further statement") func unused()
    async throws
  {
    let database = try await TestDatabase()
    let texts = Locked<[String]>([])
    let driver = try database.driver(
      options: "pool=1", clock: { Self.start }, trustsIdle: Self.hour,
      observer: { statement in texts.withLock { $0.append(statement.text) } })
    var costs: [[Int]] = []
    for job in [NewJob("a"), keyed(nil)] {
      _ = try await driver.insert(Array(repeating: job, count: 9))
      _ = try await driver.claim(want(1))
      texts.withLock { $0 = [] }
      let before = driver.roundTrips
      #expect(try await driver.claim(want(2)).jobs.count == 2)
      let said = texts.withLock { $0 }
      costs.append([driver.roundTrips - before, said.count])
      let own = said.filter { $0.contains("qudo_key") }
      #expect(own.count == (job.concurrencyKey == nil ? 0 : 1))
      #expect(own.allSatisfy { $0.hasPrefix("INSERT INTO qudo_lane") })
      try await finish(driver, try await driver.claim(want()).jobs)
    }
    #expect(costs[0] == costs[1])
    await driver.close()
    try await database.drop()
  }

  @Test("a hundred late jobs are delayed in a few round trips, however few a claim wants") func late()
    async throws
  {
    let database = try await TestDatabase()
    let time = Locked(Self.start)
    let driver = try database.driver(
      options: "pool=1", clock: { time.withLock { $0 } }, trustsIdle: Self.hour)
    _ = try await driver.insert((0..<100).map { _ in keyed(Self.slow) } + [NewJob("a")])
    try await finish(driver, try await driver.claim(want(1)).jobs)
    let before = driver.roundTrips
    let next = try await driver.claim(want(1))
    #expect(driver.roundTrips - before <= 16)
    #expect(next.jobs.map(\.payload.bytes) == [[]])
    #expect(try await driver.count() == [JobCount("a", delayed: 99, running: 1)])
    try await finish(driver, next.jobs)
    time.withLock { $0 = $0.advanced(by: .seconds(60)) }
    #expect(try await driver.claim(want()).jobs.count == 1)
    #expect(try await driver.count() == [JobCount("a", delayed: 98, running: 1)])
    try await check(database)
    await driver.close()
    try await database.drop()
  }

  // MARK: Drivers

  @Test("a driver learns that another one has brought rates") func learned() async throws {
    let database = try await TestDatabase()
    let (one, other) = (
      try database.driver(clock: { Self.start }), try database.driver(clock: { Self.start })
    )
    _ = try await one.insert((0..<3).map { _ in keyed(nil, "plain") })
    try await finish(one, try await one.claim(want()).jobs)
    _ = try await other.insert((0..<3).map { _ in keyed(Self.slow) })
    #expect(try await one.claim(want()).jobs.count == 1)
    // Jobs that wait get a rate.
    _ = try await other.insert((0..<3).map { _ in keyed(nil, "later") })
    _ = try await other.insert([keyed(Self.slow, "later")])
    #expect(try await one.claim(want()).jobs.map(\.payload.bytes) == [Array("later".utf8)])
    try await check(database)
    for driver in [one, other] { await driver.close() }
    try await database.drop()
  }

  @Test("a driver learns it while another session changes the bucket", arguments: [false, true])
  func learnedBesideAChange(_ enqueues: Bool) async throws {
    let database = try await TestDatabase()
    let (one, other) = (
      try database.driver(clock: { Self.start }), try database.driver(clock: { Self.start })
    )
    var settlements: [Settlement] = []
    if enqueues {
      try await one.setFailureRoutes([FailureRoute("a", to: "b")])
      _ = try await one.insert([NewJob("a")])
      settlements = try await one.claim(want()).jobs.map { Settlement($0.lease, .failed(message: "")) }
    }
    _ = try await other.insert((0..<3).map { _ in keyed(Self.slow) })
    let session = try database.connection(commits: false)
    // Its entry in the index of rates moves twice, and comes to lie behind where it was.
    let change = "UPDATE qudo_key_rate SET full_at = full_at + 1" as SQL
    try session.run(["SELECT 1 FROM qudo_key_rate FOR UPDATE", change])
    let hasAnswered = Locked(false)
    async let answer = {
      defer { hasAnswered.withLock { $0 = true } }
      return try await one.settle(settlements, claiming: want()).claim
    }()
    let asks =
      "SELECT 1 FROM information_schema.PROCESSLIST WHERE db = '\(database.name)' AND info LIKE '%MAX(rate)%' AND id <> CONNECTION_ID()"
    try await database.server.wait(for: asks) { !$0.isEmpty || hasAnswered.withLock { $0 } }
    try session.run([change, "COMMIT"])
    #expect(try await answer?.jobs.count ?? 0 <= 1)
    #expect(try await one.count().reduce(0) { $0 + $1.running } <= 1)
    try await check(database)
    for driver in [one, other] { await driver.close() }
    try await database.drop()
  }

  @Test("a claim that enqueues the jobs of final failures learns it, too", arguments: [false, true])
  func learnedWithInserts(_ isKnown: Bool) async throws {
    let database = try await TestDatabase()
    let (one, other) = (
      try database.driver(clock: { Self.start }), try database.driver(clock: { Self.start })
    )
    try await one.setFailureRoutes([FailureRoute("a", to: "b")])
    _ = try await one.insert([NewJob("a")])
    let job = try #require(try await one.claim(want()).jobs.first)
    _ = try await other.insert((0..<3).map { _ in keyed(Self.slow) })
    if isKnown { #expect(try await one.throttle(keyOf: job.id + 1, for: .microseconds(1)) == true) }
    let claim = try await one.settle([Settlement(job.lease, .failed(message: ""))], claiming: want()).claim
    #expect(claim?.jobs.count == (isKnown ? 0 : 1))
    #expect(
      try await one.count().sorted { $0.kind < $1.kind } == [
        isKnown ? JobCount("a", delayed: 3) : JobCount("a", delayed: 2, running: 1), JobCount("b", ready: 1),
      ])
    try await check(database)
    for driver in [one, other] { await driver.close() }
    try await database.drop()
  }

  @Test("nobody takes a token between the look of a claim and its commit") func locked() async throws {
    let database = try await TestDatabase()
    let isLocked = Locked<Bool?>(nil)
    let driver = try database.driver(
      options: "pool=1",
      observer: { statement in
        guard statement.text.hasPrefix("INSERT INTO qudo_running"), isLocked.withLock({ $0 == nil }) else {
          return
        }
        do {
          let connection = try database.connection(commits: false)
          try connection.run(["SELECT full_at FROM qudo_key_rate FOR UPDATE NOWAIT", "ROLLBACK"])
          isLocked.withLock { $0 = false }
        } catch let error as QudoError where error.mysql?.isOfContention == true || error.mysql?.code == 3572
        {
          isLocked.withLock { $0 = true }
        } catch {
          Issue.record(error)
        }
      })
    _ = try await driver.insert([keyed(Self.slow), keyed(Self.slow)])
    #expect(try await driver.claim(want()).jobs.count == 1)
    #expect(isLocked.withLock { $0 } == true)
    await driver.close()
    try await database.drop()
  }

  @Test(
    "sessions that enqueue and work at once exceed no rate, and every job runs", .timeLimit(.minutes(5)))
  func sessions() async throws {
    let database = try await TestDatabase()
    let drivers = try (0..<3).map { _ in try database.driver(options: "pool=2") }
    let keys = (0..<4).map {
      ConcurrencyKey("\($0)", limit: 3 + $0, rate: RateLimit(50, per: .seconds(1), burst: 2))
    }
    let (tasks, each) = (6, 30)
    let (begun, enqueued) = (Locked<[String: Int]>([:]), Locked(0))
    let clock = ContinuousClock()
    let first = clock.now
    try await withThrowingTaskGroup(of: Void.self) { group in
      for task in 0..<tasks {
        let driver = drivers[task % drivers.count]
        group.addTask {
          var random = Seeded(seed: UInt64(task))
          for _ in 0..<each {
            _ = try await driver.insert(
              keys.shuffled(using: &random).prefix(2).map {
                NewJob("a", payload: Payload($0.key), concurrencyKey: $0)
              })
            enqueued.withLock { $0 += 2 }
          }
        }
        group.addTask {
          var round = 0
          while begun.withLock({ $0.values.reduce(0, +) }) < tasks * each * 2 {
            round += 1
            let jobs = try await driver.claim(want(1 + round % 4)).jobs
            // Some of them did not begin.
            let unbegun = round % 9 == 0 ? 1 : 0
            begun.withLock { begun in
              for job in jobs.dropFirst(unbegun) {
                begun[String(decoding: job.payload.bytes, as: UTF8.self), default: 0] += 1
              }
            }
            let took = clock.now - first
            for (key, count) in begun.withLock({ $0 }) {
              #expect(count <= 2 + Int(took / .milliseconds(20)) + 1, "\(key) after \(took)")
            }
            let settlements = jobs.enumerated().map { index, job in
              var settlement = Settlement(job.lease, index < unbegun ? .released : .completed())
              settlement.hasBegun = index >= unbegun
              return settlement
            }
            _ = try await driver.settle(settlements, claiming: nil)
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(enqueued.withLock { $0 } == tasks * each * 2)
    #expect(try await drivers[0].count() == [])
    try await check(database)
    for driver in drivers { await driver.close() }
    try await database.drop()
  }

  // MARK: Buckets

  @Test("full buckets of keys without jobs go with a prune, and with the pruning of each connection")
  func pruned() async throws {
    let database = try await TestDatabase()
    let time = Locked(Self.start)
    let driver = try database.driver(options: "pool=1", clock: { time.withLock { $0 } })
    func buckets() async throws -> [String] {
      try await database.server.query(
        "SELECT name, rate FROM qudo_key_rate ORDER BY name", in: database.name)
    }
    _ = try await driver.insert([
      keyed(Self.slow, "gone"), keyed(Self.slow, "used"), keyed(RateLimit(1, per: Self.hour), "empty"),
    ])
    let jobs = try await driver.claim(want()).jobs
    #expect(jobs.count == 3)
    try await finish(driver, [jobs[0], jobs[2]])
    let before = ["empty\tNULL", "gone\tNULL", "used\t1/60000000/1"]
    #expect(try await buckets() == before)
    #expect(try await driver.prune(PruneOptions()) == 0)
    #expect(try await buckets() == before, "they are not full")
    time.withLock { $0 = $0.advanced(by: .seconds(60)) }
    _ = try await driver.prune(PruneOptions())
    #expect(try await buckets() == ["empty\tNULL", "used\t1/60000000/1"])
    try await finish(driver, [jobs[1]])
    time.withLock { $0 = $0.advanced(by: Self.hour) }
    // After so many keys, the connection prunes by itself, after it has answered.
    for round in 0..<2 {
      _ = try await driver.insert((0..<70).map { keyed(Self.slow, "\(round) \($0)") })
      try await finish(driver, try await driver.claim(want()).jobs)
      time.withLock { $0 = $0.advanced(by: Self.hour) }
    }
    _ = try await driver.count()
    #expect(try await buckets().count <= 70)
    try await check(database)
    await driver.close()
    try await database.drop()
  }

  // MARK: Statements that are stopped

  @Test(
    "a statement that changes or finds nothing and reports success lets no job begin without a token",
    arguments: Evidence.arguments([
      "SELECT j.id, j.kind, j.concurrency_key", "SELECT kind, name, rate", "SELECT COALESCE(MAX(rate)",
      "INSERT INTO qudo_lane", "SELECT kind, name, allowed", "UPDATE qudo_job", "DELETE FROM qudo_ready",
      "DELETE FROM qudo_delayed", "INSERT INTO qudo_running",
    ]))
  func stopped(_ beginning: String) async throws {
    let database = try await TestDatabase()
    let (met, time) = (Locked(0), Locked(Self.start))
    let driver = try database.driver(
      options: "pool=1", clock: { time.withLock { $0 } },
      replacing: { statement in
        let text = statement.text.replacing("\nWHERE ", with: " WHERE ")
        guard text.hasPrefix(beginning) else { return statement.bytes }
        let short =
          text.contains("MAX(rate)")
          // The subquery returns no row.
          ? text.replacing("FROM qudo_key_rate", with: "FROM qudo_key_rate HAVING 0")
          : met.withLock({ $0 }) % 6 < 3 && text.contains("LEFT JOIN")
            ? text.replacing(" ON r.kind", with: " ON 0 AND r.kind")
            : text.replacing(" WHERE ", with: " WHERE 0 AND ", maxReplacements: 1)
        guard short != text,
          met.withLock({
            $0 += 1; return $0 % 3 == 1
          })
        else { return statement.bytes }
        return Array(short.utf8)
      })
    // If a bucket is not found, another session may have locked it, and the claim leaves the jobs to a later one.
    func claimed() async throws -> [ClaimedJob] {
      var jobs: [ClaimedJob] = []
      for _ in 0..<3 { jobs += try await driver.claim(want()).jobs }
      return jobs
    }
    for round in 0..<3 {
      _ = try await driver.insert(
        (0..<4).map { _ in keyed(nil, "plain") } + (0..<4).map { _ in keyed(Self.slow, "k\(round)") }
          + [NewJob("a")])
      // As another driver, which does not know of them.
      driver.pool.access.kinds.control.withLock { $0.hasKeyRates = false }
      let jobs = try await claimed()
      #expect(
        jobs.count { $0.payload.bytes.starts(with: "k".utf8) } == 1 && jobs.count == 6, "round \(round)")
      try await check(database)
      let rated = try #require(jobs.first { $0.payload.bytes.starts(with: "k".utf8) })
      var unbegun = Settlement(rated.lease, .released)
      unbegun.hasBegun = false
      #expect(try await driver.settle([unbegun], claiming: nil).results == [.settled()])
      let again = try await claimed()
      #expect(again.map(\.id) == [rated.id], "its token was given back")
      #expect(try await driver.throttle(keyOf: rated.id, for: .seconds(90)) == true)
      time.withLock { $0 = $0.advanced(by: .seconds(60)) }
      #expect(try await claimed().isEmpty, "round \(round)")
      time.withLock { $0 = $0.advanced(by: .seconds(30)) }
      let more = try await claimed()
      #expect(more.count == 1, "round \(round)")
      try await check(database)
      try await finish(driver, jobs.filter { $0.id != rated.id } + again + more)
      try await check(database)
      _ = try await driver.cancel(matching: JobQuery(limit: 100), reason: nil)
      #expect(try await driver.count() == [])
    }
    #expect(met.withLock { $0 } > 2, "there was none of these statements")
    await driver.close()
    try await database.drop()
  }
}
#endif
