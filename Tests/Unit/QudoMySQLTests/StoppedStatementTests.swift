#if MySQL
import Evidence
import Foundation
import MariaDBServer
@testable import QudoMySQL
import Qudo
import Testing

/// Statements that the server is told to stop: a transaction is whole or not there.
@Suite struct StoppedStatementTests {
  private let want = ClaimRequest([.init("a", leaseDuration: .seconds(3600))], limit: 100)

  private func check(_ database: TestDatabase) async throws {
    #expect(try await TableInvariants.violations(in: database.name, on: database.server) == [])
  }

  /// How the statements begin that change rows by a condition.
  static let counted = [
    "DELETE FROM qudo_running", "DELETE FROM qudo_job", "DELETE FROM qudo_ready", "DELETE FROM qudo_delayed",
    "DELETE FROM qudo_unique",
    "UPDATE qudo_job", "UPDATE qudo_running", "INSERT INTO qudo_running", "INSERT INTO qudo_ready",
    "INSERT INTO qudo_delayed",
    "INSERT INTO qudo_failure", "INSERT INTO qudo_status",
  ]

  /// The statement as one that changes nothing and reports success, which is what a stopped DELETE comes to; nil for another one.
  static func short(_ statement: SQL, _ beginning: String) -> [UInt8]? {
    let text = statement.text.replacing("\nWHERE ", with: " WHERE ")
    // A subquery among the columns of a failure has one, too.
    let places = text.ranges(of: " WHERE ")
    let isOfFailure = text.hasPrefix("INSERT INTO qudo_failure")
    guard text.hasPrefix(beginning), let place = isOfFailure ? places.last : places.first else { return nil }
    let condition = text[place.upperBound...].replacing(" ORDER BY id", with: "")
    return Array("\(text[..<place.lowerBound]) WHERE 0 AND (\(condition))".utf8)
  }

  private static let outcomes: [Settlement.Outcome] = [
    .completed(), .failed(message: "no"), .retry(after: .zero, message: "again"),
    .retry(after: .seconds(3600), message: "later"),
    .released, .snoozed(.seconds(1)), .aborted(message: "end"),
    .completed(replacements: [NewJob("a"), NewJob("a", due: .after(.seconds(5)))]),
  ]

