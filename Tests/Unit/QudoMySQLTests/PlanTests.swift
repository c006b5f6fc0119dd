#if MySQL
import MariaDBServer
@testable import QudoMySQL
import Qudo
import Testing

/// What the verbs run must not read, sort or lock what grows with the backlog.
@Suite struct PlanTests {
  @Test func noHotStatementScansOrSorts() async throws {
    let database = try await TestDatabase()
    let statements = Locked<[SQL]>([])
    let driver = try database.driver(observer: { statement in statements.withLock { $0.append(statement) } })
    try await fill(driver)
    try await database.server.query(
      "ANALYZE TABLE qudo_job, qudo_ready, qudo_delayed, qudo_running, qudo_failure, qudo_status, qudo_expiry, qudo_schedule, qudo_key, qudo_held, qudo_stop, qudo_key_rate",
      in: database.name)
    statements.withLock { $0 = [] }
    try await workADay(driver)
    await driver.close()

    let connection = try database.connection()
    try connection.run("SET @n = \(Transaction.serverTime)")
    // What LAST_INSERT_ID() is then: an id among the others.
    try connection.run("SELECT LAST_INSERT_ID(5000)")
    var explained: Set<String> = []
    for statement in statements.withLock({ $0 })
    where Self.canBeExplained(statement) && explained.insert(statement.text).inserted {
      let rows = try #require(try connection.run("EXPLAIN \(statement)").rows)
      for plan in rows.map({ Plan($0) }) where plan.table.first?.isLetter == true {
        // A page of a log, or what is pruned of it, is read from one end of the log.
        if plan.type == "index", ["qudo_failure", "qudo_status"].contains(plan.table),
          statement.text.contains("LIMIT")
        {
          continue
        }
        // For metrics: the rows of a log by kind, by the index of the kinds.
        if plan.type == "index", plan.key.hasSuffix("_kind"), statement.text.contains("AS rows_of_kind") {
          continue
        }
        // All rows of a log are counted, by its smallest index: once, if its ids are further apart than the rows to keep.
        if plan.type == "index", statement.text.hasPrefix("SELECT COUNT(*), COALESCE(MIN(id)") { continue }
        // A page of jobs needs the end of each one's lease: all of the running become a table of the statement's own.
        if plan.table == "qudo_running", statement.text.contains("MAX(ends)") { continue }
        // A page of the running jobs in the order of their ids: their key begins with the end of the lease.
        if plan.table == "qudo_running", plan.type == "range",
          statement.text.contains("FROM qudo_running WHERE ends > @n AND kind IN")
        {
          continue
        }
        // A cancel finds the running jobs by their ids, which are no key of theirs.
        if plan.table == "qudo_running",
          statement.text.hasPrefix("SELECT ends, id FROM qudo_running WHERE id IN")
        {
          continue
        }
        // A claim with a maximum of running jobs counts them, which are no more than the workers hold.
        if plan.table == "r", statement.text.hasPrefix("SELECT k.id, COUNT(r.id)") {
          continue
        }
        #expect(!plan.isBad, "\(plan) of \(statement.text.prefix(700))")
      }
    }
    #expect(explained.count > 25)
    try await database.drop()
  }

  private struct Plan: CustomStringConvertible {
    let table: String
    let type: String
    let key: String
    let rows: Int64
    let extra: String

    /// - Parameter row: id, select_type, table, type, possible_keys, key, key_len, ref, rows, Extra.
    init(_ row: Row) {
      (table, type, key, rows, extra) = (row.text(2), row.text(3), row.text(5), row.integer(8), row.text(9))
    }

    /// A whole table or index is read, or rows are sorted. Some ten rows may be.
    var isBad: Bool {
      ["ALL", "index"].contains(type) && rows > 64 && !extra.contains("no matching row")
        || extra.contains("filesort") && rows > 64
    }
    var description: String { "\(table) \(type) key=\(key) rows=\(rows) \(extra)" }
  }

