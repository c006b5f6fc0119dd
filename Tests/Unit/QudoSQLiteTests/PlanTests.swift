import CSQLite
import Qudo
@testable import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// How SQLite goes about the statements that a run of every verb has prepared.
@Suite struct PlanTests {
  let file: TemporaryFile
  let clock = ManualClock()
  let driver: SQLiteDriver

  init() throws {
    file = try TemporaryFile()
    driver = try file.open(clock: clock)
  }

  /// Where the writer may read a whole table, by the statement's beginning, and why.
  private let writerScans = [
    // A lease that is not where it was thought to be: stale, or as it was before an extension. See Leases.swift.
    "SELECT token, instance, ends FROM qudo_running",
    // To cancel a running job: which claim has it.
    "SELECT instance, ends, last, first, token, lost_limit, claimed_at, lease FROM qudo_running WHERE ? BETWEEN",
    // Pauses, of which there are few: after another connection changed the file, if there are any.
    "SELECT kind, paused_at, ends, reason",
    // Kinds, of which there are few: when a worker starts.
    "SELECT k.name, t.name FROM qudo_kind AS k",
    // Marks of running jobs, of which there are few, if any.
    "DELETE FROM qudo_cancellation WHERE NOT EXISTS",
    // Whether there are any.
    "SELECT EXISTS(SELECT 1 FROM qudo_cancellation)", "SELECT EXISTS(SELECT 1 FROM qudo_admitted)",
    "SELECT EXISTS(SELECT 1 FROM qudo_rest)", "SELECT EXISTS(SELECT 1 FROM qudo_group)",
    "SELECT EXISTS(SELECT 1 FROM qudo_stop)", "SELECT EXISTS(SELECT 1 FROM qudo_key_rate)",
    "SELECT max(coalesce((SELECT max(id) FROM qudo_job)",
    // Of a row for each open driver that claims: once at opening, at the first claim, and when others have changed the file.
    "INSERT INTO qudo_instance(id, boot, locked, pid, opened_at)\nSELECT DISTINCT",
    "SELECT id, boot, locked, pid FROM qudo_instance",
    "SELECT id, boot, locked, pid, (SELECT ends FROM qudo_running",
    // With a maximum of waiting jobs: what is not kept by kind.
    "SELECT count(*) FROM (SELECT 1 FROM qudo_delayed", "SELECT id FROM qudo_delayed WHERE due",
    // Of a concurrency key: as many places as its limit allows.
    "SELECT count(*) FROM (\n  SELECT 1 FROM qudo_admitted", "SELECT count(*) FROM (SELECT 1 FROM qudo_held",
    "SELECT (SELECT most FROM qudo_key", "SELECT EXISTS(SELECT 1 FROM qudo_held) OR",
    // With a maximum of running jobs: a row for those of one claim.
    "SELECT j.kind FROM qudo_running AS r",
    // Once, at opening.
    "SELECT count(*) FROM sqlite_schema", "SELECT type, name, tbl_name, sql FROM sqlite_schema",
    "SELECT lowest_writer FROM qudo_schema",
  ]
  /// Where the reader may read a whole table or sort.
  private let readerScans = [
    // Whether there are any.
    "SELECT EXISTS(SELECT 1 FROM qudo_group)",
    // Counts rows: of all kinds, or of what is not kept by kind.
    "SELECT kind, count(*) + total(last - first) FROM qudo_ready", "SELECT kind, due > ? FROM qudo_delayed",
    // Of the running a row for those of one claim.
    "SELECT first, last, instance, ends, lease, claimed_at FROM qudo_running",
    "SELECT id, boot, locked, pid FROM qudo_instance",
    // Pauses, of which there are few.
    "SELECT kind, paused_at, ends, reason",
    // The lowest ids of the jobs in a state, which are kept in another order.
    "SELECT first, last FROM qudo_ready", "SELECT id FROM qudo_delayed", "SELECT id FROM qudo_held",
    // Whether they are many: they stop at that number.
    "SELECT count(*) FROM (SELECT 1 FROM qudo_ready", "SELECT count(*) FROM (SELECT 1 FROM qudo_delayed",
    "SELECT count(*) FROM (SELECT 1 FROM qudo_held", "SELECT kind, count(*) FROM qudo_held",
    // A page of a log from its newer or older end: it stops at its limit.
    "SELECT id, (SELECT name FROM qudo_kind WHERE qudo_kind.id = kind)",
    // The oldest and the newest row of a log: they stop at one row.
    "SELECT id, failed_at FROM qudo_failure ORDER BY", "SELECT id, ended_at FROM qudo_status ORDER BY",
    // All rows of a log, by whole pages of its smallest index: once, if its ids are further apart than the rows to keep.
    "SELECT count(*) FROM qudo_failure", "SELECT count(*) FROM qudo_status",
    // For metrics: the rows of a log by kind, by the index of the kinds, and the numbers that its ids have reached.
    "SELECT kind, count(*) FROM qudo_failure", "SELECT kind, count(*) FROM qudo_status",
    "SELECT seq FROM sqlite_sequence",
    // For dashboards: whether a log has many rows, which stops at that number.
    "SELECT count(*) FROM (SELECT 1 FROM qudo_failure", "SELECT count(*) FROM (SELECT 1 FROM qudo_status",
    // The kinds, of which there are few.
    "SELECT id FROM qudo_kind ORDER BY id",
    // For dashboards: the newest rows of a log, which stop at their limit, and whether there are any jobs.
    "SELECT id, kind, reason, failed_at FROM qudo_failure", "SELECT id, kind, status, started_at, ended_at",
    "SELECT max(coalesce((SELECT max(id) FROM qudo_job)",
  ]

