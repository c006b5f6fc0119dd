#if MySQL
import Evidence
import FaultyNetwork
import Foundation
import MariaDBServer
@testable import QudoMySQL
import Qudo
import Testing

/// The network breaks around the COMMIT of a verb: before the server has it, or after it was executed and before the client has the
/// answer. Each verb that writes answers with the truth, which the commit token tells, or says that it is unknown; and what it does is
/// done once. CI, which sets `QUDO_CI`, tries each break at each COMMIT.
@Suite struct HiddenCommitTests {
  enum Break: CaseIterable, Sendable {
    /// The server never gets the text that ends with COMMIT.
    case before
    /// It has executed the text, and no answer arrives.
    case after
    /// Likewise, and the network does not come back.
    case forGood

    /// What is to be the same as without a break. What was rolled back has used up ids.
    func seen(_ lines: [String]) -> [String] {
      self == .before ? lines.map { $0.replacing(/\b\d{1,2}\b/, with: "#") } : lines
    }
  }

  /// What a verb finds.
  struct Setup: Sendable {
    /// Twelve jobs: two have failed, four run, two wait, two have become due, two are delayed.
    let jobs: [Int64]
    let leases: [Lease]
    let failures: [Int64]
    let schedule: StoredSchedule
    let now: Timestamp
  }

  struct Verb: Sendable, CustomTestStringConvertible {
    let name: String
    let call: @Sendable (MySQLDriver, Setup) async throws -> String
    var testDescription: String { name }

    /// - Parameter call: Returns the answer.
    init<Answer>(_ name: String, _ call: @escaping @Sendable (MySQLDriver, Setup) async throws -> Answer) {
      self.name = name
      // Each claim has a random token.
      self.call = { driver, setup in
        "\(try await call(driver, setup))".replacing(/token: -?\d+/, with: "token")
      }
    }
  }

  private static let want = ClaimRequest([.init("a", leaseDuration: .seconds(3600))], limit: 3)
  private static let new = [
    NewJob("a", payload: Payload("new"), idempotencyKey: IdempotencyKey("i")), NewJob("new", unique: "u"),
    NewJob("new", unique: "u"), NewJob("a", due: .after(.seconds(60)), expires: .after(.seconds(90))),
  ]

  static let verbs: [Verb] = [
    Verb("insert") { driver, _ in try await driver.insert(new) },
    Verb("insert, dropping the oldest") { driver, _ in
      try await driver.insert((0..<3).map { _ in NewJob("a", maxWaiting: .dropOldest(2)) })
    },
    Verb("claim") { driver, _ in try await driver.claim(want) },
    Verb("claim, limited") { driver, _ in
      try await driver.claim(
        ClaimRequest(
          [
            .init(
              "a", leaseDuration: .seconds(3600), maxRunning: 6,
              rate: RateLimit(1, per: .seconds(9), burst: 3))
          ],
          limit: 3))
    },
    Verb("settle") { driver, setup in
      let outcomes: [Settlement.Outcome] = [
        .completed(replacements: new), .retry(after: .zero, message: "again"), .aborted(message: "end"),
        .snoozed(.seconds(1)),
      ]
      return try await driver.settle(
        zip(setup.leases, outcomes).map { Settlement($0, $1, recording: .seconds(1)) }, claiming: want)
    },
    Verb("renew") { driver, setup in try await driver.renew(setup.leases, for: .seconds(7200)) },
    Verb("promote") { driver, _ in try await driver.promote(limit: 1) },
    Verb("cancel") { driver, setup in try await driver.cancel(setup.jobs, reason: "stop") },
    Verb("cancel, by filter") { driver, _ in
      try await driver.cancel(matching: JobQuery(kinds: ["a"], limit: 7), reason: nil)
    },
    Verb("change") { driver, setup in
      try await driver.change(setup.jobs, JobChange(priority: 3, due: .now, expires: .after(.seconds(9))))
    },
    Verb("change, by filter") { driver, _ in
      try await driver.change(
        matching: JobQuery(kinds: ["a"], limit: 7), JobChange(payload: Payload("other")))
    },
    Verb("recover") { driver, setup in try await driver.recover(setup.jobs) },
    Verb("recover, by filter") { driver, _ in try await driver.recover(matching: JobQuery(limit: 2)) },
    Verb("pause") { driver, _ in
      try await driver.pause(["a", "new"], until: .after(.seconds(9)), reason: "no")
    },
    Verb("resume") { driver, _ in try await driver.resume(nil) },
    Verb("throttle") { driver, _ in
      try await driver.throttle("a", RateLimit(1, per: .seconds(1)), for: .seconds(9))
    },
    Verb("routes") { driver, _ in
      try await driver.setFailureRoutes([FailureRoute("a", to: "new"), FailureRoute("b", to: nil)])
    },
    Verb("replay") { driver, setup in
      try await driver.replay(setup.failures + [99], changing: JobChange(priority: 1), unique: nil)
    },
    Verb("resolve") { driver, setup in try await driver.resolve(setup.failures + [99]) },
    Verb("prune") { driver, _ in try await driver.prune(PruneOptions(limit: 1)) },
    Verb("store a schedule") { driver, setup in
      try await driver.store([StoredSchedule(name: "t", rule: "r", kind: "a"), setup.schedule])
    },
    Verb("remove a schedule") { driver, _ in try await driver.removeSchedules(["s", "t"]) },
    Verb("advance a schedule") { driver, setup in
      try await driver.advance([
        ScheduleTick(
          name: "s", version: setup.schedule.version, jobs: [NewJob("new")], tick: setup.now,
          next: setup.now.advanced(by: .seconds(60)), skipsOverlap: false)
      ])
    },
  ]