  private static func canBeExplained(_ statement: SQL) -> Bool {
    let text = statement.text
    return ["SELECT", "INSERT", "DELETE", "UPDATE"].contains { text.hasPrefix($0) } && text != "SELECT @n"
      && text.contains("qudo_")
      && !text.contains("VALUES")
  }

  private func fill(_ driver: MySQLDriver) async throws {
    let now = try await driver.dueSchedules(after: nil, limit: 1).now
    _ = try await driver.store(
      (1000..<3000).map { (number: Int) -> StoredSchedule in
        // Some ten are due.
        let next = number % 200 == 0 ? now : now.advanced(by: .seconds(3600 + number))
        let kind: Kind = number % 2 == 0 ? "a" : "b"
        return StoredSchedule(name: "\(number)", rule: "r", kind: kind, nextTick: next)
      })
    _ = try await driver.insert((0..<2000).map { NewJob("e", expires: .after(.seconds(3600 + $0))) })
    _ = try await driver.insert((0..<2000).map { keyed($0, "\($0 % 200)") })
    for kind in ["a", "b", "c", "d"] as [Kind] {
      _ = try await driver.insert(
        (0..<1000).map { NewJob(kind, payload: Payload("\($0)"), priority: $0 % 3) })
      _ = try await driver.insert(
        (0..<1000).map { NewJob(kind, unique: UniqueKey("\($0)"), due: .after(.seconds(1000 + $0))) })
    }
    _ = try await driver.insert((0..<2000).map { _ in NewJob("r") })
    for _ in 0..<20 {
      _ = try await driver.claim(ClaimRequest([.init("r", leaseDuration: .seconds(10_000))], limit: 100))
    }
    _ = try await driver.insert((0..<2000).map { _ in NewJob("f") })
    for _ in 0..<20 {
      let jobs = try await driver.claim(ClaimRequest([.init("f")], limit: 100)).jobs
      _ = try await driver.settle(
        jobs.map { Settlement($0.lease, .failed(message: "no"), recording: .seconds(1)) }, claiming: nil)
    }
  }

  private func keyed(_ number: Int, _ key: String, limit: Int = 2, expires: Expiry = .never) -> NewJob {
    NewJob(
      "k", unique: number % 4 == 0 ? UniqueKey("\(number)", onConflict: .overwrite) : nil,
      concurrencyKey: ConcurrencyKey(key, limit: limit), expires: expires)
  }

  private func keys(_ driver: MySQLDriver) async throws {
    var ids = try await driver.insert((0..<80).map { keyed($0 * 2, "\($0)", limit: 3) }).map(\.id)
    ids += try await driver.insert([keyed(700, "other"), keyed(704, "9")]).map(\.id)
    let jobs = try await driver.claim(ClaimRequest([.init("k")], limit: 80)).jobs
    let outcomes: [Settlement.Outcome] = [
      .completed(), .completed(replacements: [keyed(1, "1")]), .failed(message: ""), .released,
    ]
    _ = try await driver.settle(
      jobs.enumerated().map { Settlement($1.lease, outcomes[$0 % 4]) },
      claiming: ClaimRequest([.init("k")], limit: 5))
    _ = try await driver.change(ids, JobChange(priority: 1))
    _ = try await driver.cancel(Array(ids.prefix(60)), reason: nil)
    let expiring = (0..<9).map { keyed($0, "e", expires: .after(.microseconds(1))) }
    _ = try await driver.insert(expiring)
    _ = try await driver.claim(ClaimRequest([.init("k")], limit: 5))
    let failed = try await driver.failures(LogQuery(kinds: ["k"], limit: 9)).map(\.id)
    _ = try await driver.replay(failed)
  }