  @Test(
    "a statement that changes nothing and reports success is not committed",
    arguments: Evidence.arguments(counted))
  func shortStatement(_ beginning: String) async throws {
    let database = try await TestDatabase()
    let met = Locked(0)
    let driver = try database.driver(
      options: "pool=1",
      replacing: { statement in
        guard let short = Self.short(statement, beginning),
          met.withLock({
            $0 += 1; return $0 % 20 == 1
          })
        else { return statement.bytes }
        return short
      })
    for _ in 0..<4 {
      _ = try await driver.insert((0..<12).map { NewJob("a", payload: Payload("\($0)")) })
      _ = try await driver.insert([
        NewJob("a", unique: UniqueKey("k")), NewJob("a", unique: UniqueKey("s", scope: .untilStarted)),
        NewJob("a", due: .after(.seconds(3600))),
        NewJob("a", due: .after(.microseconds(1))), NewJob("a", due: .at(Timestamp(microseconds: 1))),
      ])
      _ = try await driver.insert([
        NewJob("a", unique: UniqueKey("k", onConflict: .overwrite), due: .after(.microseconds(1)))
      ])
      try await check(database)
      _ = try await driver.promote(limit: 100)
      let first = try await driver.claim(want).jobs
      #expect(first.count >= 16)
      try await check(database)
      var leases: [Lease] = []
      for lease in try await driver.renew(first.map(\.lease), for: .seconds(7200)) {
        leases.append(try #require(lease))
      }
      try await check(database)
      let last = leases.removeLast()
      let settlements = leases.enumerated().map { index, lease in
        Settlement(
          lease, Self.outcomes[index % Self.outcomes.count], recording: index < 8 ? .seconds(1) : nil)
      }
      let settled = try await driver.settle(settlements, claiming: want)
      for result in settled.results { if case .leaseLost = result { Issue.record("a lease was lost") } }
      try await check(database)
      let rest =
        (settled.claim?.jobs ?? []).map { Settlement($0.lease, .completed()) } + [
          Settlement(last, .completed())
        ]
      #expect(try await driver.settle(rest, claiming: nil).results == rest.map { _ in .settled() })
      try await check(database)
    }
    #expect(met.withLock { $0 } > 2, "there was none of these statements")
    await driver.close()
    try await database.drop()
  }

  @Test(
    "a cancel of which a statement changes nothing is not committed",
    arguments: Evidence.arguments([
      "DELETE FROM qudo_ready", "DELETE FROM qudo_delayed", "DELETE FROM qudo_running",
      "DELETE FROM qudo_job",
      "DELETE FROM qudo_unique", "INSERT INTO qudo_failure", "DELETE FROM qudo_cancel",
    ]))
  func shortCancel(_ beginning: String) async throws {
    let database = try await TestDatabase()
    let met = Locked(0)
    let driver = try database.driver(
      options: "pool=1",
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
    for _ in 0..<3 {
      _ = try await driver.insert(
        (0..<12).map { NewJob("a", unique: $0 < 6 ? UniqueKey("\($0)") : nil) }
          + (0..<6).map {
            NewJob("a", unique: $0 < 3 ? UniqueKey("d\($0)") : nil, due: .after(.seconds(3600)))
          })
      let running = try await driver.claim(
        ClaimRequest([.init("a", leaseDuration: .seconds(3600))], limit: 4)
      ).jobs
      // Some whose leases end at once.
      _ = try await driver.claim(ClaimRequest([.init("a", leaseDuration: .microseconds(1))], limit: 4))
      let cancelled = try await driver.cancel(matching: JobQuery(), reason: nil)
      #expect(cancelled.count == 18)
      #expect(cancelled.filter { $0.result == .cancelling }.map(\.id) == running.map(\.id))
      try await check(database)
      let settlements = running.map { Settlement($0.lease, .retry(after: .zero, message: "")) }
      #expect(try await driver.settle(settlements, claiming: nil).results == running.map { _ in .cancelled })
      try await check(database)
      #expect(try await driver.count() == [])
    }
    #expect(met.withLock { $0 } > 2, "there was none of these statements")
    let failures = try await driver.failures(LogQuery(limit: 1000))
    #expect(failures.count == 54 && Set(failures.map(\.job)).count == 54)
    #expect(try await database.server.query("SELECT COUNT(*) FROM qudo_cancel", in: database.name) == ["0"])
    await driver.close()
    try await database.drop()
  }

  @Test(
    "a change and a recovery of which a statement changes nothing are not committed",
    arguments: Evidence.arguments([
      "DELETE FROM qudo_ready", "DELETE FROM qudo_delayed", "DELETE FROM qudo_running",
      "UPDATE qudo_job", "DELETE FROM qudo_job", "DELETE FROM qudo_unique", "INSERT INTO qudo_failure",
      "DELETE FROM qudo_cancel",
      // Reads that find nothing.
      "SELECT job, reason FROM qudo_cancel", "SELECT id, COALESCE(LENGTH",
      "SELECT kind, ranking, due, id, flags",
      "SELECT id, ends, token, kind", "SELECT ends, id FROM qudo_running", "SELECT j.kind, j.ranking",
    ]))
  func shortChange(_ beginning: String) async throws {
    let database = try await TestDatabase()
    let met = Locked(0)
    let isOn = Locked(false)
    let driver = try database.driver(
      options: "pool=1",
      replacing: { statement in
        guard isOn.withLock({ $0 }), let short = Self.short(statement, beginning),
          met.withLock({
            $0 += 1; return $0 % 7 == 1
          })
        else {
          return statement.bytes
        }
        return Array(
          String(decoding: short, as: UTF8.self).replacing(" FOR UPDATE)", with: ") FOR UPDATE").utf8)
      })
    let brief = ClaimRequest([.init("a", leaseDuration: .microseconds(1), maxExpiredLeases: 9)], limit: 4)
    for _ in 0..<4 {
      isOn.withLock { $0 = false }
      let ids = try await driver.insert(
        (0..<16).map { NewJob("a", unique: $0 < 12 ? UniqueKey("\($0)") : nil) }
          + (0..<6).map {
            NewJob("a", unique: $0 < 3 ? UniqueKey("d\($0)") : nil, due: .after(.seconds(3600)))
          }
      ).map(\.id)
      let running = try await driver.claim(
        ClaimRequest([.init("a", leaseDuration: .seconds(3600))], limit: 6)
      ).jobs.map(\.id)
      #expect(running == Array(ids[0..<6]))
      _ = try await driver.cancel(Array(running[0..<2]), reason: "stop")
      let expired = try await driver.claim(brief).jobs.map(\.id)
      #expect(expired == Array(ids[6..<10]))
      // As if its mark had come before its lease expired.
      try await database.server.query(
        "INSERT INTO qudo_cancel(job, at, reason) VALUES(\(expired[0]), 1, 'stop')", in: database.name)
      isOn.withLock { $0 = true }
      let results = try await driver.change(ids, JobChange(priority: 3, due: .now, payload: Payload("x")))
      #expect(
        results == ids.map { $0 == expired[0] ? .notFound : running.contains($0) ? .running : .changed })
      try await check(database)
      let halves = try await driver.change(
        matching: JobQuery(kinds: ["a"]), JobChange(due: .after(.seconds(3600)), metadata: JobMetadata()))
      #expect(halves.map(\.id) == ids.filter { $0 != expired[0] })
      #expect(halves.filter { $0.result == .running }.map(\.id) == running)
      try await check(database)
      let recovered = try await driver.recover(running)
      #expect(recovered == [.cancelled, .cancelled] + running.dropFirst(2).map { _ in .recovered })
      try await check(database)
      isOn.withLock { $0 = false }
      let left = try await driver.jobs(matching: JobQuery())
      #expect(left.map(\.id) == ids.filter { $0 != expired[0] && !running.prefix(2).contains($0) })
      #expect(left.filter { $0.state == .ready }.map(\.id) == Array(running.dropFirst(2)))
      #expect(left.allSatisfy { $0.attempt == 1 && $0.expiredLeases == 0 })
      #expect(try await driver.cancel(matching: JobQuery(), reason: nil).count == 19)
    }
    #expect(met.withLock { $0 } > 2, "there was none of these statements")
    let failures = try await driver.failures(LogQuery(limit: 1000))
    #expect(failures.count == 88 && Set(failures.map(\.job)).count == 88)
    #expect(try await database.server.query("SELECT COUNT(*) FROM qudo_cancel", in: database.name) == ["0"])
    await driver.close()
    try await database.drop()
  }

  @Test(
    "a verb for jobs of concurrency keys of which a statement changes or finds nothing is not committed",
    arguments: Evidence.arguments([
      "DELETE FROM qudo_held", "DELETE FROM qudo_key", "DELETE FROM qudo_running", "DELETE FROM qudo_job",
      "DELETE FROM qudo_ready", "DELETE FROM qudo_unique", "INSERT INTO qudo_ready",
      "INSERT INTO qudo_failure",
      "UPDATE qudo_job",
      // Reads that find nothing.
      "SELECT kind, name, allowed", "SELECT h.id, h.kind", "SELECT id, kind, concurrency_key",
      "SELECT j.kind, j.ranking", "SELECT kind, ranking, due, id, flags", "SELECT job FROM qudo_unique",
    ]))
  func shortKeys(_ beginning: String) async throws {
    let database = try await TestDatabase()
    let met = Locked(0)
    let driver = try database.driver(
      options: "pool=1",
      replacing: { statement in
        let text = statement.text.replacing("\nWHERE ", with: " WHERE ")
        let places = text.ranges(of: " WHERE ")
        let isOfFailure = text.hasPrefix("INSERT INTO qudo_failure")
        guard text.hasPrefix(beginning), let place = isOfFailure ? places.last : places.first,
          met.withLock({
            $0 += 1; return $0 % 5 == 1
          })
        else { return statement.bytes }
        return Array("\(text[..<place.lowerBound]) WHERE 0 AND \(text[place.upperBound...])".utf8)
      })
    func keyed(_ number: Int, limit: Int = 1) -> NewJob {
      NewJob(
        "a", payload: Payload("\(number)"),
        unique: number % 2 == 0 ? UniqueKey("u\(number)", onConflict: .overwrite) : nil,
        concurrencyKey: ConcurrencyKey("k\(number % 3)", limit: limit))
    }
    var ended: Set<Int64> = []
    for _ in 0..<3 {
      let ids = try await driver.insert((0..<12).map { keyed($0) } + [NewJob("a")]).map(\.id)
      try await check(database)
      // A held one stays where it is, and a raised limit admits more.
      #expect(try await driver.insert([keyed(4, limit: 2)]) == [.overwritten(ids[4])])
      try await check(database)
      var jobs: [ClaimedJob] = []
      while jobs.count < 5 { jobs += try await driver.claim(want).jobs }
      #expect(Set(jobs.map(\.id)) == Set([0, 1, 2, 4, 12].map { ids[$0] }))
      let outcomes: [Settlement.Outcome] = [
        .completed(), .failed(message: "no"), .completed(replacements: [keyed(13)]), .released, .completed(),
      ]
      let settlements = jobs.sorted { $0.id < $1.id }.enumerated().map { Settlement($1.lease, outcomes[$0]) }
      let settled = try await driver.settle(settlements, claiming: nil).results
      for result in settled { if case .leaseLost = result { Issue.record("a lease was lost") } }
      ended.insert(ids[1])
      try await check(database)
      #expect(try await driver.change([ids[11], ids[8]], JobChange(priority: 1)) == [.changed, .changed])
      #expect(try await driver.cancel([ids[3], ids[6]], reason: nil) == [.cancelled, .cancelled])
      ended.formUnion([ids[3], ids[6]])
      try await check(database)
      var rounds = 0
      while try await driver.count() != [] {
        let jobs = try await driver.claim(want).jobs
        _ = try await driver.settle(jobs.map { Settlement($0.lease, .completed()) }, claiming: nil)
        try await check(database)
        rounds += 1
        try #require(rounds < 100)
      }
    }
    #expect(met.withLock { $0 } > 2, "there was none of these statements")
    #expect(Set(try await driver.failures(LogQuery(limit: 1000)).map(\.job)) == ended)
    let rows = try await database.server.query(
      "SELECT COUNT(*) FROM qudo_key UNION ALL SELECT COUNT(*) FROM qudo_held", in: database.name)
    #expect(rows == ["0", "0"])
    await driver.close()
    try await database.drop()
  }

  @Test(
    "a verb for stopped keys of which a statement changes or finds nothing is not committed",
    arguments: Evidence.arguments([
      "INSERT INTO qudo_stop", "DELETE FROM qudo_stop", "SELECT failure, job, at",
      "SELECT kind, name, allowed",
      "INSERT INTO qudo_failure", "SELECT h.id, h.kind", "DELETE FROM qudo_held", "DELETE FROM qudo_key",
      "UPDATE qudo_failure",
    ]))
  func shortStops(_ beginning: String) async throws {
    let database = try await TestDatabase()
    let met = Locked(0)
    let driver = try database.driver(
      options: "pool=1",
      replacing: { statement in
        let text = statement.text.replacing("\nWHERE ", with: " WHERE ")
        let places = text.ranges(of: " WHERE ")
        let isOfFailure = text.hasPrefix("INSERT INTO qudo_failure")
        guard text.hasPrefix(beginning), let place = isOfFailure ? places.last : places.first,
          met.withLock({
            $0 += 1; return $0 % 5 == 1
          })
        else { return statement.bytes }
        return Array("\(text[..<place.lowerBound]) WHERE 0 AND \(text[place.upperBound...])".utf8)
      })
    func jobs() -> [NewJob] {
      (0..<9).map {
        NewJob("a", concurrencyKey: ConcurrencyKey("k\($0 % 3)", afterFailure: .stop))
      }
    }
    for _ in 0..<2 {
      _ = try await driver.insert(jobs())
      let claimed = try await driver.claim(ClaimRequest([.init("a", maxExpiredLeases: 1)], limit: 9)).jobs
      #expect(claimed.count == 3)
      _ = try await driver.settle(claimed.map { Settlement($0.lease, .failed(message: "")) }, claiming: nil)
      try await check(database)
      let stops = try await driver.keyStops(nil, after: 0, limit: 9)
      #expect(stops.count == 3 && Set(stops.map(\.job)) == Set(claimed.map(\.id)))
      guard case .replayed(let first) = try await driver.replay([stops[0].failure]).first else {
        Issue.record("it was not replayed")
        return
      }
      #expect(try await driver.resolve([stops[1].failure]) == [.resolved])
      #expect(try await driver.resume(keys: ["k0", "k1", "k2"], of: "a") == [stops[2]])
      try await check(database)
      #expect(try await driver.jobs(matching: JobQuery(ids: [first])).map(\.state) == [.ready])
      while try await driver.count() != [] {
        let jobs = try await driver.claim(ClaimRequest([.init("a")], limit: 9)).jobs
        _ = try await driver.settle(jobs.map { Settlement($0.lease, .completed()) }, claiming: nil)
      }
      try await check(database)
    }
    #expect(met.withLock { $0 } > 0, "there was none of these statements")
    await driver.close()
    try await database.drop()
  }

  /// Fails as if the server had been told to stop it.
  private static let stopped = "SIGNAL SQLSTATE '70100' SET MYSQL_ERRNO = 1317, MESSAGE_TEXT = 'stopped'"

  @Test("a connection whose ROLLBACK was stopped is not used again") func stoppedRollback() async throws {
    let database = try await TestDatabase()
    let stops = Locked(["INSERT INTO qudo_ready", "ROLLBACK"])
    let driver = try database.driver(
      options: "pool=1",
      replacing: { statement in
        let isStopped = stops.withLock { stops in
          guard let next = stops.first, statement.text.hasPrefix(next) else { return false }
          stops.removeFirst()
          return true
        }
        return isStopped ? Array(Self.stopped.utf8) : statement.bytes
      })
    #expect(try await driver.insert([NewJob("a")]).count == 1)
    #expect(stops.withLock { $0 } == [])
    #expect(try await driver.count() == [JobCount("a", ready: 1)])
    #expect(try await driver.jobs(matching: JobQuery(limit: 10)).count == 1)
    try await check(database)
    await driver.close()
    try await database.drop()
  }

  @Test("an INSERT that was stopped while it fetched an id is repeated, however often")
  func stoppedBeforeItsID()
    async throws
  {
    let database = try await TestDatabase()
    let stops = Locked(20)
    let driver = try database.driver(
      options: "pool=1",
      replacing: { statement in
        let isStopped =
          statement.text.hasPrefix("INSERT INTO qudo_job")
          && stops.withLock { rest in
            rest -= 1
            return rest >= 0
          }
        return isStopped
          ? Array("SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1467, MESSAGE_TEXT = 'no id'".utf8)
          : statement.bytes
      })
    #expect(try await driver.insert([NewJob("a")]).count == 1)
    #expect(stops.withLock { $0 } < 0)
    #expect(try await driver.count() == [JobCount("a", ready: 1)])
    try await check(database)
    await driver.close()
    try await database.drop()
  }

  @Test("a COMMIT that was done and is reported as stopped is not done again") func stoppedCommit()
    async throws
  {
    let database = try await TestDatabase()
    let stops = Locked(0)
    let driver = try database.driver(
      options: "pool=1",
      replacing: { statement in
        guard statement.text == "COMMIT",
          stops.withLock({
            $0 += 1; return $0 == 3
          })
        else { return statement.bytes }
        return statement.bytes + Array("; \(Self.stopped)".utf8)
      })
    for number in 1...3 {
      #expect(try await driver.insert([NewJob("a", payload: Payload("\(number)"))]).count == 1)
    }
    #expect(stops.withLock { $0 } > 3)
    #expect(
      try await driver.jobs(matching: JobQuery(limit: 10)).map {
        String(decoding: $0.payload.bytes, as: UTF8.self)
      } == ["1", "2", "3"])
    try await check(database)
    await driver.close()
    try await database.drop()
  }

