#if MySQL
import MariaDBServer
@testable import QudoMySQL
import Qudo
import QudoTesting
import Testing

/// Concurrency keys on a server: what they cost, and what sessions do to each other.
@Suite struct ConcurrencyKeyTests {
  private static let hour = Duration.seconds(3600)
  private let start = Timestamp(microseconds: 1_800_000_000_000_000)

  private func want(_ limit: Int = 100, _ kind: Kind = "a") -> ClaimRequest {
    ClaimRequest([.init(kind, leaseDuration: Self.hour)], limit: limit)
  }

  private func keyed(
    _ text: String = "", _ key: ConcurrencyKey? = "k", unique: UniqueKey? = nil, due: Due = .now,
    expires: Expiry = .never
  ) -> NewJob {
    NewJob(
      "a", payload: Payload(text), unique: unique, concurrencyKey: key, due: due, expires: expires)
  }

  private func check(_ database: TestDatabase) async throws {
    #expect(try await TableInvariants.violations(in: database.name, on: database.server) == [])
  }

  private func finish(_ driver: MySQLDriver, _ jobs: [ClaimedJob]) async throws {
    _ = try await driver.settle(jobs.map { Settlement($0.lease, .completed()) }, claiming: nil)
  }

  // MARK: Cost

  private struct Cost: Equatable {
    var trips: Int
    var statements: Int
  }

  /// The cost of each verb, on one connection and with a time that stands still.
  private func costs(_ key: ConcurrencyKey?) async throws -> [String: Cost] {
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
      if key == nil {
        let own = said.filter { text in
          ["qudo_key", "qudo_held", "qudo_stop", "concurrency_key"].contains { text.contains($0) }
        }
        #expect(own == [], "\(name)")
      }
      return result
    }
    _ = try await driver.insert([keyed("", key)])
    _ = try await driver.claim(want(1))
    _ = try await count("insert") { try await driver.insert([keyed("", key)]) }
    _ = try await count("insert 10") {
      try await driver.insert((0..<10).map { keyed("\($0)", key, due: $0 == 9 ? .after(Self.hour) : .now) })
    }
    var jobs = try await driver.claim(want(1)).jobs
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

