#if MySQL
import MariaDBServer
@testable import QudoMySQL
import Qudo
import Testing

/// What became of jobs: at one moment, whatever is stopped, and with no more rights than the other verbs.
@Suite struct OutcomeTests {
  private func name(_ outcome: JobOutcome) -> String {
    switch outcome {
    case .unfinished(let job): "\(job.state) \(job.id)"
    case .completed(let row): "\(row.status) \(row.job)"
    case .failed(let row): "\(row.reason) \(row.job)"
    case .unrecorded: "unrecorded"
    case .neverExisted: "never"
    }
  }

  /// Makes jobs 1 to 9: ready, delayed, running, completed, failed, cancelled, completed without a record, retried
  /// and then failed, and retried.
  private func fill(_ driver: MySQLDriver) async throws {
    _ = try await driver.insert(
      (1...9).map { NewJob("a", unique: UniqueKey("\($0)"), due: $0 == 2 ? .after(.seconds(3600)) : .now) })
    let want = ClaimRequest([.init("a", leaseDuration: .seconds(3600))], limit: 8)
    var leases: [Int64: Lease] = [:]
    for job in try await driver.claim(want).jobs { leases[job.id] = job.lease }
    #expect(leases.keys.sorted() == [1, 3, 4, 5, 6, 7, 8, 9])
    func settle(_ job: Int64, _ outcome: Settlement.Outcome, recording: Duration? = .seconds(1)) async throws
    {
      let settlement = Settlement(try #require(leases[job]), outcome, recording: recording)
      _ = try await driver.settle([settlement], claiming: nil)
    }
    try await settle(1, .released, recording: nil)
    try await settle(4, .completed())
    try await settle(5, .failed(message: "no"))
    _ = try await driver.cancel([6], reason: nil)
    try await settle(6, .released)
    try await settle(7, .completed(), recording: nil)
    for job in [8, 9] as [Int64] { try await settle(job, .retry(after: .zero, message: "again")) }
    _ = try await driver.change([1], JobChange(priority: -1))
    let again = try await driver.claim(ClaimRequest([.init("a", leaseDuration: .seconds(3600))], limit: 1))
      .jobs
    #expect(again.map(\.id) == [8])
    leases[8] = again.first?.lease
    try await settle(8, .failed(message: "no"))
  }

  private static let names = [
    "ready 1", "delayed 2", "running 3", "completed 4", "failed 5", "cancelled 6", "unrecorded", "failed 8",
    "ready 9", "never", "never", "never",
  ]
  private static let ids: [Int64] = Array(1...9) + [10, 0, -1]

  @Test("each outcome, by number and by key") func each() async throws {
    let database = try await TestDatabase()
    let driver = try database.driver()
    try await fill(driver)
    #expect(try await driver.outcomes(of: Self.ids).map(name) == Self.names)
    #expect(try await driver.outcomes(of: [9, 3, 9]).map(name) == ["ready 9", "running 3", "ready 9"])
    #expect(try await driver.outcomes(of: []) == [])
    for job in 1...9 as ClosedRange<Int64> {
      // Nothing knows the key of a job that ended without a record.
      #expect(try await driver.job(withUniqueKey: "\(job)", kind: "a") == (job == 7 ? nil : job))
    }
    #expect(try await driver.job(withUniqueKey: "1", kind: "b") == nil)
    #expect(try await driver.job(withUniqueKey: "", kind: "a") == nil)
    let newest = try await driver.insert([NewJob("a", unique: UniqueKey("5"))])[0].id
    #expect(try await driver.job(withUniqueKey: "5", kind: "a") == newest)
    _ = try await driver.cancel([newest], reason: nil)
    #expect(try await driver.job(withUniqueKey: "5", kind: "a") == newest)
    // One that a migration left behind.
    try await database.server.query(
      "INSERT INTO qudo_unique(kind, name, job) VALUES(1, 'stale', 5), (1, 'other', 1)", in: database.name)
    #expect(try await driver.job(withUniqueKey: "stale", kind: "a") == nil)
    #expect(try await driver.job(withUniqueKey: "other", kind: "a") == 1)
    await driver.close()
    try await database.drop()
  }

  @Test("a job that ended leaves its number behind, also on a server that started again") func restart()
    async throws
  {
    let server = try await MariaDBServer.start()
    let database = try await TestDatabase(on: server)
    let driver = try database.driver()
    _ = try await driver.insert((0..<3).map { _ in NewJob("a") })
    let jobs = try await driver.claim(ClaimRequest([.init("a")], limit: 3)).jobs
    _ = try await driver.settle(jobs.map { Settlement($0.lease, .completed()) }, claiming: nil)
    let expected: [JobOutcome] = [.unrecorded, .unrecorded, .unrecorded, .neverExisted]
    #expect(try await driver.outcomes(of: [1, 2, 3, 4]) == expected)
    try await server.stop()
    try await server.start()
    #expect(try await driver.outcomes(of: [1, 2, 3, 4]) == expected)
    await driver.close()
  }

  @Test("any number of jobs is allowed") func many() async throws {
    let database = try await TestDatabase()
    let driver = try database.driver()
    let ids = try await driver.insert((0..<3000).map { NewJob("a", payload: Payload("\($0)")) }).map(\.id)
    _ = try await driver.cancel(Array(ids[500..<1500]), reason: nil)
    let outcomes = try await driver.outcomes(of: Array(1...6000))
    #expect(outcomes.filter(\.isUnfinished).count == 2000)
    #expect(outcomes.filter { if case .failed = $0 { true } else { false } }.count == 1000)
    #expect(outcomes.suffix(3000).allSatisfy { $0 == .neverExisted })
    await driver.close()
    try await database.drop()
  }

  @Test("a job that ends or moves meanwhile has an outcome at every moment", .timeLimit(.minutes(5)))
  func meanwhile() async throws {
    let database = try await TestDatabase()
    let (driver, reader) = (try database.driver(), try database.driver())
    let ids = try await driver.insert((0..<300).map { _ in NewJob("a") }).map(\.id)
    let looks = Locked(0)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        while true {
          let jobs = try await driver.claim(
            ClaimRequest([.init("a", leaseDuration: .seconds(3600))], limit: 5)
          ).jobs
          guard !jobs.isEmpty else { return }
          let settlements = jobs.map { job -> Settlement in
            let outcome: Settlement.Outcome =
              switch (job.id % 3, job.attempt) {
              case (_, 1): .retry(after: .zero, message: "again")
              case (0, _): .failed(message: "no")
              default: .completed()
              }
            return Settlement(job.lease, outcome, recording: .seconds(1))
          }
          _ = try await driver.settle(settlements, claiming: nil)
        }
      }
      group.addTask {
        var before = ids.map { _ in false }
        while before.contains(false) {
          let outcomes = try await reader.outcomes(of: ids)
          looks.withLock { $0 += 1 }
          #expect(outcomes.allSatisfy { $0 != .unrecorded && $0 != .neverExisted })
          let after = outcomes.map { !$0.isUnfinished }
          #expect(zip(before, after).allSatisfy { !$0 || $1 }, "what ended stays ended")
          before = after
        }
      }
      try await group.waitForAll()
    }
    #expect(looks.withLock { $0 } > 2)
    for driver in [driver, reader] { await driver.close() }
    try await database.drop()
  }

  @Test("all that is read is of one moment") func moment() async throws {
    let database = try await TestDatabase()
    let other = try database.driver()
    let ids = try await other.insert([NewJob("a"), NewJob("a")]).map(\.id)
    let jobs = try await other.claim(ClaimRequest([.init("a", leaseDuration: .seconds(3600))], limit: 2)).jobs
    // The reader waits for a lock after its look has begun, and before it reads.
    let holder = try database.connection()
    _ = try holder.run(["SELECT GET_LOCK(\(Array(database.name.utf8)), 0)"])
    let reader = try database.driver(
      options: "pool=1",
      replacing: { statement in
        let text = statement.text
        let waits = text.hasPrefix("SET @n = ")
        return Array((waits ? "\(text), @got = GET_LOCK('\(database.name)', 3600)" : text).utf8)
      })
    async let outcomes = reader.outcomes(of: ids)
    let waiting =
      "SELECT 1 FROM information_schema.PROCESSLIST WHERE db = '\(database.name)' AND info LIKE '%@got = GET_LOCK%'"
    try await database.server.wait(for: waiting)
    let settlements = [
      Settlement(jobs[0].lease, .failed(message: "no")), Settlement(jobs[1].lease, .completed()),
    ]
    _ = try await other.settle(settlements, claiming: nil)
    _ = try holder.run(["SELECT RELEASE_LOCK(\(Array(database.name.utf8)))"])
    #expect(try await outcomes.map(name) == ids.map { "running \($0)" })
    #expect(try await other.outcomes(of: ids).map(name) == ["failed \(ids[0])", "unrecorded"])
    for driver in [reader, other] { await driver.close() }
    try await database.drop()
  }

  @Test(
    "a statement that is stopped and finds nothing changes no outcome",
    arguments: [
      "FROM qudo_job AS j", "FROM qudo_failure AS l", "FROM qudo_status AS l", "information_schema.TABLES",
    ])
  func stopped(_ text: String) async throws {
    let database = try await TestDatabase()
    try await fill(try database.driver())
    let met = Locked(0)
    let driver = try database.driver(
      options: "pool=1",
      replacing: { statement in
        guard statement.text.contains(text), statement.text.hasPrefix("SELECT"),
          let place = statement.text.ranges(of: " WHERE ").last ?? statement.text.ranges(of: "\nWHERE ").last,
          met.withLock({
            $0 += 1; return $0 == 1
          })
        else { return statement.bytes }
        return Array(statement.text.replacingCharacters(place, " WHERE 0 AND ").utf8)
      })
    #expect(try await driver.outcomes(of: Self.ids).map(name) == Self.names)
    #expect(met.withLock { $0 } >= 2)
    await driver.close()
    try await database.drop()
  }

  @Test("a user with no more rights than the verbs need sees the outcomes") func rights() async throws {
    let database = try await TestDatabase()
    let user = "u_\(database.name)"
    try await database.server.query(MySQLDriver.schemaSQL, in: database.name)
    try await database.server.query(
      """
      CREATE USER \(user)@'%' IDENTIFIED BY 'pw'; GRANT SELECT, INSERT, UPDATE, DELETE ON \(database.name).* TO \(user)@'%';
      """)
    let driver = try database.driver(user: user, password: "pw")
    try await fill(driver)
    #expect(try await driver.outcomes(of: Self.ids).map(name) == Self.names)
    await driver.close()
    try await database.drop()
  }

  @Test("the session of a look at outcomes goes on as before") func session() async throws {
    let database = try await TestDatabase()
    let driver = try database.driver(options: "pool=1", trustsIdle: .seconds(3600))
    let ids = try await driver.insert([NewJob("a")]).map(\.id)
    #expect(try await driver.outcomes(of: ids).map(\.isUnfinished) == [true])
    let other = try database.driver()
    // It reads what is committed since, and may write.
    let more = try await other.insert([NewJob("a")]).map(\.id)
    #expect(try await driver.outcomes(of: ids + more).map(\.isUnfinished) == [true, true])
    #expect(try await driver.claim(ClaimRequest([.init("a")], limit: 9)).jobs.map(\.id) == ids + more)
    for driver in [driver, other] { await driver.close() }
    try await database.drop()
  }

  @Test("a log is listed by job, with every other condition") func logs() async throws {
    let database = try await TestDatabase()
    let driver = try database.driver()
    let ids = try await driver.insert([NewJob("a"), NewJob("a")]).map(\.id)
    for _ in 0..<4 {
      let jobs = try await driver.claim(ClaimRequest([.init("a")], limit: 2)).jobs
      let settlements = jobs.map {
        Settlement($0.lease, .retry(after: .zero, message: "\($0.id)"), recording: .seconds(1))
      }
      _ = try await driver.settle(settlements, claiming: nil)
    }
    let all = try await driver.failures(LogQuery(oldestFirst: true, limit: 100))
    #expect(all.count == 8)
    let own = all.filter { $0.job == ids[1] }.map(\.id)
    let job = ids[1]
    #expect(try await driver.failures(LogQuery(oldestFirst: true, job: job)).map(\.id) == own)
    #expect(try await driver.failures(LogQuery(job: job)).map(\.id) == own.reversed())
    #expect(
      try await driver.failures(LogQuery(kinds: ["a"], limit: 2, offset: 1, job: job)).map(\.id) == [
        own[2], own[1],
      ])
    #expect(
      try await driver.failures(LogQuery(oldestFirst: true, job: job, after: own[1])).map(\.id)
        == own.suffix(2))
    #expect(
      try await driver.failures(LogQuery(ids: all.prefix(4).map(\.id), job: job)).map(\.id)
        == own.prefix(2).reversed())
    #expect(try await driver.statuses(LogQuery(job: job)).map(\.job) == [job, job, job, job])
    #expect(try await driver.statuses(LogQuery(kinds: ["b"], job: job)) == [])
    await driver.close()
    try await database.drop()
  }
}

extension String {
  fileprivate func replacingCharacters(_ range: Range<String.Index>, _ text: String) -> String {
    self[..<range.lowerBound] + text + self[range.upperBound...]
  }
}
#endif