  /// What a call came to.
  private struct Outcome {
    let answer: Result<String, QudoError>
    let state: [String]
    /// How many texts of the call ended with COMMIT.
    let commits: Int
  }

  private static let breaks = Evidence.few([.after], of: Break.allCases)

  @Test("the truth, or that it is unknown", arguments: Evidence.arguments(verbs)) func hidden(_ verb: Verb)
    async throws
  {
    let database = try await TestDatabase()
    let expected = try await run(verb, on: database, nil, at: 0)
    let answer = try expected.answer.get()
    #expect(expected.commits > 0)
    // Outside CI, only the verb's own COMMIT is executed and not answered.
    for how in Self.breaks {
      // Reads end with COMMIT, too, and kinds are created before: the verb's own is the last one.
      for commit in (how == .after && Evidence.isWhole ? 1 : expected.commits)...expected.commits {
        let found = try await run(verb, on: database, how, at: commit)
        #expect(
          how.seen(found.state) == how.seen(expected.state), "\(how), COMMIT \(commit) of \(expected.commits)"
        )
        switch found.answer {
        case .success(let found):
          #expect(how.seen([found]) == how.seen([answer]) && how != .forGood, "\(how), COMMIT \(commit)")
        case .failure(let error):
          #expect(error.code == .outcomeUnknown && how == .forGood, "\(how): \(error)")
        }
      }
    }
    try await database.drop()
  }

  // MARK: One call

  private static let start = Timestamp(microseconds: 1_700_000_000_000_000)
  private static let now = start.advanced(by: .seconds(10))

  private func run(_ verb: Verb, on database: TestDatabase, _ how: Break?, at commit: Int) async throws
    -> Outcome
  {
    let setup = try await prepare(database)
    let breaker = try NetworkBreaker(database, how, at: commit)
    let driver = try database.driver(
      options: "pool=1", clock: { Self.now }, trustsIdle: .seconds(3600),
      observer: { statement in if statement.text == "COMMIT" { breaker.commit() } }, port: breaker.port)
    try await driver.connect()
    try breaker.arm()
    let answer: Result<String, QudoError>
    do {
      answer = .success(try await verb.call(driver, setup))
    } catch let error as QudoError {
      answer = .failure(error)
    }
    let commits = try breaker.disarm()
    await driver.close()
    return Outcome(answer: answer, state: try await state(database), commits: commits)
  }

  /// Makes the tables the same each time, ids included.
  private func prepare(_ database: TestDatabase) async throws -> Setup {
    let clock = Locked(Self.start)
    let driver = try database.driver(options: "pool=1", clock: { clock.withLock { $0 } })
    try await driver.connect()
    let connection = try database.connection()
    let tables = try connection.run("SHOW TABLES LIKE 'qudo\\_%'").rows?.map { $0.text(0) } ?? []
    let counting: Set<String> = ["qudo_job", "qudo_failure", "qudo_status", "qudo_kind"]
    try await database.server.query(
      tables.filter { !["qudo_info", "qudo_schema"].contains($0) }.map {
        counting.contains($0) ? "TRUNCATE \($0);" : "DELETE FROM \($0);"
      }
      .joined(separator: "\n"), in: database.name)
    let jobs = try await driver.insert(
      (0..<8).map { NewJob("a", payload: Payload("\($0)"), unique: $0 % 3 == 1 ? UniqueKey("k\($0)") : nil) }
        + (0..<4).map { NewJob("a", due: .after(.seconds($0 < 2 ? 5 : 3600))) }
    ).map(\.id)
    let claimed = try await driver.claim(ClaimRequest([.init("a", leaseDuration: .seconds(3600))], limit: 6))
      .jobs
    _ = try await driver.settle(
      claimed.prefix(2).map { Settlement($0.lease, .failed(message: "no"), recording: .seconds(1)) },
      claiming: nil)
    _ = try await driver.store([StoredSchedule(name: "s", rule: "r", kind: "b", nextTick: Self.start)])
    try await driver.pause(["c"], until: nil, reason: nil)
    clock.withLock { $0 = Self.now }
    let setup = Setup(
      jobs: jobs, leases: claimed.dropFirst(2).map(\.lease),
      failures: try await driver.failures(LogQuery()).map(\.id),
      schedule: try #require(try await driver.schedules(nil).first), now: Self.now)
    await driver.close()
    return setup
  }

  /// All that the tables say, but for random tokens.
  private func state(_ database: TestDatabase) async throws -> [String] {
    let driver = try database.driver(options: "pool=1", clock: { Self.now })
    var lines = try await driver.jobs(matching: JobQuery(limit: 1000)).map { "\($0)" }
    lines += try await driver.failures(LogQuery(limit: 1000)).map { "\($0)" }
    lines += try await driver.statuses(LogQuery(limit: 1000)).map { "\($0)" }
    lines += try await driver.count().map { "\($0)" }.sorted()
    lines += try await driver.pauses().map { "\($0)" }
    lines += try await driver.schedules(nil).map { "\($0)" }
    lines += try await driver.failureRoutes().map { "\($0)" }
    await driver.close()
    lines += try await database.server.query(
      """
      SELECT id, ends FROM qudo_running ORDER BY id; SELECT job, name FROM qudo_unique ORDER BY job;
      SELECT full_at, written_at, spacing, throttled_until FROM qudo_rate; SELECT job, reason FROM qudo_cancel;
      SELECT COUNT(*) FROM qudo_receipt; SELECT id, expires FROM qudo_expiry ORDER BY id;
      """, in: database.name)
    return try await lines + TableInvariants.violations(in: database.name, on: database.server)
  }
}