  @Test("jobs without a key cost no statement, and jobs with one at most two round trips each") func cost()
    async throws
  {
    let without = try await costs(nil)
    let with = try await costs(ConcurrencyKey("k", limit: 100))
    for (name, cost) in with {
      let usual = try #require(without[name])
      let ends = ["complete", "fail", "abort", "complete and claim"].contains(name)
      #expect(
        cost.trips - usual.trips <= (ends ? 2 : name.hasPrefix("insert") ? 1 : 0), "\(name) \(cost) \(usual)")
      #expect(cost.statements - usual.statements <= 10, "\(name) \(cost) \(usual)")
    }
  }

  @Test("a hundred jobs of as many keys are enqueued and completed in a few round trips") func many()
    async throws
  {
    let database = try await TestDatabase()
    let driver = try database.driver(options: "pool=1", trustsIdle: Self.hour)
    try await driver.connect()
    var before = driver.roundTrips
    _ = try await driver.insert((0..<300).map { keyed("\($0)", ConcurrencyKey("k\($0 % 100)")) })
    #expect(driver.roundTrips - before <= 6)
    for _ in 0..<3 {
      let jobs = try await driver.claim(want()).jobs
      #expect(jobs.count == 100)
      before = driver.roundTrips
      try await finish(driver, jobs)
      #expect(driver.roundTrips - before <= 4)
      try await check(database)
    }
    #expect(try await rows(database) == ["0", "0"])
    await driver.close()
    try await database.drop()
  }

  private func rows(_ database: TestDatabase) async throws -> [String] {
    try await database.server.query(
      "SELECT COUNT(*) FROM qudo_key UNION ALL SELECT COUNT(*) FROM qudo_held", in: database.name)
  }

  // MARK: Tables

  @Test("the tables agree with the jobs, whatever the verbs do", arguments: [1, 2, 3])
  func tables(seed: UInt64) async throws {
    let database = try await TestDatabase()
    let time = Locked(start)
    let driver = try database.driver(options: "pool=1", clock: { time.withLock { $0 } })
    var random = Seeded(seed: seed)
    _ = try await driver.insert([keyed()])
    var claimed: [ClaimedJob] = []
    for _ in 0..<60 {
      switch Int.random(in: 0..<11, using: &random) {
      case 0...2:
        let new = (0..<Int.random(in: 1...3, using: &random)).map { _ in
          let unique = UniqueKey(
            "u\(Int.random(in: 0..<9, using: &random))",
            scope: Bool.random(using: &random) ? .untilStarted : .untilFinished, onConflict: .overwrite)
          let key = ConcurrencyKey(
            "k\(Int.random(in: 0..<3, using: &random))", limit: Int.random(in: 1...3, using: &random),
            rate: Int.random(in: 0..<3, using: &random) == 0 ? RateLimit(2, per: .seconds(8)) : nil,
            afterFailure: Int.random(in: 0..<3, using: &random) == 0 ? .stop : .goOn)
          return keyed(
            "", Int.random(in: 0..<4, using: &random) > 0 ? key : nil,
            unique: Int.random(in: 0..<3, using: &random) > 0 ? unique : nil,
            due: Bool.random(using: &random) ? .now : .after(.seconds(3)),
            expires: Int.random(in: 0..<4, using: &random) > 0 ? .never : .after(.seconds(9)))
        }
        _ = try await driver.insert(new)
      case 3:
        claimed += try await driver.claim(
          ClaimRequest([.init("a", leaseDuration: .seconds(20), maxExpiredLeases: 2)], limit: 2)
        ).jobs
      case 4:
        let outcomes: [Settlement.Outcome] = [
          .completed(), .failed(message: ""), .retry(after: .seconds(1), message: ""), .released,
          .completed(replacements: [
            keyed(), keyed("", "k1", unique: UniqueKey("u1", onConflict: .overwrite)),
          ]),
        ]
        let settlements = claimed.shuffled(using: &random).map { job in
          var settlement = Settlement(job.lease, outcomes.randomElement(using: &random) ?? .completed())
          settlement.hasBegun = Bool.random(using: &random)
          return settlement
        }
        _ = try await driver.settle(settlements, claiming: nil)
        claimed = []
      case 5:
        let ids = try await driver.jobs(matching: JobQuery(limit: 1000)).map(\.id)
        _ = try await driver.cancel(Array(ids.shuffled(using: &random).prefix(2)), reason: nil)
        if let id = ids.last { _ = try await driver.throttle(keyOf: id, for: .seconds(2)) }
      case 6: time.withLock { $0 = $0.advanced(by: .seconds(Int.random(in: 1...15, using: &random))) }
      case 8: _ = try await driver.resume(keys: ["k0", "k1", "none"], of: "a")
      case 9:
        let failures = try await driver.keyStops(nil, after: 0, limit: 3).map(\.failure)
        _ = try await driver.replay(Array(failures.prefix(2)))
        _ = try await driver.resolve(Array(failures.suffix(1)))
      case 7:
        _ = try await driver.change(
          matching: JobQuery(states: [.held], limit: 2),
          JobChange(priority: Int.random(in: 0...2, using: &random), due: .after(.seconds(2))))
      default:
        var bounded = keyed("", "k2")
        bounded.maxWaiting = .dropOldest(12)
        _ = try await driver.insert([bounded])
        _ = try await driver.replay(try await driver.failures(LogQuery(limit: 2)).map(\.id))
      }
      try await check(database)
    }
    await driver.close()
    try await database.drop()
  }

  // MARK: Sessions

  @Test(
    "sessions that enqueue and work at once keep the order and the limit of each key", .timeLimit(.minutes(5))
  )
  func sessions() async throws {
    let database = try await TestDatabase()
    let drivers = try (0..<4).map { _ in try database.driver(options: "pool=2") }
    let keys = [ConcurrencyKey("one"), ConcurrencyKey("two"), ConcurrencyKey("three", limit: 2)]
    let (tasks, each) = (8, 20)
    let tally = Locked(Tally())
    try await withThrowingTaskGroup(of: Void.self) { group in
      for task in 0..<tasks {
        let driver = drivers[task % drivers.count]
        group.addTask {
          var random = Seeded(seed: UInt64(task))
          for number in 0..<each {
            // Several keys in one call, in any order.
            let count = number % 3 + 1
            _ = try await driver.insert(
              keys.shuffled(using: &random).prefix(count).map { keyed("\($0.key)", $0) })
            tally.withLock { $0.enqueued += count }
          }
          tally.withLock { $0.enqueuers += 1 }
        }
        group.addTask {
          var round = 0
          while !tally.withLock({ $0.isDone(tasks) }) {
            round += 1
            for job in try await driver.claim(want(2)).jobs {
              tally.withLock { $0.begin(job, keys) }
              await Task.yield()
              let waits = round % 7 == 0
              tally.withLock { $0.end(job, leaves: !waits) }
              // Some claim the next one with it.
              let outcome: Settlement.Outcome = waits ? .retry(after: .zero, message: "") : .completed()
              let claim = try await driver.settle(
                [Settlement(job.lease, outcome)], claiming: round % 2 == 0 ? want(1) : nil
              ).claim
              for next in claim?.jobs ?? [] {
                tally.withLock { $0.begin(next, keys) }
                await Task.yield()
                tally.withLock { $0.end(next, leaves: true) }
                _ = try await driver.settle([Settlement(next.lease, .completed())], claiming: nil)
              }
            }
            // Otherwise nothing would admit a job that is held forever.
            if tally.withLock({ $0.enqueuers == tasks && $0.running.isEmpty }) {
              if let count = try await driver.count().first, count.ready + count.running == 0 {
                tally.withLock { $0.wrong.append("\(count.held) jobs are held that nothing admits") }
              }
            }
            await Task.yield()
          }
        }
      }
      try await group.waitForAll()
    }
    let found = tally.withLock { $0 }
    #expect(found.wrong == [])
    #expect(found.left == found.enqueued && found.enqueued == 8 * (7 * 1 + 7 * 2 + 6 * 3))
    #expect(try await drivers[0].count() == [])
    #expect(try await rows(database) == ["0", "0"])
    try await check(database)
    for driver in drivers { await driver.close() }
    try await database.drop()
  }

  /// What the sessions have seen.
  private struct Tally {
    var enqueued = 0
    /// How many enqueuers have done their work.
    var enqueuers = 0
    var left = 0
    var running: [String: Int] = [:]
    var last: [String: Int64] = [:]
    var wrong: [String] = []

    func isDone(_ tasks: Int) -> Bool { !wrong.isEmpty || enqueuers == tasks && left == enqueued }

    mutating func begin(_ job: ClaimedJob, _ keys: [ConcurrencyKey]) {
      let name = String(decoding: job.payload.bytes, as: UTF8.self)
      let limit = keys.first { $0.key == name }?.limit ?? 0
      running[name, default: 0] += 1
      if running[name, default: 0] > limit { wrong.append("\(running) jobs run at once") }
      if limit == 1, let before = last[name], before > job.id { wrong.append("\(job.id) after \(before)") }
      last[name] = job.id
    }

    mutating func end(_ job: ClaimedJob, leaves: Bool) {
      let name = String(decoding: job.payload.bytes, as: UTF8.self)
      running[name] = running[name].flatMap { $0 > 1 ? $0 - 1 : nil }
      if leaves { left += 1 }
    }
  }

  /// What a driver does, and when another session comes in between.
  private func meanwhile(
    _ database: TestDatabase, before text: String, _ body: @escaping @Sendable (Connection) throws -> Void
  ) throws -> MySQLDriver {
    let isDone = Locked(false)
    return try database.driver(
      options: "pool=1",
      observer: { statement in
        guard statement.text.contains(text),
          isDone.withLock({ done in
            defer { done = true }; return !done
          })
        else { return }
        do { try body(try database.connection(commits: false)) } catch { Issue.record(error) }
      })
  }

  @Test("nobody enqueues a job of a key between the look of an end and its commit") func locked() async throws
  {
    let database = try await TestDatabase()
    let other = try database.driver()
    _ = try await other.insert([keyed("1")])
    let isLocked = Locked<Bool?>(nil)
    let driver = try meanwhile(database, before: "DELETE FROM qudo_job") { connection in
      do {
        try connection.run([
          "SELECT held FROM qudo_key FOR UPDATE NOWAIT",
          "INSERT INTO qudo_job(id, kind, ranking, due, enqueued, concurrency_key, payload) VALUES(1000, 1, 0, 5, 5, 'k', '')",
          "INSERT INTO qudo_held(kind, name, id) VALUES(1, 'k', 1000)", "UPDATE qudo_key SET held = held + 1",
          "COMMIT",
        ])
        isLocked.withLock { $0 = false }
      } catch let error as QudoError where error.mysql?.isOfContention == true || error.mysql?.code == 3572 {
        isLocked.withLock { $0 = true }
      }
    }
    try await finish(driver, try await driver.claim(want()).jobs)
    #expect(isLocked.withLock { $0 } == true)
    try await check(database)
    for driver in [driver, other] { await driver.close() }
    try await database.drop()
  }

  @Test("nobody ends a job of a key between the look of an enqueue and its commit") func lockedByEnqueues()
    async throws
  {
    let database = try await TestDatabase()
    let other = try database.driver()
    _ = try await other.insert([keyed("1")])
    let isLocked = Locked<Bool?>(nil)
    let driver = try meanwhile(database, before: "INSERT INTO qudo_job") { connection in
      do {
        try connection.run("SELECT held FROM qudo_key FOR UPDATE NOWAIT")
        isLocked.withLock { $0 = false }
      } catch let error as QudoError where error.mysql?.isOfContention == true || error.mysql?.code == 3572 {
        isLocked.withLock { $0 = true }
      }
    }
    _ = try await driver.insert([keyed("2")])
    #expect(isLocked.withLock { $0 } == true)
    #expect(try await driver.count() == [JobCount("a", ready: 1, held: 1)])
    for driver in [driver, other] { await driver.close() }
    try await database.drop()
  }

  @Test(
    "a held job that is admitted meanwhile is cancelled, changed and overwritten where it is then",
    arguments: ["cancel", "change", "overwrite", "expire"])
  func admitted(_ verb: String) async throws {
    let database = try await TestDatabase()
    let other = try database.driver()
    let unique = UniqueKey("u", onConflict: .overwrite)
    let ids = try await other.insert([keyed("1"), keyed("2", unique: unique), keyed("3")]).map(\.id)
    let lease = try #require(try await other.claim(want(1)).jobs.first?.lease)
    if verb == "expire" {
      #expect(
        try await other.change([ids[1]], JobChange(expires: .after(.microseconds(1)))) == [.changed])
    }
    let text = verb == "overwrite" ? "INSERT INTO qudo_key" : "FROM qudo_key FORCE"
    let driver = try meanwhile(database, before: text) { connection in
      let end = Transaction(connection, KindCache())
      let results = try end.run(settling: [Settlement(lease, .completed())], claiming: nil).results
      #expect(results == [.settled()])
    }
    switch verb {
    case "cancel": #expect(try await driver.cancel([ids[1]], reason: nil) == [.cancelled])
    case "change":
      #expect(try await driver.change([ids[1]], JobChange(due: .after(Self.hour))) == [.changed])
    case "overwrite":
      #expect(try await driver.insert([keyed("new", unique: unique)]) == [.overwritten(ids[1])])
    default:
      var ended = try await driver.claim(want()).givenUp.map(\.id)
      if ended.isEmpty { ended = try await driver.claim(want()).givenUp.map(\.id) }
      #expect(ended == [ids[1]])
    }
    try await check(database)
    let left = try await driver.jobs(matching: JobQuery()).map(\.state)
    switch verb {
    case "cancel": #expect(left == [.ready])
    case "change": #expect(left == [.delayed, .held])
    case "overwrite": #expect(left == [.ready, .held])
    default: #expect(left == [.running] || left == [.ready])
    }
    for driver in [driver, other] { await driver.close() }
    try await database.drop()
  }

  // MARK: Commits without an answer

  @Test("an end and an enqueue whose answer was lost admit no second job") func repeated() async throws {
    let database = try await TestDatabase()
    let driver = try database.driver()
    let connection = try database.connection(commits: false)
    let ids = try await driver.insert((1...4).map { keyed("\($0)") }).map(\.id)
    let lease = try #require(try await driver.claim(want()).jobs.first?.lease)
    func transaction(after lost: CommitToken? = nil) -> Transaction {
      Transaction(connection, KindCache(), after: lost)
    }
    let settlements = [Settlement(lease, .completed(replacements: [keyed("5")]))]
    let settle = transaction()
    let results = try settle.run(settling: settlements, claiming: nil).results
    #expect(
      try transaction(after: settle.receipt).run(settling: settlements, claiming: nil).results == results)
    let insert = transaction()
    let inserted = try insert.run(inserting: [keyed("6", ConcurrencyKey("k", limit: 2)), keyed("7", "l")])
    #expect(
      try transaction(after: insert.receipt).run(inserting: [
        keyed("6", ConcurrencyKey("k", limit: 2)), keyed("7", "l"),
      ]) == inserted)
    let cancel = transaction()
    #expect(try cancel.run(cancelling: [ids[1], ids[3]], reason: nil) == [.cancelled, .cancelled])
    #expect(
      try transaction(after: cancel.receipt).run(cancelling: [ids[1], ids[3]], reason: nil) == [
        .cancelled, .cancelled,
      ])
    try await check(database)
    // 3 and 5 of the key, and the one of the other key.
    #expect(
      try await driver.claim(want()).jobs.map { String(decoding: $0.payload.bytes, as: UTF8.self) } == [
        "3", "5", "7",
      ])
    #expect(try await driver.count() == [JobCount("a", running: 3, held: 1)])
    await driver.close()
    try await database.drop()
  }

  @Test("a COMMIT that was not answered admits one job") func lostCommit() async throws {
    let database = try await TestDatabase()
    let relay = try Relay(to: database.server.port)
    defer { relay.stop() }
    let driver = try database.driver(options: "pool=1", port: relay.port)
    _ = try await driver.insert((1...3).map { keyed("\($0)") })
    let jobs = try await driver.claim(want()).jobs
    relay.swallowAnswers(to: "DELETE FROM qudo_held")
    try await finish(driver, jobs)
    #expect(relay.left == 0)
    #expect(try await driver.count() == [JobCount("a", ready: 1, held: 1)])
    relay.swallowAnswers(to: "INSERT INTO qudo_held")
    #expect(try await driver.insert([keyed("4")]).count == 1)
    #expect(relay.left == 0)
    #expect(try await driver.count() == [JobCount("a", ready: 1, held: 2)])
    try await check(database)
    await driver.close()
    try await database.drop()
  }
}
#endif