  @Test func theWriterNeitherScansNorSorts() async throws {
    try await everyVerb()
    let plans = try await driver.writer.write(isDurable: true, isSmall: true) {
      transaction throws(QudoError) in try transaction.connection.plans()
    }
    #expect(plans.count > 30)
    for verb in [
      "INSERT INTO qudo_job", "DELETE FROM qudo_ready", "INSERT INTO qudo_running", "UPDATE qudo_running",
      "SELECT due, id, kind, rank FROM qudo_delayed",
      "DELETE FROM qudo_running", "INSERT INTO qudo_failure", "INSERT INTO qudo_status",
      "DELETE FROM qudo_failure", "UPDATE qudo_failure", "SELECT instance, ends",
    ] {
      #expect(plans.contains { $0.sql.hasPrefix(verb) }, "not prepared: \(verb)")
    }
    for plan in plans where !writerScans.contains(where: plan.sql.hasPrefix) {
      #expect(!plan.scans, "\(plan)")
    }
    // With a maximum of waiting jobs: the lowest ids, which are kept in another order.
    let sorts = [
      "INSERT INTO qudo_instance", "SELECT first, last FROM qudo_ready WHERE kind IN",
      "SELECT id FROM qudo_delayed WHERE due", "SELECT id FROM qudo_held WHERE kind IN",
    ]
    for plan in plans where !sorts.contains(where: plan.sql.hasPrefix) {
      #expect(!plan.sorts, "\(plan)")
    }
  }

  @Test func theReaderScansAndSortsForListingsOnly() async throws {
    try await everyVerb()
    let plans = try await driver.reader.read { snapshot throws(QudoError) in try snapshot.connection.plans() }
    #expect(plans.count > 12)
    for plan in plans where !readerScans.contains(where: plan.sql.hasPrefix) {
      #expect(!plan.scans && !plan.sorts, "\(plan)")
    }
  }