  @Test("a SELECT that was stopped and found nothing loses no job") func emptySelects() async throws {
    let database = try await TestDatabase()
    let replaced = Locked(0)
    let driver = try database.driver(
      options: "pool=1",
      replacing: { statement in
        let text = statement.text
        // The jobs that were claimed; and of a lease that has ended, how often its job has lost one: without an answer the job seems gone.
        let short =
          text.hasPrefix("SELECT id, payload")
          ? text.replacing(" WHERE ", with: " WHERE 0 AND ")
          : text.replacing("(SELECT lost FROM", with: "(SELECT NULL FROM")
        guard short != text,
          replaced.withLock({
            $0 += 1; return $0 % 2 == 1
          })
        else { return statement.bytes }
        return Array(short.utf8)
      })
    _ = try await driver.insert([NewJob("a"), NewJob("a")])
    let brief = ClaimRequest([.init("a", leaseDuration: .microseconds(1), maxExpiredLeases: 100)], limit: 10)
    #expect(try await driver.claim(brief).jobs.count == 2)
    #expect(replaced.withLock { $0 } == 2)
    var claimed = 0
    for _ in 0..<4 {
      claimed = max(claimed, try await driver.claim(brief).jobs.count)
      try await check(database)
    }
    #expect(claimed == 2)
    #expect(try await driver.jobs(matching: JobQuery(limit: 10)).count == 2)
    await driver.close()
    try await database.drop()
  }