  private func control(_ driver: MySQLDriver) async throws {
    try await driver.pause(["b"], until: nil, reason: "x")
    let jobs = try await driver.claim(ClaimRequest([.init("a"), .init("b"), .init("c")], limit: 40)).jobs
    var ids = jobs.map(\.id)
    ids += try await driver.jobs(matching: JobQuery(limit: 60)).map(\.id)
    _ = try await driver.cancel(ids, reason: "x")
    _ = try await driver.cancel(matching: JobQuery(ids: ids), reason: nil)
    _ = try await driver.cancel(matching: JobQuery(limit: 20), reason: nil)
    _ = try await driver.settle(
      jobs.prefix(20).map { Settlement($0.lease, .released) }
        + jobs.dropFirst(20).map { Settlement($0.lease, .completed()) },
      claiming: ClaimRequest([.init("b"), .init("d")], limit: 5))
    _ = try await driver.claim(ClaimRequest([.init("b")], limit: 5))
    try await change(driver)
    try await expire(driver)
    try await schedule(driver)
    try await keys(driver)
    _ = try await driver.pauses()
    _ = try await driver.resume(nil)
  }

  private func throttle(_ driver: MySQLDriver) async throws {
    let keys = (0..<1000).map { UniqueKey("\($0)", throttle: $0 == 5 ? .microseconds(1) : .seconds(3600)) }
    _ = try await driver.insert(
      keys.enumerated().map { NewJob("t", unique: $1, due: $0 % 2 == 0 ? .now : .after(.microseconds(1))) })
    let jobs = try await driver.claim(ClaimRequest([.init("t")], limit: 60)).jobs
    _ = try await driver.settle(
      jobs.enumerated().map { Settlement($1.lease, $0 % 9 == 0 ? .failed(message: "") : .completed()) },
      claiming: nil)
    _ = try await driver.insert([NewJob("t", unique: "5"), NewJob("t", unique: "6")])
    _ = try await driver.prune(PruneOptions())
  }

  private func stop(_ driver: MySQLDriver) async throws {
    _ = try await driver.insert(
      (0..<1000).map {
        NewJob("s", concurrencyKey: ConcurrencyKey("\($0 % 500)", limit: 1 + $0 % 2, afterFailure: .stop))
      })
    let jobs = try await driver.claim(ClaimRequest([.init("s")], limit: 1000)).jobs
    _ = try await driver.settle(jobs.map { Settlement($0.lease, .failed(message: "")) }, claiming: nil)
    let stops = try await driver.keyStops(nil, after: 0, limit: 100)
    _ = try await driver.keyStops(nil, after: stops[50].failure, limit: 10)
    _ = try await driver.replay([stops[0].failure])
    _ = try await driver.resolve([stops[1].failure])
    _ = try await driver.resume(keys: ["7", "8"], of: "s")
  }

  private func pace(_ driver: MySQLDriver) async throws {
    let slow = RateLimit(1, per: .seconds(3600))
    func paced(_ key: String) -> NewJob {
      NewJob("p", concurrencyKey: ConcurrencyKey(key, limit: 9, rate: slow))
    }
    let ids = try await driver.insert((0..<2000).map { paced("\($0 / 4)") }).map(\.id)
    let jobs = try await driver.claim(ClaimRequest([.init("p")], limit: 60)).jobs
    _ = try await driver.throttle(keyOf: ids[1500], for: .seconds(1))
    let keys = try await driver.concurrencyKeys(ConcurrencyKeyQuery(limit: 20))
    _ = try await driver.concurrencyKeys(ConcurrencyKeyQuery(kinds: ["p"], after: keys.last, limit: 20))
    _ = try await driver.concurrencyKeys(ConcurrencyKeyQuery(keys: ["7", "8"], limit: 20))
    var unbegun = Settlement(jobs[0].lease, .released)
    unbegun.hasBegun = false
    _ = try await driver.settle(
      [unbegun] + jobs.dropFirst().map { Settlement($0.lease, .completed()) },
      claiming: ClaimRequest([.init("p")], limit: 5))
    // Some have no job any more.
    _ = try await driver.cancel(Array(ids.suffix(400)), reason: nil)
    _ = try await driver.prune(PruneOptions())
  }