  @Test func aCountOfAKindReadsNoOtherKindsReadyJobs() async throws {
    _ = try await driver.insert([job()])
    _ = try await driver.count(["a"])
    let plans = try await driver.reader.read { snapshot throws(QudoError) in try snapshot.connection.plans() }
    let count = try #require(plans.first { $0.sql.hasPrefix("SELECT kind, count(*) + total") })
    #expect(
      count.details.allSatisfy { $0.hasPrefix("SEARCH qudo_ready USING PRIMARY KEY (kind=?") }, "\(count)")
  }

  @Test func aSuccessfulJobTouchesNoIndexOfTheLogs() async throws {
    _ = try await driver.insert([job()])
    let claimed = try await driver.claim(demand()).jobs
    _ = try await driver.settle(claimed.map { Settlement($0.lease, .completed()) }, claiming: demand())
    let prepared = try await driver.writer.write(isDurable: true, isSmall: true) { transaction in
      transaction.connection.preparedSQL
    }
    #expect(prepared.allSatisfy { !$0.contains("qudo_failure") && !$0.contains("qudo_status") })
  }

  @Test("with groups, a place is two look-ups, and no statement scans or sorts") func groups() async throws {
    var jobs = (1...40).map { job("\($0)", kind: $0 % 9 == 0 ? "b" : "group") }
    for index in jobs.indices where index % 3 > 0 { jobs[index].group = "g\(index % 3)" }
    jobs[1].due = .after(.seconds(1))
    jobs[2].concurrencyKey = "k"
    let ids = try await driver.insert(jobs).map(\.id)
    clock.advance(by: .seconds(1))
    for request in [demand(2, "group", "b"), demand(40, "group"), demand(3, "group")] {
      let claimed = try await driver.claim(request).jobs
      let outcomes: [Settlement.Outcome] = [
        .retry(after: .zero, message: ""), .retry(after: .seconds(9), message: ""), .released,
        .failed(message: ""), .completed(),
      ]
      _ = try await driver.settle(
        claimed.enumerated().map { Settlement($1.lease, outcomes[$0 % 5]) }, claiming: demand(1, "group"))
    }
    clock.advance(by: .seconds(61))
    _ = try await driver.claim(demand(1, "b"))
    _ = try await driver.change(Array(ids.prefix(9)), JobChange(priority: 1))
    _ = try await driver.change(Array(ids.prefix(9)), JobChange(metadata: ["a": "b"]))
    _ = try await driver.cancel(Array(ids.prefix(9)), reason: nil)
    _ = try await driver.replay(try await driver.failures(LogQuery()).map(\.id))
    let plans = try await driver.writer.write(isDurable: true, isSmall: true) {
      transaction throws(QudoError) in try transaction.connection.plans()
    }
    for plan in plans where !writerScans.contains(where: plan.sql.hasPrefix) {
      #expect(!plan.scans && !plan.sorts, "\(plan)")
    }
    for look in ["SELECT place FROM qudo_group WHERE kind", "SELECT 1 FROM qudo_group WHERE kind"] {
      let plan = try #require(plans.first { $0.sql.hasPrefix(look) })
      #expect(plan.details.allSatisfy { $0.contains("INDEX qudo_group_place") }, "\(plan)")
    }
    let query = JobQuery(JobFilter(kinds: ["group"], states: [.ready], group: "g1"))
    _ = try await driver.jobs(matching: query)
    let listing = try await driver.reader.read { snapshot throws(QudoError) in
      _ = try snapshot.backlog(nil, countingUpTo: 9)
      _ = try snapshot.readyTable.oldest(of: 1, atMost: 9)
      return try snapshot.connection.plans()
    }
    for plan in listing where !readerScans.contains(where: plan.sql.hasPrefix) {
      #expect(!plan.scans && !plan.sorts, "\(plan)")
    }
  }

  private func stops() async throws {
    var jobs = (1...6).map { job("\($0)", kind: "stop") }
    for index in jobs.indices {
      jobs[index].concurrencyKey = ConcurrencyKey("k\(index % 2)", limit: 2, afterFailure: .stop)
    }
    _ = try await driver.insert(jobs)
    let failing = try await driver.claim(demand(9, "stop")).jobs
    _ = try await driver.settle(failing.map { Settlement($0.lease, .failed(message: "")) }, claiming: nil)
    let ids = try await driver.insert(jobs).map(\.id)
    let stops = try await driver.keyStops(nil, after: 0, limit: 9)
    _ = try await driver.keyStops(["stop", "a"], after: 1, limit: 9)
    _ = try await driver.replay([stops[0].failure])
    _ = try await driver.resolve([stops[1].failure])
    _ = try await driver.resume(keys: ["k0", "k1"], of: "stop")
    _ = try await driver.cancel(ids, reason: nil)
  }

  private func keyRates() async throws {
    var jobs = (1...6).map { job("\($0)", kind: "paced") }
    for index in jobs.indices {
      jobs[index].concurrencyKey = ConcurrencyKey(
        "k\(index % 2)", limit: 3, rate: RateLimit(2, per: .seconds(60)))
    }
    let ids = try await driver.insert(jobs).map(\.id)
    let begun = try await driver.claim(demand(9, "paced")).jobs
    _ = try await driver.release([begun[0].lease])
    _ = try await driver.throttle(keyOf: ids[1], for: .seconds(1))
    _ = try await driver.concurrencyKeys(ConcurrencyKeyQuery(limit: 1))
    _ = try await driver.concurrencyKeys(ConcurrencyKeyQuery(keys: ["k0", "k1", "k2"]))
    _ = try await driver.cancel(ids, reason: nil)
    _ = try await driver.settle(begun.dropFirst().map { Settlement($0.lease, .completed()) }, claiming: nil)
  }

  private func everyVerb() async throws {
    let key = UniqueKey("k", scope: .untilStarted, onConflict: .overwrite)
    _ = try await driver.insert(
      [
        job("1", unique: key), job("2", unique: key, due: .after(.seconds(5))), job("3", unique: key),
        job("4", kind: "b", due: .after(.seconds(1))),
      ] + (5...12).map { job("\($0)") })
    clock.advance(by: .seconds(2))
    _ = try await driver.promote(limit: 10)
    let jobs = try await driver.claim(demand(9, "a", "b", "none", maxExpiredLeases: 1)).jobs
    let outcomes: [Settlement.Outcome] = [
      .completed(), .completed(replacements: [job()]), .retry(after: .zero, message: ""),
      .retry(after: .seconds(9), message: ""),
      .snoozed(.zero), .failed(message: ""), .aborted(message: ""), .released,
    ]
    let settlements = zip(jobs, outcomes).map { Settlement($0.lease, $1, recording: .seconds(1)) }
    _ = try await driver.renew(jobs.map(\.lease), for: .seconds(60))
    _ = try await driver.renew(jobs.map(\.lease), for: .seconds(60))
    _ = try await driver.settle(settlements + settlements, claiming: demand(2, "a", "b", maxExpiredLeases: 2))
    clock.advance(by: .seconds(61))
    _ = try await driver.claim(demand(2, "b"))
    _ = try await driver.claim(
      ClaimRequest([.init("none", maxRunning: 1), .init("b", maxRunning: 1)], limit: 1))
    let rate = RateLimit(1, per: .seconds(60))
    for _ in 0..<2 {
      _ = try await driver.claim(ClaimRequest([.init("a", rate: rate), .init("b", rate: rate)], limit: 1))
    }
    try await driver.throttle("a", rate, for: .seconds(1))
    for limit in [1, 2] {
      var jobs = (1...4).map {
        job("k\($0)", kind: "key", unique: $0 < 4 ? nil : UniqueKey("u", onConflict: .overwrite))
      }
      for index in jobs.indices { jobs[index].concurrencyKey = ConcurrencyKey("k", limit: limit) }
      _ = try await driver.insert(jobs)
    }
    _ = try await driver.change(
      [driver.jobs(matching: JobQuery(states: [.held]))[0].id], JobChange(due: .now))
    let keyed = try await driver.claim(demand(2, "key")).jobs
    _ = try await driver.settle(
      [Settlement(keyed[0].lease, .completed()), Settlement(keyed[1].lease, .failed(message: ""))],
      claiming: demand(2, "key"))
    _ = try await driver.replay(try await driver.failures(LogQuery(kinds: ["key"])).map(\.id))
    _ = try await driver.cancel(matching: JobQuery(kinds: ["key"], states: [.held]), reason: nil)
    try await stops()
    try await keyRates()
    for seconds in [1, 9, 9] {
      _ = try await driver.insert([job(kind: "rest", unique: UniqueKey("r", throttle: .seconds(seconds)))])
      let resting = try await driver.claim(demand(1, "rest")).jobs
      _ = try await driver.settle(resting.map { Settlement($0.lease, .completed()) }, claiming: nil)
      if seconds == 1 { clock.advance(by: .seconds(1)) }
    }
    clock.jump(by: .seconds(-60))
    _ = try await driver.insert([job(kind: "rest", unique: UniqueKey("r"), maxWaiting: .refuse(1))])
    clock.jump(by: .seconds(60))
    for bound in [MaxWaiting.dropOldest(1), .refuse(2)] {
      for due in [Due.after(.seconds(1)), .now] {
        _ = try? await driver.insert([job(kind: "full", due: due, maxWaiting: bound)])
      }
    }
    for states in [nil, [.ready], [.delayed], [.running], [.ready, .running], [.held]] as [Set<JobState>?] {
      for kinds in [nil, ["a"], ["a", "b"]] as [[Kind]?] {
        _ = try await driver.jobs(matching: JobQuery(kinds: kinds, states: states))
        _ = try await driver.count(kinds)
        for ids in [nil, [1], [1, 2, 3]] as [[Int64]?] {
          _ = try await driver.jobs(matching: JobQuery(ids: ids, kinds: kinds, states: states))
          for oldestFirst in [true, false] {
            _ = try await driver.failures(LogQuery(kinds: kinds, oldestFirst: oldestFirst, ids: ids))
            _ = try await driver.statuses(LogQuery(kinds: kinds, oldestFirst: oldestFirst, ids: ids))
          }
        }
      }
    }
    _ = try await driver.outcomes(of: [1, 2, .max])
    let path = file.path
    _ = try await driver.reader.read { snapshot throws(QudoError) in
      _ = try snapshot.sizes(path: path)
      _ = try snapshot.logRows(countingUpTo: 2)
      _ = try snapshot.backlog(["a"], countingUpTo: 2)
      _ = try snapshot.figures(limit: 2, path: path)
      return try snapshot.backlog(nil, countingUpTo: 2)
    }
    _ = try await driver.job(withUniqueKey: "none", kind: "a")
    _ = try await driver.replay(try await driver.failures(LogQuery()).map(\.id))
    #expect(try await driver.prune(PruneOptions(before: .latest, keep: 1)) > 0)
    #expect(try await driver.prune(PruneOptions()) > 0)
  }

  @Test("a prune costs the rows that it deletes, not those of the log", arguments: [2000, 200_000])
  func pruning(rows: Int) async throws {
    let (now, hour) = (clock.now().wall.microseconds, Int64(3_600_000_000))
    // The first 100 rows are old.
    try file.execute(
      """
      INSERT INTO qudo_kind(id, name) VALUES(7, 'x');
      WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < \(rows))
      INSERT INTO qudo_status(job, kind, status, started_at, ended_at, codec, payload)
      SELECT value, 7, 0, 0, iif(value <= 100, \(now - hour), \(now)), 0, zeroblob(100) FROM n
      """)
    let old = PruneOptions(olderThan: .seconds(60), limit: 200)
    #expect(try await steps(old) < 10_000)
    #expect(try await driver.prune(old) == 100)
    #expect(try await steps(old) < 200, "nothing is old")
    let half = PruneOptions(keep: rows / 2, limit: 200)
    // Once, it counts the pages of an index, and walks what is to go.
    #expect(try await steps(half) < 10_000 + 10 * rows)
    #expect(try await driver.prune(half) == 200)
    #expect(try await steps(half) < 4000)
    while try await driver.prune(PruneOptions(keep: rows / 2, limit: 5000)) > 0 {}
    for _ in 0..<3 {
      _ = try await driver.insert([job()])
      let claimed = try await driver.claim(demand()).jobs
      _ = try await driver.settle(
        claimed.map { Settlement($0.lease, .completed(), recording: .zero) }, claiming: nil)
      #expect(try await steps(half) < 1000)
      #expect(try await driver.prune(half) == 1)
      #expect(try await steps(half) < 500, "nothing is beyond the number")
    }
    #expect(try file.rows("SELECT count(*) FROM qudo_status") == ["\(rows / 2)"])
  }

  /// The number of instructions of SQLite's machine that it takes to find what a prune deletes.
  private func steps(_ options: PruneOptions) async throws -> Int {
    try await driver.reader.read { snapshot throws(QudoError) in
      let connection = snapshot.connection
      _ = connection.virtualSteps()
      _ = try snapshot.prunable(options)
      return connection.virtualSteps()
    }
  }

  @Test("control verbs scan to find what they are asked for, and for nothing else") func control()
    async throws
  {
    _ = try await driver.pause(["none"], until: nil, reason: nil)
    _ = try await driver.resume(nil)
    _ = try await driver.pauses()
    let ids = try await driver.insert([job("1"), job("2", due: .after(.seconds(9))), job("3"), job("4")]).map(
      \.id)
    for change in [
      JobChange(priority: 1), JobChange(due: .after(.seconds(5))), JobChange(due: .now),
      JobChange(payload: Payload("new")), JobChange(metadata: ["a": "b"]),
      JobChange(expires: .after(.seconds(60))),
    ] {
      _ = try await driver.change(ids, change)
      _ = try await driver.change(matching: JobQuery(kinds: ["a"], limit: 3), change)
    }
    try await driver.setFailureRoutes([FailureRoute("a", to: "z")])
    let claimed = try await driver.claim(demand(2)).jobs
    let failing = try await driver.insert([job("5"), job("6", expires: .after(.seconds(1)))]).map(\.id)
    for lease in try await driver.claim(demand(1)).jobs.map(\.lease) {
      _ = try await driver.settle([Settlement(lease, .failed(message: ""))], claiming: nil)
    }
    clock.advance(by: .seconds(2))
    #expect(try await driver.claim(demand(0, "z")).givenUp.count > 0 && !failing.isEmpty && !claimed.isEmpty)
    _ = try await driver.cancel([ids[3]], reason: nil)
    _ = try await driver.recover(ids)
    _ = try await driver.recover(matching: JobQuery(kinds: ["a"], limit: 3))
    _ = try await driver.cancel(matching: JobQuery(ids: ids), reason: nil)
    let plans = try await driver.writer.write(isDurable: true, isSmall: true) {
      transaction throws(QudoError) in try transaction.connection.plans()
    }
    // The jobs of a query are found as a listing finds them.
    let allowed = writerScans + readerScans + ["DELETE FROM qudo_pause"]
    for plan in plans where !allowed.contains(where: plan.sql.hasPrefix) {
      #expect(!plan.scans && !plan.sorts, "\(plan)")
    }
    #expect(plans.contains { $0.sql.hasPrefix("UPDATE qudo_job SET rank") })
    for expiry in ["SELECT min(expires)", "SELECT expires, id"] {
      let plan = try #require(plans.first { $0.sql.hasPrefix(expiry) })
      #expect(plan.details.contains { $0.contains("INDEX qudo_job_expires") }, "\(plan)")
    }
  }

  /// Where a diagnosis may read a whole table, and why.
  private let diagnosisScans = [
    // The tables' definitions.
    "SELECT type, name, tbl_name, sql FROM sqlite_schema", "SELECT count(*) FROM sqlite_schema",
    "SELECT lowest_reader FROM qudo_schema",
    // Of a row for each open driver, each schedule, each pause, and for those of one claim.
    "SELECT max(opened_at) FROM qudo_instance", "SELECT id, boot, locked, pid FROM qudo_instance",
    "SELECT s.name, rule, k.name", "SELECT kind, paused_at, ends, reason",
    "SELECT first, last, instance, ends, lease, claimed_at FROM qudo_running",
    // They stop at one row.
    "SELECT enqueued FROM qudo_job ORDER BY id DESC LIMIT 1",
    "SELECT id, failed_at FROM qudo_failure ORDER BY",
    "SELECT id, ended_at FROM qudo_status ORDER BY",
    // From kind to kind, and from priority to priority: they scan their own results.
    "WITH RECURSIVE next(",
  ]

  @Test(
    "a diagnosis scans no table that grows with the jobs, unless it checks all", arguments: [false, true])
  func diagnosis(checksIntegrity: Bool) async throws {
    try await everyVerb()
    let plans = try await driver.reader.read { [file, clock] snapshot throws(QudoError) in
      var diagnosis = Diagnosis("jobs")
      try SnapshotDiagnosis(snapshot, reader(file, clock), file.path, options(checksIntegrity)).add(
        to: &diagnosis)
      return try snapshot.connection.plans()
    }
    let scans = plans.filter { $0.scans || $0.sorts }.filter { plan in
      !diagnosisScans.contains { plan.sql.hasPrefix($0) } && !readerScans.contains { plan.sql.hasPrefix($0) }
    }
    #expect(plans.count > 15)
    #expect(scans.isEmpty != checksIntegrity, "\(scans)")
    let oldest = try #require(plans.first { $0.sql.hasPrefix("WITH RECURSIVE next(rank)") })
    #expect(!oldest.details.contains { $0.contains("SCAN qudo_ready") }, "\(oldest)")
  }

  @Test("a diagnosis costs the same however many jobs wait", arguments: [2000, 200_000])
  func diagnosis(jobs: Int) async throws {
    let now = clock.now().wall.microseconds
    _ = try await driver.insert([job()])
    try file.execute(
      """
      WITH RECURSIVE n(value) AS (SELECT 2 UNION ALL SELECT value + 1 FROM n WHERE value <= \(jobs))
      INSERT INTO qudo_job(id, kind, rank, due, enqueued, attempt, lost, state, codec, payload)
      SELECT value, 1, value % 3, iif(value % 2, value, \(now) * 2 + value), 0, 1, 0, 0, 0, '' FROM n;
      INSERT INTO qudo_ready(kind, rank, due, last, first) SELECT kind, rank, due, id, id FROM qudo_job WHERE id > 1 AND id % 2;
      INSERT INTO qudo_delayed(due, id, kind, rank) SELECT due, id, kind, rank FROM qudo_job WHERE id % 2 = 0
      """)
    let steps = try await driver.reader.read { [file, clock] snapshot throws(QudoError) in
      var diagnosis = Diagnosis("jobs")
      _ = snapshot.connection.virtualSteps()
      try SnapshotDiagnosis(snapshot, reader(file, clock), file.path, options(false)).add(to: &diagnosis)
      #expect(diagnosis.findings.contains { $0.check == "far-due" && $0.figures["jobs"] == 1000 })
      #expect(diagnosis.findings.contains { $0.check == "kind-idle" })
      return snapshot.connection.virtualSteps()
    }
    #expect(steps < 15_000)
  }

  @Test("what became of a job is found by an index of the logs") func outcomes() async throws {
    try await everyVerb()
    _ = try await driver.outcomes(of: [.max])
    _ = try await driver.job(withUniqueKey: "none", kind: "a")
    let plans = try await driver.reader.read { snapshot throws(QudoError) in try snapshot.connection.plans() }
    for log in ["failure", "status"] {
      let ofJob = try #require(plans.first { $0.sql.contains("qudo_\(log) WHERE job = ?") })
      #expect(ofJob.details.contains { $0.contains("INDEX qudo_\(log)_job (job=?") }, "\(ofJob)")
      #expect(!ofJob.details.contains { $0.contains("SCAN qudo_\(log)") }, "\(ofJob)")
      let ofKey = try #require(plans.first { $0.sql.hasPrefix("SELECT max(job) FROM qudo_\(log)") })
      #expect(
        ofKey.details.allSatisfy { $0.contains("INDEX qudo_\(log)_key (kind=? AND unique_key=?") }, "\(ofKey)"
      )
    }
  }
}

