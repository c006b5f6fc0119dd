#if MySQL
import MariaDBServer
@testable import QudoMySQL
import Qudo
import Testing

/// Changing and recovering jobs while other sessions work, and what that costs.
@Suite struct ChangeTests {
  private let want = ClaimRequest([.init("a", leaseDuration: .seconds(3600))], limit: 10)

  private func check(_ database: TestDatabase) async throws {
    #expect(try await TableInvariants.violations(in: database.name, on: database.server) == [])
  }

  private func marks(_ database: TestDatabase) async throws -> [String] {
    try await database.server.query("SELECT job FROM qudo_cancel", in: database.name)
  }

  private static func metadata(_ value: String) -> JobMetadata {
    var metadata = JobMetadata()
    metadata["k"] = value
    return metadata
  }

  // MARK: One job

  @Test("a changed job keeps its key, its attempts and its expired leases") func keeps() async throws {
    let database = try await TestDatabase()
    let time = Locked(Timestamp(microseconds: 1_800_000_000_000_000))
    let driver = try database.driver(clock: { time.withLock { $0 } })
    func pass(_ duration: Duration) { time.withLock { $0 = $0.advanced(by: duration) } }
    let scopes: [UniqueKey.Scope?] = [.untilFinished, .untilStarted, nil]
    let ids = try await driver.insert(
      scopes.map { NewJob("a", payload: Payload("old"), unique: $0.map { UniqueKey("\($0)", scope: $0) }) }
    ).map(\.id)
    let first = try await driver.claim(want).jobs
    let retries = first.map { Settlement($0.lease, .retry(after: .zero, message: "again")) }
    _ = try await driver.settle(retries, claiming: nil)
    let brief = ClaimRequest([.init("a", leaseDuration: .seconds(1), maxExpiredLeases: 9)], limit: 10)
    // Once recovered by a claim, and once by the change.
    for _ in 0..<2 {
      #expect(try await driver.claim(brief).jobs.map(\.id) == ids)
      pass(.seconds(2))
    }
    let change = JobChange(
      priority: 7, due: .after(.seconds(60)), payload: Payload("new"), metadata: Self.metadata("v"))
    #expect(
      try await driver.change([ids[2], ids[0], 99, ids[1]], change) == [
        .changed, .changed, .notFound, .changed,
      ])
    try await check(database)
    let jobs = try await driver.jobs(matching: JobQuery())
    #expect(jobs.map(\.state) == [.delayed, .delayed, .delayed])
    #expect(jobs.map(\.attempt) == [2, 2, 2] && jobs.map(\.expiredLeases) == [1, 1, 1])
    #expect(jobs.map(\.priority) == [7, 7, 7] && jobs.map(\.payload) == jobs.map { _ in Payload("new") })
    #expect(jobs.allSatisfy { $0.metadata == change.metadata })
    let due = time.withLock { $0 }.advanced(by: .seconds(60))
    #expect(jobs.map(\.dueAt) == [due, due, due])
    let conflicts = try await driver.insert([
      NewJob("a", unique: UniqueKey("untilFinished", onConflict: .reject)),
      NewJob("a", unique: UniqueKey("untilStarted", onConflict: .reject)),
    ])
    #expect(conflicts.first == .conflict(ids[0]), "its key is its own until it ends")
    if case .inserted = conflicts.last {} else { Issue.record("its key is free since it started") }
    pass(.seconds(61))
    #expect(try await driver.claim(want).jobs.map(\.id).prefix(3) == ids[...])
    await driver.close()
    try await database.drop()
  }

  @Test("a waiting job keeps its hold on its key, wherever it goes") func hold() async throws {
    let database = try await TestDatabase()
    let driver = try database.driver()
    let ids = try await driver.insert([
      NewJob("a", unique: UniqueKey("s", scope: .untilStarted)), NewJob("a", unique: UniqueKey("f")),
    ]).map(\.id)
    let changes = [
      JobChange(due: .after(.seconds(3600))), JobChange(payload: Payload("x")), JobChange(priority: 3),
      JobChange(due: .now), JobChange(payload: Payload("y")), JobChange(metadata: JobMetadata()),
    ]
    for change in changes {
      #expect(try await driver.change(ids, change) == [.changed, .changed])
      try await check(database)
      let results = try await driver.insert(
        ["s", "f"].map { NewJob("a", unique: UniqueKey($0, onConflict: .reject)) })
      #expect(results == ids.map { .conflict($0) })
    }
    let claimed = try await driver.claim(want).jobs
    #expect(claimed.map(\.id) == ids && claimed.map(\.payload) == [Payload("y"), Payload("y")])
    let results = try await driver.insert(
      ["s", "f"].map { NewJob("a", unique: UniqueKey($0, onConflict: .reject)) })
    #expect(results.last == .conflict(ids[1]) && results.first != .conflict(ids[0]))
    await driver.close()
    try await database.drop()
  }

  @Test("a job that is to be cancelled is cancelled instead, and its mark is gone") func marked() async throws
  {
    let database = try await TestDatabase()
    let time = Locked(Timestamp(microseconds: 1_800_000_000_000_000))
    let driver = try database.driver(clock: { time.withLock { $0 } })
    let ids = try await driver.insert((0..<4).map { NewJob("a", unique: UniqueKey("\($0)")) }).map(\.id)
    let leases = try await driver.claim(
      ClaimRequest([.init("a", leaseDuration: .seconds(10))], limit: 4)
    ).jobs.map(\.lease)
    #expect(try await driver.cancel([ids[0], ids[1]], reason: "why") == [.cancelling, .cancelling])
    #expect(try await driver.change(ids, JobChange(priority: 1)) == ids.map { _ in .running })
    #expect(try await driver.recover([ids[0], ids[2]]) == [.cancelled, .recovered])
    #expect(try await marks(database) == ["\(ids[1])"])
    #expect(try await driver.recover([ids[0], ids[2]]) == [.notFound, .notRunning])
    let settled = try await driver.settle([Settlement(leases[2], .completed())], claiming: nil).results
    #expect(settled == [.leaseLost])
    time.withLock { $0 = $0.advanced(by: .seconds(11)) }
    #expect(
      try await driver.change(ids, JobChange(priority: 1)) == [.notFound, .notFound, .changed, .changed])
    try await check(database)
    #expect(try await marks(database) == [])
    let failures = try await driver.failures(LogQuery(oldestFirst: true))
    #expect(failures.map(\.job) == [ids[0], ids[1]] && failures.map(\.message) == ["why", "why"])
    #expect(failures.allSatisfy { $0.isFinal && $0.reason == .cancelled && $0.attempt == 1 })
    let left = try await driver.jobs(matching: JobQuery())
    #expect(left.map(\.state) == [.ready, .ready] && left.map(\.expiredLeases) == [0, 0])
    await driver.close()
    try await database.drop()
  }

  @Test("half of a job is measured with its other half, and then nothing is written") func sizes()
    async throws
  {
    let database = try await TestDatabase()
    var limits = Limits()
    limits.payloadBytes = 100
    let driver = try database.driver(limits: limits)
    let meta = Self.metadata(String(repeating: "v", count: 40))
    let bytes = meta.bytes.count
    let ids = try await driver.insert([
      NewJob("a", payload: Payload(Array(repeating: 1, count: 10))),
      NewJob("a", payload: Payload(Array(repeating: 1, count: 100 - bytes)), metadata: meta),
    ]).map(\.id)
    func failure(_ change: JobChange) async -> QudoError? {
      await #expect(throws: QudoError.self) { try await driver.change(ids, change) }
    }
    let before = try await driver.jobs(matching: JobQuery())
    let tooLong = await failure(
      JobChange(priority: 5, payload: Payload(Array(repeating: 2, count: 101 - bytes))))
    #expect(
      tooLong?.code == .invalidArgument
        && tooLong?.message.contains(
          "job \(ids[1]) would have 101 bytes of payload and metadata, the limit is 100: give less")
          == true,
      "\(tooLong?.message ?? "")")
    let wider = Self.metadata(String(repeating: "v", count: 41))
    let tooWide = await failure(JobChange(metadata: wider))
    #expect(tooWide?.code == .invalidArgument && tooWide?.message.contains("job \(ids[1])") == true)
    #expect(try await driver.jobs(matching: JobQuery()) == before)
    // Both together replace both.
    let both = JobChange(payload: Payload(Array(repeating: 3, count: 100)), metadata: JobMetadata())
    #expect(try await driver.change(ids, both) == [.changed, .changed])
    let empty = await failure(JobChange())
    #expect(empty?.code == .invalidArgument)
    try await check(database)
    await driver.close()
    try await database.drop()
  }

  @Test("a payload beyond the server's packet is refused before anything is written") func packet()
    async throws
  {
    let database = try await TestDatabase()
    var limits = Limits()
    limits.payloadBytes = 64 << 20
    let driver = try database.driver(limits: limits)
    let ids = try await driver.insert([NewJob("a"), NewJob("a", due: .after(.seconds(3600)))]).map(\.id)
    let longest = try await driver.connect().longestPacket
    let change = JobChange(due: .now, payload: Payload(Array(repeating: 7, count: longest / 2)))
    let error = await #expect(throws: QudoError.self) { try await driver.change(ids, change) }
    #expect(error?.code == .invalidArgument && error?.message.contains("max_allowed_packet") == true)
    #expect(try await driver.count() == [JobCount("a", ready: 1, delayed: 1)])
    // A long one that fits goes to each job in a statement of its own.
    let fits = JobChange(payload: Payload(Array(repeating: 7, count: longest / 2 - 2000)))
    #expect(try await driver.change(ids, fits) == [.changed, .changed])
    await driver.close()
    try await database.drop()
  }

  // MARK: Races

  @Test("a claim under way is waited for, and its job is left as it is") func behindAClaim() async throws {
    let database = try await TestDatabase()
    let driver = try database.driver()
    let id = try await driver.insert([NewJob("a")])[0].id
    let session = try database.connection(commits: false)
    let claim = Transaction(session, KindCache())
    _ = try claim.read(["SELECT id FROM qudo_ready WHERE id = \(id) FOR UPDATE"])
    async let answer = driver.change([id], JobChange(priority: 4))
    let waits =
      "SELECT 1 FROM information_schema.PROCESSLIST WHERE db = '\(database.name)' AND info LIKE '%qudo_ready WHERE%FOR UPDATE%' AND id <> CONNECTION_ID()"
    try await database.server.wait(for: waits)
    let ends = Timestamp.latest.microseconds
    try session.run([
      "INSERT INTO qudo_running(id, ends, token, kind, ranking, due, lost_limit) SELECT id, \(ends), 2, kind, ranking, due, 5 FROM qudo_ready",
      "DELETE FROM qudo_ready", "COMMIT",
    ])
    #expect(try await answer == [.running])
    #expect(try await driver.jobs(matching: JobQuery()).map(\.priority) == [0])
    #expect(try await driver.recover([id]) == [.recovered])
    try await check(database)
    await driver.close()
    try await database.drop()
  }

  @Test(
    "a job that is recovered beside its settlement ends once, or runs again",
    arguments: [
      .completed(), .completed(replacements: [NewJob("b")]), .failed(message: "no"),
      .retry(after: .zero, message: "no"), .released,
    ] as [Settlement.Outcome])
  func besideASettle(_ outcome: Settlement.Outcome) async throws {
    let database = try await TestDatabase()
    let (driver, other) = (try database.driver(), try database.driver())
    let ids = try await driver.insert((0..<40).map { NewJob("a", unique: UniqueKey("\($0)")) }).map(\.id)
    let claimed = try await driver.claim(ClaimRequest([.init("a", leaseDuration: .seconds(3600))], limit: 40))
      .jobs
    let results = try await withThrowingTaskGroup(of: (Int64, SettleResult, RecoverResult).self) { group in
      for job in claimed {
        group.addTask {
          async let settled = driver.settle([Settlement(job.lease, outcome)], claiming: nil).results[0]
          async let recovered = other.recover([job.id])[0]
          return (job.id, try await settled, try await recovered)
        }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    let left = Set(try await driver.jobs(matching: JobQuery(kinds: ["a"])).map(\.id))
    for (id, settled, recovered) in results {
      switch (settled, recovered) {
      case (.leaseLost, .recovered): #expect(left.contains(id))
      case (.settled, .notFound): #expect(!left.contains(id))
      case (.settled, .notRunning): #expect(left.contains(id))
      default: Issue.record("job \(id): settle \(settled), recover \(recovered)")
      }
    }
    #expect(left.isSubset(of: ids))
    try await check(database)
    for driver in [driver, other] { await driver.close() }
    try await database.drop()
  }

  @Test(
    "of jobs that are changed, recovered, cancelled and claimed at once none is twice or lost",
    .timeLimit(.minutes(5)))
  func crowd() async throws {
    let database = try await TestDatabase()
    let drivers = try (0..<5).map { _ in try database.driver() }
    let count = 240
    let made = (0..<count).map { (number: Int) -> NewJob in
      let scope: UniqueKey.Scope = number % 2 == 0 ? .untilStarted : .untilFinished
      let due: Due = number % 4 == 0 ? .after(.milliseconds(number)) : .now
      return NewJob("a", unique: number % 3 == 0 ? UniqueKey("\(number)", scope: scope) : nil, due: due)
    }
    let ids = try await drivers[0].insert(made).map(\.id)
    let left = Locked(count)
    let isDone: @Sendable () -> Bool = { left.withLock { $0 } <= 0 }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for driver in drivers.prefix(2) {
        group.addTask {
          var round = 0
          while !isDone() {
            round += 1
            // Now and then one whose lease expires at once.
            let lease: Duration = round % 5 == 0 ? .microseconds(1) : .seconds(3600)
            let jobs = try await driver.claim(
              ClaimRequest([.init("a", leaseDuration: lease, maxExpiredLeases: 1_000_000)], limit: 4)
            ).jobs
            let settlements = jobs.map { job in
              job.attempt < 2
                ? Settlement(job.lease, .retry(after: .milliseconds(1), message: ""))
                : Settlement(job.lease, .completed(), recording: .seconds(1))
            }
            let results = try await driver.settle(settlements, claiming: nil).results
            for (settlement, result) in zip(settlements, results) where settlement.outcome.completes {
              if case .settled = result { left.withLock { $0 -= 1 } }
            }
          }
        }
      }
      group.addTask {
        var round = 0
        while !isDone() {
          round += 1
          let change = JobChange(
            priority: round % 3, due: round % 2 == 0 ? .now : .after(.milliseconds(2)),
            payload: round % 5 == 0 ? Payload("\(round)") : nil)
          _ = try await drivers[2].change(
            matching: JobQuery(after: ids[0] - 1 + Int64(round * 7 % count), limit: 9), change)
          _ = try await drivers[2].change((0..<5).map { ids[(round * 11 + $0 * 17) % count] }, change)
        }
      }
      group.addTask {
        var round = 0
        while !isDone() {
          round += 1
          _ = try await drivers[3].recover((0..<6).map { ids[(round * 5 + $0 * 3) % count] })
        }
      }
      group.addTask {
        for start in stride(from: 0, to: count, by: 4) where !isDone() {
          let results = try await drivers[4].cancel([ids[start]], reason: nil)
          left.withLock { $0 -= results.filter { $0 == .cancelled }.count }
          // A mark ends its job with the next outcome that does not complete it, or with a recovery.
          if results == [.cancelling] {
            while case .unfinished = try await drivers[4].outcomes(of: [ids[start]])[0] { await Task.yield() }
            if case .failed = try await drivers[4].outcomes(of: [ids[start]])[0] { left.withLock { $0 -= 1 } }
          }
        }
      }
      try await group.waitForAll()
    }
    let completed = try await drivers[0].statuses(LogQuery(limit: 10_000)).filter { $0.status == .completed }
    let cancelled = try await drivers[0].failures(LogQuery(limit: 10_000)).filter(\.isFinal)
    #expect(cancelled.allSatisfy { $0.reason == .cancelled })
    #expect((completed.map(\.job) + cancelled.map(\.job)).sorted() == ids)
    #expect(try await drivers[0].count() == [])
    try await check(database)
    for driver in drivers { await driver.close() }
    try await database.drop()
  }

  @Test("a change and an enqueue that overwrites the same jobs get along", .timeLimit(.minutes(5)))
  func besideOverwrites() async throws {
    let database = try await TestDatabase()
    let drivers = try (0..<3).map { _ in try database.driver() }
    let made = Locked<Set<Int64>>([])
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
      group.addTask {
        for round in 0..<60 {
          let change = JobChange(
            priority: round % 4, due: round % 2 == 0 ? .after(.seconds(1800)) : .now,
            payload: Payload("\(round)"))
          let changed = try await drivers[2].change(matching: JobQuery(limit: 8), change)
          #expect(changed.allSatisfy { $0.result == .changed })
        }
      }
      try await group.waitForAll()
    }
    let left = try await drivers[0].jobs(matching: JobQuery(limit: 1000)).map(\.id)
    #expect(left == made.withLock { $0.sorted() } && left.count == 8)
    try await check(database)
    for driver in drivers { await driver.close() }
    try await database.drop()
  }

  @Test("a change that is the victim of a deadlock is repeated") func deadlock() async throws {
    let database = try await TestDatabase()
    let rollbacks = Locked(0)
    let driver = try database.driver(observer: { statement in
      if statement.text == "ROLLBACK" { rollbacks.withLock { $0 += 1 } }
    })
    let ids = try await driver.insert((0..<60).map { _ in NewJob("a") }).map(\.id)
    let session = try database.connection(commits: false)
    // The server chooses the one that has written less.
    try session.run([
      "INSERT INTO qudo_info(name, value) SELECT CONCAT('x', id), '' FROM qudo_job",
      "SELECT id FROM qudo_ready WHERE id = \(ids[1]) FOR UPDATE",
    ])
    async let answer = driver.change(Array(ids[0..<2]), JobChange(priority: 4))
    // The change locks the first job, and then waits for the second one.
    let free = "SELECT id FROM qudo_ready WHERE id = \(ids[0]) FOR UPDATE SKIP LOCKED"
    try await database.server.wait(for: free, in: database.name) { $0.isEmpty }
    try session.run(["SELECT id FROM qudo_ready WHERE id = \(ids[0]) FOR UPDATE", "ROLLBACK"])
    #expect(try await answer == [.changed, .changed])
    #expect(rollbacks.withLock { $0 } >= 1)
    #expect(try await driver.jobs(matching: JobQuery(limit: 3)).map(\.priority) == [4, 4, 0])
    try await check(database)
    await driver.close()
    try await database.drop()
  }

  // MARK: Cost

  @Test("a thousand jobs are changed or recovered in a few round trips") func bulk() async throws {
    let database = try await TestDatabase()
    let driver = try database.driver(options: "pool=1", trustsIdle: .seconds(3600))
    var trips: [Int] = []
    func count<Result>(_ body: () async throws -> Result) async throws -> Result {
      let before = driver.roundTrips
      defer { trips.append(driver.roundTrips - before) }
      return try await body()
    }
    let ids = try await driver.insert(
      (0..<1000).map {
        NewJob(
          "a", unique: $0 % 2 == 0 ? UniqueKey("\($0)") : nil, priority: $0 % 3,
          due: .after(.microseconds($0 % 7)))
      }
    ).map(\.id)
    let changed = ids.map { _ in ChangeResult.changed }
    let found = try await count {
      try await driver.change(
        matching: JobQuery(kinds: ["a"], limit: 1000), JobChange(due: .after(.seconds(3600))))
    }
    #expect(found == ids.map { ChangedJob(id: $0, result: .changed) })
    #expect(
      try await count { try await driver.change(ids, JobChange(payload: Payload("new"))) } == changed)
    #expect(try await count { try await driver.change(ids, JobChange(priority: 2, due: .now)) } == changed)
    #expect(try await driver.count() == [JobCount("a", ready: 1000)])
    let running = try await driver.claim(
      ClaimRequest([.init("a", leaseDuration: .seconds(3600))], limit: 1000)
    ).jobs
    #expect(Set(running.map(\.payload)) == [Payload("new")] && running.count == 1000)
    #expect(
      try await count { try await driver.change(ids, JobChange(priority: 1)) } == ids.map { _ in .running })
    #expect(try await count { try await driver.recover(ids.reversed()) } == ids.map { _ in .recovered })
    #expect(try await driver.count() == [JobCount("a", ready: 1000)])
    #expect(trips.allSatisfy { $0 <= 6 }, "\(trips)")
    try await check(database)
    await driver.close()
    try await database.drop()
  }

  // MARK: Repetitions

  @Test("a change and a recovery whose answer was lost are not done again") func repeated() async throws {
    let database = try await TestDatabase()
    let driver = try database.driver()
    let connection = try database.connection(commits: false)
    let ids = try await driver.insert((0..<4).map { _ in NewJob("a") }).map(\.id)
    _ = try await driver.claim(ClaimRequest([.init("a", leaseDuration: .seconds(3600))], limit: 2))
    func transaction(after lost: CommitToken? = nil) -> Transaction {
      Transaction(connection, KindCache(), after: lost)
    }
    let delay = JobChange(due: .after(.seconds(3600)))
    let change = transaction()
    let some = [ids[3], 99, ids[0]]
    let results = try change.run(changing: some, delay, Limits())
    #expect(results == [.changed, .notFound, .running])
    // What came in between stays.
    _ = try await driver.change([ids[3]], JobChange(due: .now))
    #expect(try transaction(after: change.receipt).run(changing: some, delay, Limits()) == results)
    #expect(try await driver.count() == [JobCount("a", ready: 2, running: 2)])

    let query = transaction()
    let found = try query.run(changing: JobQuery(states: [.ready], limit: 1), delay, Limits())
    #expect(found == [ChangedJob(id: ids[2], result: .changed)])
    #expect(
      try transaction(after: query.receipt).run(
        changing: JobQuery(states: [.ready], limit: 1), delay, Limits()) == found)
    #expect(try await driver.count() == [JobCount("a", ready: 1, delayed: 1, running: 2)])

    _ = try await driver.cancel([ids[1]], reason: nil)
    let recover = transaction()
    let recovered = try recover.run(recovering: [ids[0], ids[1], ids[2], 99])
    #expect(recovered == [.recovered, .cancelled, .notRunning, .notFound])
    #expect(
      try transaction(after: recover.receipt).run(recovering: [ids[0], ids[1], ids[2], 99]) == recovered)
    #expect(try await driver.count() == [JobCount("a", ready: 2, delayed: 1)])
    #expect(try await driver.failures(LogQuery()).count == 1)
    try await check(database)
    await driver.close()
    try await database.drop()
  }

  @Test("a change and a recovery whose COMMIT was not answered are done once") func lostCommit() async throws
  {
    let database = try await TestDatabase()
    let relay = try Relay(to: database.server.port)
    defer { relay.stop() }
    let writes = Locked<[String]>([])
    let driver = try database.driver(
      options: "pool=1",
      observer: { statement in
        for beginning in ["UPDATE qudo_job", "DELETE FROM qudo_running"]
        where statement.text.hasPrefix(beginning) { writes.withLock { $0.append(beginning) } }
      }, port: relay.port)
    let ids = try await driver.insert([NewJob("a"), NewJob("a")]).map(\.id)
    relay.swallowAnswers(to: "UPDATE qudo_job")
    let change = JobChange(priority: 3, due: .after(.seconds(3600)))
    #expect(
      try await driver.change(matching: JobQuery(limit: 1), change) == [
        ChangedJob(id: ids[0], result: .changed)
      ]
    )
    #expect(relay.left == 0)
    #expect(try await driver.claim(want).jobs.map(\.id) == [ids[1]])
    relay.swallowAnswers(to: "DELETE FROM qudo_running")
    #expect(try await driver.recover([ids[1], ids[0]]) == [.recovered, .notRunning])
    #expect(relay.left == 0)
    #expect(writes.withLock { $0 } == ["UPDATE qudo_job", "DELETE FROM qudo_running"])
    #expect(try await driver.count() == [JobCount("a", ready: 1, delayed: 1)])
    try await check(database)
    await driver.close()
    try await database.drop()
  }

  @Test("a bulk change takes others in place of jobs that changed their state meanwhile") func page()
    async throws
  {
    let database = try await TestDatabase()
    let isClaimed = Locked(false)
    let other = try database.driver()
    let ids = try await other.insert((0..<6).map { _ in NewJob("a") }).map(\.id)
    let ends = Timestamp.latest.microseconds
    let driver = try database.driver(
      options: "pool=1",
      observer: { statement in
        // Between the look at the page and the locks.
        guard statement.text.contains("COALESCE(r.flags, d.flags)"),
          isClaimed.withLock({ claimed in
            defer { claimed = true }; return !claimed
          })
        else { return }
        do {
          try database.connection().run([
            "INSERT INTO qudo_running(id, ends, token, kind, ranking, due, lost_limit) SELECT id, \(ends), 2, kind, ranking, due, 5 FROM qudo_ready WHERE id IN (\(ids[0]), \(ids[2]))",
            "DELETE FROM qudo_ready WHERE id IN (\(ids[0]), \(ids[2]))",
          ])
        } catch { Issue.record(error) }
      })
    let found = try await driver.change(
      matching: JobQuery(states: [.ready], limit: 3), JobChange(due: .after(.seconds(3600))))
    #expect(found == [1, 3, 4].map { ChangedJob(id: ids[$0], result: .changed) })
    #expect(try await driver.count() == [JobCount("a", ready: 1, delayed: 3, running: 2)])
    try await check(database)
    for driver in [driver, other] { await driver.close() }
    try await database.drop()
  }
}
#endif