  private func group(_ driver: MySQLDriver) async throws {
    var jobs = (0..<1000).map { NewJob("g", due: $0 % 9 == 0 ? .after(.microseconds(1)) : .now) }
    for index in jobs.indices where index % 10 > 0 { jobs[index].group = "\(index % 10)" }
    let ids = try await driver.insert(jobs).map(\.id)
    let claimed = try await driver.claim(ClaimRequest([.init("g")], limit: 60)).jobs
    let outcomes: [Settlement.Outcome] = [
      .completed(), .failed(message: ""), .retry(after: .zero, message: ""),
      .retry(after: .seconds(1), message: ""), .released,
    ]
    _ = try await driver.settle(
      claimed.enumerated().map { Settlement($1.lease, outcomes[$0 % 5]) }, claiming: nil)
    _ = try await driver.change(Array(ids.suffix(9)), JobChange(priority: 1))
    _ = try await driver.jobs(matching: JobQuery(JobFilter(kinds: ["g"], group: "1"), limit: 3))
    _ = try await driver.cancel(Array(ids.suffix(9)), reason: nil)
    _ = try await driver.claim(ClaimRequest([.init("g")], limit: 60))
  }

  private func schedule(_ driver: MySQLDriver) async throws {
    let due = try await driver.dueSchedules(after: nil, limit: 100).due
    _ = try await driver.dueSchedules(after: "1500", limit: 2)
    let ticks = due.enumerated().map { index, schedule in
      ScheduleTick(
        name: schedule.name, version: 1, jobs: [NewJob("s")], tick: nil, next: schedule.nextTick,
        skipsOverlap: index % 2 == 0)
    }
    _ = try await driver.advance(ticks)
    let names = due.map(\.name)
    _ = try await driver.store(try await driver.schedules(names))
    _ = try await driver.schedules(["1", names[0]])
    _ = try await driver.removeSchedules(names)
  }

  private func expire(_ driver: MySQLDriver) async throws {
    try await driver.setFailureRoutes([FailureRoute("x", to: "y")])
    let expiring = (0..<60).map { number in
      NewJob(
        "x", unique: number % 3 == 0 ? UniqueKey("\(number)", onConflict: .overwrite) : nil,
        priority: number % 2,
        due: number % 2 == 0 ? .now : .after(.microseconds(1)), expires: .after(.seconds(60)))
    }
    var ids: [Int64] = []
    for _ in 0..<2 { ids += try await driver.insert(expiring).map(\.id) }
    let brief = ClaimRequest([.init("x", leaseDuration: .microseconds(1), maxExpiredLeases: 1)], limit: 10)
    _ = try await driver.claim(brief)
    let running = try await driver.claim(ClaimRequest([.init("x")], limit: 40)).jobs
    let outcomes: [Settlement.Outcome] = [
      .completed(), .failed(message: ""), .released, .retry(after: .seconds(1), message: ""),
    ]
    let settlements = running.enumerated().map { Settlement($1.lease, outcomes[$0 % 4]) }
    _ = try await driver.settle(settlements, claiming: ClaimRequest([.init("x"), .init("y")], limit: 5))
    _ = try await driver.change(ids, JobChange(expires: .after(.microseconds(1))))
    _ = try await driver.claim(ClaimRequest([.init("x")], limit: 5))
    _ = try await driver.insert([NewJob("x", expires: .after(.microseconds(1)))])
    _ = try await driver.claim(ClaimRequest([.init("x")], limit: 5))
    _ = try await driver.failureRoutes()
  }