private func reader(_ file: TemporaryFile, _ clock: ManualClock) -> ListingReader {
  ListingReader(
    path: file.path, limits: Limits(), timeout: .seconds(60), clock: clock, logger: FileDiagnosis.silent,
    diagnoses: true)
}

private func options(_ checksIntegrity: Bool) -> DiagnosisOptions {
  var options = DiagnosisOptions()
  options.checksIntegrity = checksIntegrity
  return options
}

private struct Plan: Sendable, CustomStringConvertible {
  let sql: String
  let details: [String]
  /// Of a table; not of the one row that is no table's.
  var scans: Bool { details.contains { $0.contains("SCAN") && !$0.contains("SCAN CONSTANT ROW") } }
  var sorts: Bool { details.contains { $0.contains("USE TEMP B-TREE") } }
  var description: String { "\(sql)\n" + details.map { "  \($0)" }.joined(separator: "\n") }
}

extension Connection {
  /// The instructions that all statements took since the last call.
  func virtualSteps() -> Int {
    var (count, next) = (0, sqlite3_next_stmt(handle, nil))
    while let statement = next {
      count += Int(sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_VM_STEP, 1))
      next = sqlite3_next_stmt(handle, statement)
    }
    return count
  }

  fileprivate func plans() throws(QudoError) -> [Plan] {
    var plans: [Plan] = []
    for sql in preparedSQL where !["BEGIN", "COMMIT", "ROLLBACK", "PRAGMA"].contains(where: sql.hasPrefix) {
      var details: [String] = []
      try each("EXPLAIN QUERY PLAN \(sql)", values: []) { row throws(QudoError) in details.append(row.text(3))
      }
      plans.append(Plan(sql: sql, details: details))
    }
    return plans
  }
}