  @Test("a server that owes an answer and sleeps is left within seconds") func forgottenAnswer() async throws
  {
    let database = try await TestDatabase()
    let relay = try Relay(to: database.server.port)
    defer { relay.stop() }
    let driver = try database.driver(options: "pool=1", port: relay.port)
    _ = try await driver.insert([NewJob("a")])
    relay.swallowAnswers(to: "INSERT INTO qudo_ready")
    let start = ContinuousClock.now
    let results = try await driver.insert([NewJob("a")])
    #expect(ContinuousClock.now - start < .seconds(15), "not the read timeout of 30 s")
    #expect(relay.left == 0 && results.count == 1)
    // The COMMIT was among what was not answered: it is not done again.
    #expect(try await driver.count() == [JobCount("a", ready: 2)])
    #expect(driver.pool.access.watch.endings.withLock { $0 } == 1)
    try await check(database)
    await driver.close()
    try await database.drop()
  }

  /// On a thread of its own, since it blocks.
  private final class Attack: Sendable {
    let result = Locked<Result<Void, any Error>?>(nil)
  }

  /// Each job, and what is known of it.
  private struct Tally {
    var inserted: Set<Int64> = []
    var settled: Set<Int64> = []
    var unknown = 0
    var errors: [String: Int] = [:]