/// A proxy in front of a server that breaks at one COMMIT of a driver with one connection.
private final class NetworkBreaker: Sendable {
  private struct State {
    var proxy: Proxy?
    /// The driver's session on the server.
    var session: Int64?
    var commits = 0
    var error: (any Error)?
  }

  let port: UInt16
  private let database: TestDatabase
  private let how: HiddenCommitTests.Break?
  private let target: Int
  private let state: Locked<State>

  init(_ database: TestDatabase, _ how: HiddenCommitTests.Break?, at commit: Int) throws {
    let proxy = try Proxy(to: database.server.port)
    (self.database, self.how, target) = (database, how, commit)
    port = proxy.port
    state = Locked(State(proxy: proxy))
  }

  /// Call this when the driver has its connection.
  func arm() throws {
    let session = try #require(
      try database.connection().run(
        "SELECT MAX(ID) FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND ID <> CONNECTION_ID()"
      ).rows?.next()?.integer(0))
    state.withLock { $0.session = session }
  }

  /// - Returns: the number of commits since ``arm()``.
  func disarm() throws -> Int {
    let (commits, error) = state.withLock { state in
      state.session = nil
      return (state.commits, state.error)
    }
    if let error { throw error }
    return commits
  }

  /// On the connection's thread, before the text that ends with COMMIT is sent.
  func commit() {
    let (session, isNow, proxy) = state.withLock { state in
      if state.session != nil { state.commits += 1 }
      return (state.session, state.commits == target, state.proxy)
    }
    guard let session, isNow, let how, let proxy else { return }
    do {
      guard how != .before else {
        proxy.startAnew()
        return try waitForEnd(of: session)
      }
      let last = try query(of: session, on: database.connection()).number
      proxy.set(.swallows, [.toClient])
      Thread.detachNewThread { self.end(session, after: last, comesBack: how == .after) }
    } catch {
      state.withLock { $0.error = error }
    }
  }

  /// Waits until the server has rolled back: else a claim would go around the locks.
  private func waitForEnd(of session: Int64) throws {
    let connection = try database.connection()
    while try connection.run("SELECT 1 FROM information_schema.PROCESSLIST WHERE ID = \(session)").rows?.count
      != 0
    {}
  }

  /// Ends the connection when the server has executed the text.
  private func end(_ session: Int64, after last: Int64, comesBack: Bool) {
    do {
      let connection = try database.connection()
      let deadline = ContinuousClock.now + .seconds(60)
      while true {
        let (number, isIdle) = try query(of: session, on: connection)
        if isIdle, number != last { break }
        guard ContinuousClock.now < deadline else {
          throw QudoError(.busy, "the server did not execute the text in time")
        }
      }
    } catch {
      state.withLock { $0.error = error }
    }
    let proxy = state.withLock { state in
      defer { if !comesBack { state.proxy = nil } }
      return comesBack ? state.proxy : nil
    }
    proxy?.startAnew()
  }

  /// The number of a session's last statement, and whether it is done.
  private func query(of session: Int64, on connection: Connection) throws -> (number: Int64, isIdle: Bool) {
    let row = try #require(
      try connection.run(
        "SELECT QUERY_ID, COMMAND = 'Sleep' FROM information_schema.PROCESSLIST WHERE ID = \(session)"
      ).rows?.next())
    return (row.integer(0), row.integer(1) == 1)
  }
}
#endif