  private func change(_ driver: MySQLDriver) async throws {
    let brief = ClaimRequest([.init("c", leaseDuration: .microseconds(1), maxExpiredLeases: 9)], limit: 60)
    var ids = try await driver.claim(brief).jobs.map(\.id)
    ids += try await driver.jobs(matching: JobQuery(limit: 200)).map(\.id)
    _ = try await driver.change(ids, JobChange(priority: 1, due: .now, payload: Payload("x")))
    _ = try await driver.change(Array(ids.prefix(60)), JobChange(due: .after(.seconds(60))))
    _ = try await driver.change(Array(ids.prefix(70)), JobChange(metadata: JobMetadata()))
    _ = try await driver.change(matching: JobQuery(after: 3000, limit: 30), JobChange(priority: 2))
    let running = try await driver.claim(
      ClaimRequest([.init("d", leaseDuration: .seconds(3600))], limit: 80)
    ).jobs.map(\.id)
    _ = try await driver.cancel(Array(running.prefix(5)), reason: nil)
    _ = try await driver.recover(running.prefix(9) + ids)
    _ = try await driver.recover(matching: JobQuery(kinds: ["d"], limit: 100))
    let ended = try await driver.failures(LogQuery(limit: 100)).map(\.job)
    _ = try await driver.outcomes(of: ids + running + ended)
    _ = try await driver.outcomes(of: [1])
    _ = try await driver.outcomes(of: [ended[0]])
    for key in ["5", "unknown"] { _ = try await driver.job(withUniqueKey: key, kind: "a") }
    _ = try await driver.failures(LogQuery(job: ended[0]))
    _ = try await driver.statuses(LogQuery(kinds: ["f"], job: ended[0]))
  }

  private func workADay(_ driver: MySQLDriver) async throws {
    _ = try await driver.insert((0..<20).map { NewJob("a", due: $0 % 2 == 0 ? .now : .after(.seconds(9))) })
    for policy in [.reject, .keep, .overwrite] as [UniqueKey.Conflict] {
      _ = try await driver.insert([
        NewJob("a", unique: UniqueKey("5", onConflict: policy)),
        NewJob("a", unique: UniqueKey("new", onConflict: policy)),
      ])
    }
    var jobs = try await driver.claim(ClaimRequest([.init("a")], limit: 10)).jobs
    jobs += try await driver.claim(ClaimRequest([.init("a"), .init("b", limit: 3), .init("c")], limit: 50))
      .jobs
    _ = try await driver.claim(
      ClaimRequest([.init("a", maxRunning: 1), .init("c", maxRunning: 1)], limit: 1))
    let rate = RateLimit(1, per: .seconds(60))
    _ = try await driver.claim(
      ClaimRequest([.init("a", rate: rate), .init("c", maxRunning: 1, rate: rate)], limit: 1))
    try await driver.throttle("c", rate, for: .seconds(1))
    let leases = try await driver.renew(jobs.map(\.lease), for: .seconds(100)).compactMap { $0 }
    let outcomes: [Settlement.Outcome] = [
      .completed(), .completed(replacements: [NewJob("b")]), .retry(after: .zero, message: ""),
      .retry(after: .seconds(1), message: ""),
      .failed(message: ""), .aborted(message: ""), .snoozed(.seconds(5)), .released,
    ]
    for (number, outcome) in outcomes.enumerated() {
      _ = try await driver.settle(
        leases[number * 5..<number * 5 + 5].map { Settlement($0, outcome, recording: .seconds(1)) },
        claiming: ClaimRequest([.init("b"), .init("d")], limit: 5))
    }
    try await throttle(driver)
    try await group(driver)
    try await stop(driver)
    try await pace(driver)
    _ = try await driver.promote(limit: 10)
    _ = try await driver.backlog(nil, countingUpTo: 10)
    _ = try await driver.backlog(["a", "b"], countingUpTo: 10)
    _ = try await driver.sizes()
    _ = try await driver.logRows(countingUpTo: 1000)
    _ = try await driver.jobs(matching: JobQuery())
    _ = try await driver.jobs(matching: JobQuery().withPayloads(upTo: 100))
    _ = try await driver.failures(LogQuery().withoutPayloads)
    _ = try await driver.jobs(matching: JobQuery(ids: jobs.map(\.id)))
    let ids = try await driver.failures(LogQuery(kinds: ["f"])).map(\.id)
    _ = try await driver.statuses(LogQuery())
    _ = try await driver.replay(ids)
    for _ in 0..<2 { _ = try await driver.prune(PruneOptions(olderThan: .zero, keep: 1000, limit: 10)) }
    _ = try await driver.prune(PruneOptions(limit: 10))
    try await control(driver)
  }
}
#endif
