#if MySQL
import MariaDBServer
@testable import QudoMySQL
import Qudo
import Testing

/// Cancelling and pausing while other sessions work, and what they cost. For changes see ``ChangeTests``.
@Suite struct ControlTests {
  private let want = ClaimRequest([.init("a", leaseDuration: .seconds(3600))], limit: 10)

  private func check(_ database: TestDatabase) async throws {
    #expect(try await TableInvariants.violations(in: database.name, on: database.server) == [])
  }

  private func marks(_ database: TestDatabase) async throws -> [String] {
    try await database.server.query("SELECT job FROM qudo_cancel", in: database.name)
  }

  // MARK: Races

  @Test(
    "a job that is cancelled beside its settlement ends once",
    arguments: [
      .completed(), .completed(replacements: [NewJob("b")]), .failed(message: "no"),
      .retry(after: .zero, message: "no"), .retry(after: .seconds(9), message: "no"), .released,
    ] as [Settlement.Outcome])
  func besideASettle(_ outcome: Settlement.Outcome) async throws {
    let database = try await TestDatabase()
    let (driver, other) = (try database.driver(), try database.driver())
    let ids = try await driver.insert((0..<40).map { NewJob("a", unique: UniqueKey("\($0)")) }).map(\.id)
    let claimed = try await driver.claim(ClaimRequest([.init("a", leaseDuration: .seconds(3600))], limit: 40))
      .jobs
    #expect(claimed.map(\.id) == ids)
    let results = try await withThrowingTaskGroup(of: (Int64, SettleResult, CancelResult).self) { group in
      for job in claimed {
        group.addTask {
          async let settled = driver.settle([Settlement(job.lease, outcome)], claiming: nil).results[0]
          async let cancelled = other.cancel([job.id], reason: nil)[0]
          return (job.id, try await settled, try await cancelled)
        }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    let failures = Dictionary(
      grouping: try await driver.failures(LogQuery(limit: 1000)).filter(\.isFinal), by: \.job)
    for (id, settled, cancelled) in results {
      let reasons = (failures[id] ?? []).map(\.reason)
      switch (outcome, settled, cancelled) {
      case (.completed, .settled, .cancelling), (.completed, .settled, .notFound): #expect(reasons == [])
      case (.failed, .settled, .notFound): #expect(reasons == [.failed])
      case (.failed, .cancelled, .cancelling): #expect(reasons == [.cancelled])
      // It was ready, or delayed, when it was cancelled.
      case (.retry, .settled, .cancelled), (.released, .settled, .cancelled): #expect(reasons == [.cancelled])
      case (.retry, .cancelled, .cancelling), (.released, .cancelled, .cancelling):
        #expect(reasons == [.cancelled])
      default: Issue.record("job \(id): settle \(settled), cancel \(cancelled)")
      }
    }
    #expect(try await driver.count(["a"]) == [])
    try await check(database)
    for driver in [driver, other] { await driver.close() }
    try await database.drop()
  }

  @Test("of jobs that are claimed and cancelled at once each ends once") func besideClaims() async throws {
    let database = try await TestDatabase()
    let drivers = try (0..<3).map { _ in try database.driver() }
    let ids = try await drivers[0].insert(
      (0..<300).map { NewJob("a", unique: $0 % 3 == 0 ? UniqueKey("\($0)", scope: .untilStarted) : nil) }
    ).map(\.id)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for driver in drivers.prefix(2) {
        group.addTask { [want] in
          while case let jobs = try await driver.claim(want).jobs, !jobs.isEmpty {
            let settlements = jobs.map { job in
              Settlement(
                job.lease, job.id % 4 == 0 ? .retry(after: .zero, message: "") : .completed(),
                recording: job.id % 4 == 0 ? nil : .seconds(1))
            }
            _ = try await driver.settle(settlements, claiming: nil)
          }
        }
      }
      group.addTask {
        for start in stride(from: 0, to: 300, by: 30) {
          _ = try await drivers[2].cancel(ids[start..<start + 30].reversed(), reason: "all")
        }
        // The jobs that are retried come back forever otherwise.
        while try await !drivers[2].cancel(matching: JobQuery(limit: 7), reason: nil).isEmpty {}
      }
      try await group.waitForAll()
    }
    let completed = try await drivers[0].statuses(LogQuery(limit: 1000)).map(\.job)
    let cancelled = try await drivers[0].failures(LogQuery(limit: 1000)).filter(\.isFinal)
    #expect(cancelled.allSatisfy { $0.reason == .cancelled })
    #expect((completed + cancelled.map(\.job)).sorted() == ids)
    try await check(database)
    for _ in 0..<2 { #expect(try await drivers[0].claim(want).cancelling == []) }
    #expect(try await marks(database) == [])
    for driver in drivers { await driver.close() }
    try await database.drop()
  }

  @Test("a cancel and an enqueue that overwrites the same jobs get along", .timeLimit(.minutes(5)))
  func besideOverwrites() async throws {
    let database = try await TestDatabase()
    let drivers = try (0..<3).map { _ in try database.driver() }
    let made = Locked<Set<Int64>>([])
    let ended = Locked<[Int64]>([])
    try await withThrowingTaskGroup(of: Void.self) { group in
      for driver in drivers.prefix(2) {
        group.addTask {
          for round in 0..<40 {
            let jobs = (0..<8).map { key in
              NewJob(
                "a",
                unique: UniqueKey(
                  "\(key)", scope: key < 4 ? .untilFinished : .untilStarted, onConflict: .overwrite),
                priority: (round + key) % 5, due: round % 3 == 0 ? .after(.seconds(3600)) : .now)
            }
            for result in try await driver.insert(jobs) {
              if case .inserted(let id) = result { _ = made.withLock { $0.insert(id) } }
            }
          }
        }
      }
      group.addTask { [want] in
        for round in 0..<40 {
          let cancelled = try await drivers[2].cancel(matching: JobQuery(limit: 5), reason: nil)
          ended.withLock { $0 += cancelled.filter { $0.result == .cancelled }.map(\.id) }
          guard round % 4 == 0 else { continue }
          let jobs = try await drivers[2].claim(want).jobs
          let settlements = jobs.map { Settlement($0.lease, .completed()) }
          _ = try await drivers[2].settle(settlements, claiming: nil)
          ended.withLock { $0 += jobs.map(\.id) }
        }
      }
      try await group.waitForAll()
    }
    let left = try await drivers[0].jobs(matching: JobQuery(limit: 1000)).map(\.id)
    #expect(ended.withLock { $0 + left }.sorted() == made.withLock { $0.sorted() })
    try await check(database)
    for driver in drivers { await driver.close() }
    try await database.drop()
  }

  @Test(
    "two sessions that cancel everything at once cancel each job once, also beside one that changes them",
    .timeLimit(.minutes(5)), arguments: [false, true])
  func besideAnother(changes: Bool) async throws {
    let database = try await TestDatabase()
    let drivers = try (0..<3).map { _ in try database.driver() }
    let ids = try await drivers[0].insert(
      (0..<600).map { NewJob("a", unique: $0 % 3 == 0 ? UniqueKey("\($0)") : nil) }
    ).map(\.id)
    let (cancelled, changed) = (Locked<[Int64]>([]), Locked<Set<Int64>>([]))
    try await withThrowingTaskGroup(of: Void.self) { group in
      for driver in drivers.prefix(2) {
        group.addTask {
          // A page as long as it can be is not the last one.
          while case let page = try await driver.cancel(matching: JobQuery(limit: 20), reason: nil),
            !page.isEmpty
          {
            cancelled.withLock { $0 += page.filter { $0.result == .cancelled }.map(\.id) }
          }
        }
      }
      if changes {
        group.addTask {
          var query = JobQuery(limit: 20)
          while case let page = try await drivers[2].change(matching: query, JobChange(priority: 5)),
            let last = page.last
          {
            changed.withLock { $0.formUnion(page.filter { $0.result == .changed }.map(\.id)) }
            query.after = last.id
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(cancelled.withLock { $0.sorted() } == ids)
    let failures = try await drivers[0].failures(LogQuery(oldestFirst: true, limit: 1000))
    #expect(failures.map(\.job).sorted() == ids)
    #expect(failures.allSatisfy { $0.reason == .cancelled && $0.isFinal })
    // What was changed has its new priority in the log, and nothing else has.
    #expect(Set(failures.filter { $0.priority == 5 }.map(\.job)) == changed.withLock { $0 })
    #expect(try await drivers[0].count() == [])
    try await check(database)
    for driver in drivers { await driver.close() }
    try await database.drop()
  }

  @Test("a mark is found under a lease that was renewed elsewhere") func renewed() async throws {
    let database = try await TestDatabase()
    let (driver, other) = (try database.driver(), try database.driver())
    let ids = try await driver.insert([NewJob("a"), NewJob("a")]).map(\.id)
    let leases = try await driver.claim(want).jobs.map(\.lease)
    _ = try await other.renew(leases, for: .seconds(7200))
    #expect(try await other.cancel([ids[0]], reason: "stop") == [.cancelling])
    let settlements = leases.map { Settlement($0, .failed(message: "no")) }
    #expect(try await driver.settle(settlements, claiming: nil).results == [.cancelled, .settled()])
    #expect(try await driver.failures(LogQuery(oldestFirst: true)).map(\.message) == ["stop", "no"])
    #expect(try await marks(database) == [])
    try await check(database)
    for driver in [driver, other] { await driver.close() }
    try await database.drop()
  }

  @Test("a claim under way is waited for") func behindAClaim() async throws {
    let database = try await TestDatabase()
    let driver = try database.driver()
    let id = try await driver.insert([NewJob("a")])[0].id
    let session = try database.connection(commits: false)
    let claim = Transaction(session, KindCache())
    _ = try claim.read(["SELECT id FROM qudo_ready WHERE id = \(id) FOR UPDATE"])
    async let answer = driver.cancel([id], reason: nil)
    let waits =
      "SELECT 1 FROM information_schema.PROCESSLIST WHERE db = '\(database.name)' AND info LIKE '%qudo_ready WHERE%FOR UPDATE%' AND id <> CONNECTION_ID()"
    try await database.server.wait(for: waits)
    let ends = Timestamp.latest.microseconds
    try session.run([
      "INSERT INTO qudo_running(id, ends, token, kind, ranking, due, lost_limit) SELECT id, \(ends), 2, kind, ranking, due, 5 FROM qudo_ready",
      "DELETE FROM qudo_ready", "COMMIT",
    ])
    #expect(try await answer == [.cancelling])
    let lease = Lease(job: id, token: 2, holder: 0, expiresAt: ends)
    #expect(try await driver.settle([Settlement(lease, .released)], claiming: nil).results == [.cancelled])
    #expect(try await marks(database) == [])
    await driver.close()
    try await database.drop()
  }

  // MARK: Cost

  @Test("a thousand jobs are cancelled in a few round trips") func bulk() async throws {
    let database = try await TestDatabase()
    let driver = try database.driver(options: "pool=1", trustsIdle: .seconds(3600))
    var trips: [Int] = []
    func count<Result>(_ body: () async throws -> Result) async throws -> Result {
      let before = driver.roundTrips
      defer { trips.append(driver.roundTrips - before) }
      return try await body()
    }
    // Each has a due time of its own, and every other one a key.
    func jobs() -> [NewJob] {
      (0..<1000).map {
        NewJob(
          "a", unique: $0 % 2 == 0 ? UniqueKey("\($0)") : nil, priority: $0 % 3,
          due: .after(.microseconds($0 % 7)))
      }
    }
    let first = try await driver.insert(jobs()).map(\.id)
    let found = try await count {
      try await driver.cancel(matching: JobQuery(kinds: ["a"], limit: 1000), reason: "x")
    }
    #expect(found == first.map { CancelledJob(id: $0, result: .cancelled) })
    let second = try await driver.insert(jobs()).map(\.id)
    let results = try await count { try await driver.cancel(second + [.max], reason: nil) }
    #expect(results == second.map { _ in .cancelled } + [.notFound])
    _ = try await driver.insert((0..<1000).map { _ in NewJob("r") })
    let running = try await driver.claim(
      ClaimRequest([.init("r", leaseDuration: .seconds(3600))], limit: 1000)
    ).jobs
    let marked = try await count { try await driver.cancel(running.map(\.id), reason: nil) }
    #expect(marked == running.map { _ in .cancelling })
    #expect(trips.allSatisfy { $0 <= 5 }, "\(trips)")
    let oldestFirst = try await driver.failures(LogQuery(oldestFirst: true, limit: 5000)).map(\.job)
    #expect(oldestFirst == first + second)
    let settlements = running.map { Settlement($0.lease, .failed(message: "")) }
    #expect(try await driver.settle(settlements, claiming: nil).results == running.map { _ in .cancelled })
    #expect(try await driver.count() == [])
    #expect(try await marks(database) == [])
    try await check(database)
    await driver.close()
    try await database.drop()
  }

  @Test("claims ask for pauses and marks only while there are some") func claimsCost() async throws {
    let database = try await TestDatabase()
    let statements = Locked<[String]>([])
    // However slow the machine is: no look after an idle second, and with a clock of its own no bound expires.
    let driver = try database.driver(
      options: "pool=1", clock: { Timestamp(microseconds: 1_800_000_000_000_000) },
      trustsIdle: .seconds(3600),
      observer: { statement in statements.withLock { $0.append(statement.text) } })
    _ = try await driver.insert((0..<30).map { NewJob($0 % 2 == 0 ? "a" : "b") })
    let one = ClaimRequest([.init("a"), .init("b")], limit: 1)
    func claim() async throws -> (jobs: [ClaimedJob], asks: Bool, trips: Int) {
      statements.withLock { $0 = [] }
      let before = driver.roundTrips
      let claim = try await driver.claim(one)
      let trips = driver.roundTrips - before
      let asks = statements.withLock { texts in
        texts.contains { $0 == PausedKinds.read.text || $0 == CancelMarks.jobs.text }
      }
      return (claim.jobs, asks, trips)
    }
    func cheapest() async throws -> (jobs: [ClaimedJob], asks: Bool, trips: Int?) {
      var all = [try await claim()]
      for _ in 0..<2 { all.append(try await claim()) }
      #expect(Set(all.map(\.asks)).count == 1)
      return (all.flatMap(\.jobs), all[0].asks, all.map(\.trips).min())
    }
    _ = try await claim()
    let usual = try await cheapest()
    #expect(!usual.asks && usual.jobs.count == 3)
    try await driver.pause(["a"], until: nil, reason: nil)
    _ = try await claim()
    let paused = try await cheapest()
    #expect(
      paused.asks && paused.jobs.map(\.kind) == ["b", "b", "b"] && paused.trips == usual.trips)
    _ = try await driver.resume(nil)
    #expect(try await claim().jobs.map(\.kind) == ["a"])
    #expect(try await driver.cancel([usual.jobs[0].id], reason: nil) == [.cancelling])
    let marked = try await cheapest()
    #expect(marked.asks && marked.trips == usual.trips)
    #expect(
      try await driver.settle([Settlement(usual.jobs[0].lease, .completed())], claiming: nil).results == [
        .settled()
      ])
    for _ in 0..<2 { _ = try await claim() }
    #expect(try await marks(database) == [])
    let after = try await cheapest()
    #expect(!after.asks && after.trips == usual.trips)
    await driver.close()
    try await database.drop()
  }

  // MARK: Other drivers

  /// Returns when a watch has looked for this long with a statement that contains the text.
  private func looks(_ database: TestDatabase, _ text: String, milliseconds: Int = 0) async throws {
    let query =
      """
      SELECT 1 FROM information_schema.PROCESSLIST WHERE db = '\(database.name)'
      AND info LIKE 'WITH RECURSIVE s%\(text)%' AND time_ms >= \(milliseconds)
      """
    try await database.server.wait(for: query)
  }

  @Test(
    "a driver that listens is told of a cancel and of a resume in another process", .timeLimit(.minutes(5)))
  func told() async throws {
    let database = try await TestDatabase()
    let (here, there) = (try database.driver(), try database.driver())
    let ids = try await there.insert([NewJob("a"), NewJob("a")]).map(\.id)
    #expect(try await here.claim(want).jobs.map(\.id) == ids)
    let (rings, signal) = AsyncStream<Void>.makeStream()
    let id = here.doorbell.listen { signal.yield() }
    try await looks(database, "qudo_cancel")
    #expect(try await there.cancel([ids[0]], reason: nil) == [.cancelling])
    for await _ in rings where try await here.claim(want).cancelling == [ids[0]] { break }
    // The mark is known now: another one is heard of.
    try await looks(database, "job NOT IN (\(ids[0]))")
    #expect(try await there.cancel([ids[1]], reason: nil) == [.cancelling])
    for await _ in rings where try await here.claim(want).cancelling == ids { break }

    try await there.pause(["a"], until: nil, reason: nil)
    let later = try await there.insert([NewJob("a")]).map(\.id)
    for _ in 0..<2 { #expect(try await here.claim(want).jobs.isEmpty) }
    // A job of a paused kind does not end the statement, which would find it at its first look.
    try await looks(database, "COUNT(*) FROM qudo_pause", milliseconds: 300)
    #expect(try await there.resume(["a"]).count == 1)
    for await _ in rings where try await here.claim(want).jobs.map(\.id) == later { break }
    here.doorbell.stopListening(id)
    for driver in [here, there] { await driver.close() }
    try await database.drop()
  }

  @Test("a cancel, a pause and a resume whose answer was lost are not done again") func repeated()
    async throws
  {
    let database = try await TestDatabase()
    let driver = try database.driver()
    let connection = try database.connection(commits: false)
    let ids = try await driver.insert([NewJob("a"), NewJob("a"), NewJob("a")]).map(\.id)
    _ = try await driver.claim(ClaimRequest([.init("a", leaseDuration: .seconds(3600))], limit: 1))
    func transaction(after lost: CommitToken? = nil) -> Transaction {
      Transaction(connection, KindCache(), after: lost)
    }
    let cancel = transaction()
    let results = try cancel.run(cancelling: [ids[1], ids[0], 99], reason: nil)
    #expect(results == [.cancelled, .cancelling, .notFound])
    #expect(
      try transaction(after: cancel.receipt).run(cancelling: [ids[1], ids[0], 99], reason: nil) == results)
    let query = transaction()
    let found = try query.run(cancelling: JobQuery(states: [.ready]), reason: nil)
    #expect(found == [CancelledJob(id: ids[2], result: .cancelled)])
    #expect(try transaction(after: query.receipt).run(cancelling: JobQuery(), reason: nil) == found)
    try await driver.pause(["a"], until: nil, reason: "x")
    let resume = transaction()
    let ended = try resume.run(resuming: nil)
    #expect(ended.map(\.reason) == ["x"])
    #expect(try transaction(after: resume.receipt).run(resuming: nil) == ended)
    #expect(try await driver.failures(LogQuery()).count == 2)
    await driver.close()
    try await database.drop()
  }
}
#endif