    mutating func add(_ error: QudoError) {
      errors["\(error.code) \(error.cause.map { "\($0)" } ?? "")", default: 0] += 1
      if error.code == .outcomeUnknown { unknown += 1 }
      #expect([.busy, .unreachable, .outcomeUnknown].contains(error.code), "\(error)")
    }
  }

  /// Stops whatever runs, until it is told to end.
  ///
  /// - Parameter kills: how often it did.
  private func attack(
    _ database: TestDatabase, _ verb: SQL, _ kills: Locked<Int>, until isDone: @escaping @Sendable () -> Bool
  ) throws {
    let connection = try database.connection()
    while !isDone() {
      let found = try connection.run(
        """
        SELECT id FROM information_schema.PROCESSLIST WHERE db = DATABASE() AND id <> CONNECTION_ID() AND command = 'Query'
        """)
      for id in found.rows?.map({ $0.integer(0) }) ?? [] {
        // 1094: it has ended by itself.
        if (try? connection.run("KILL \(verb) \(id)")) != nil { kills.withLock { $0 += 1 } }
      }
    }
  }

  private func use(_ driver: MySQLDriver, _ tally: Locked<Tally>, round: Int) async {
    do throws(QudoError) {
      let jobs = (0..<(round % 12 + 1)).map { number in
        NewJob(
          "a", payload: Payload("\(number)"),
          concurrencyKey: number % 4 == 1 ? ConcurrencyKey("k\(round % 3)", limit: number / 4 + 1) : nil,
          due: number % 5 == 4 ? .after(.milliseconds(1)) : .now)
      }
      let ids = try await driver.insert(jobs).map(\.id)
      tally.withLock { $0.inserted.formUnion(ids) }
    } catch { tally.withLock { $0.add(error) } }
    do throws(QudoError) {
      let change = JobChange(
        priority: round % 3, due: round % 2 == 0 ? .now : .after(.milliseconds(1)),
        payload: Payload("changed"))
      _ = try await driver.change(matching: JobQuery(limit: 5), change)
      let running = try await driver.jobs(matching: JobQuery(states: [.running], limit: 2)).map(\.id)
      _ = try await driver.recover(running)
      _ = try await driver.recover(matching: JobQuery(limit: 1))
    } catch { tally.withLock { $0.add(error) } }
    do throws(QudoError) {
      let claimed = try await driver.claim(
        ClaimRequest([.init("a", leaseDuration: .seconds(3600))], limit: round % 16 + 1)
      ).jobs
      let settlements = claimed.enumerated().map { index, job in
        Settlement(job.lease, round % 3 == 0 ? Self.outcomes[index % Self.outcomes.count] : .completed())
      }
      let results = try await driver.settle(settlements, claiming: nil).results
      tally.withLock { tally in
        for (settlement, result) in zip(settlements, results) {
          guard case .settled(let replacements) = result else { continue }
          tally.inserted.formUnion(replacements.map(\.id))
          switch settlement.outcome {
          case .completed, .failed, .aborted: tally.settled.insert(settlement.lease.job)
          default: break
          }
        }
      }
    } catch { tally.withLock { $0.add(error) } }
  }

  @Test("while the server stops statements, each transaction is whole", arguments: ["QUERY", "CONNECTION"])
  func attacked(_ verb: String) async throws {
    let database = try await TestDatabase(on: try await MariaDBServer.start())
    let driver = try database.driver(options: "read-timeout=10s", timeout: .seconds(20))
    try await driver.connect()
    let tally = Locked(Tally())
    let done = Locked(false)
    let kills = Locked(0)
    let words: SQL = verb == "QUERY" ? "QUERY" : "CONNECTION"
    let attack = Attack()
    Thread.detachNewThread {
      attack.result.withLock {
        $0 = Result { try self.attack(database, words, kills) { done.withLock { $0 } } }
      }
    }
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<3 {
        group.addTask {
          var round = 0
          while kills.withLock({ $0 }) < (verb == "QUERY" ? 600 : 200) {
            round += 1
            await use(driver, tally, round: round)
          }
        }
      }
    }
    done.withLock { $0 = true }
    while attack.result.withLock({ $0 == nil }) { try await Task.sleep(for: .milliseconds(5)) }
    try attack.result.withLock { try $0?.get() }
    try await check(database)
    let found = Set(try await driver.jobs(matching: JobQuery(limit: 1_000_000)).map(\.id))
    let all = tally.withLock { $0 }
    // What was settled without an answer is gone too.
    if all.errors.isEmpty { #expect(all.inserted.subtracting(all.settled) == found) }
    #expect(all.settled.isDisjoint(with: found))
    // A stopped statement is repeated; only a COMMIT that is stopped twice may be unknown.
    if verb == "QUERY" {
      #expect(all.errors.keys.allSatisfy { $0.hasPrefix("outcomeUnknown") }, "\(all.errors)")
    }
    await driver.close()
  }
}
#endif
