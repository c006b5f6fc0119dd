import CSQLite
import Foundation
import Qudo
@testable import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// Files of the first schema, and how they become files of this one.
@Suite struct SchemaTests {
  let file: TemporaryFile
  let clock = ManualClock()

  init() throws { file = try TemporaryFile() }

  /// What the first version wrote, with a job in each state and a failure. The running one's lease is of "boot-1".
  private func makeVersion1() throws {
    try file.execute(
      """
      PRAGMA journal_mode = WAL;
      BEGIN;
      \(version1)
      INSERT INTO qudo_schema VALUES(1, 1700000000000000, 1, 1);
      INSERT INTO qudo_info VALUES('name', 'old');
      INSERT INTO qudo_kind VALUES(1, 'a');
      INSERT INTO qudo_boot VALUES(1, 'boot-1');
      INSERT INTO qudo_job(id, kind, rank, due, enqueued, attempt, lost, state, codec, unique_key, unique_scope, payload) VALUES
        (3, 1, -5, 1000, 900, 1, 0, 0, 0, NULL, NULL, CAST('ready' AS BLOB)), (4, 1, 0, 1000, 900, 2, 0, 0, 0, 'k', 0, CAST('running' AS BLOB)),
        (5, 1, 0, 1700000010000000, 900, 1, 0, 0, 0, NULL, NULL, CAST('delayed' AS BLOB));
      INSERT INTO qudo_ready VALUES(1, -5, 1000, 3);
      INSERT INTO qudo_running VALUES(1, 61000000, 4, 77, 1, 5, 1000);
      INSERT INTO qudo_delayed VALUES(1700000010000000, 5, 1, 0);
      INSERT INTO qudo_failure(job, kind, attempt, failed_at, reason, final, message, rank, unique_key, codec, payload) VALUES
        (1, 1, 1, 950, 0, 1, 'broke', -2, 'key', 0, CAST('failed' AS BLOB)), (4, 1, 1, 960, 0, 0, 'broke', 0, 'k', 0, NULL);
      UPDATE qudo_info SET value = 2 WHERE key = 'highest_id';
      COMMIT;
      """)
  }

  @Test("A file of the first schema is migrated, and its jobs run")
  func fileOfTheFirstSchemaIsMigrated() async throws {
    try makeVersion1()
    let driver = try file.open(clock: clock)
    #expect(driver.name == "old")
    #expect(
      try file.rows("SELECT version, lowest_reader, lowest_writer FROM qudo_schema ORDER BY version") == [
        "1|1|1", "2|1|1", "3|1|1", "4|4|4", "5|5|5", "6|5|5", "7|5|7", "8|5|7", "9|5|9", "10|5|9",
        "11|5|9", "12|12|12", "13|12|13", "14|14|14", "15|15|15", "16|16|16",
      ])
    #expect(try await driver.jobs(matching: JobQuery()).map(\.state) == [.ready, .running, .delayed])
    let ready = try await driver.claim(demand())
    #expect(ready.texts == ["ready"])
    let old = Lease(job: 4, token: 77, holder: 1, expiresAt: 61_000_000)
    #expect(
      try await driver.settle(
        [Settlement(old, .completed()), Settlement(ready.jobs[0].lease, .failed(message: ""))], claiming: nil
      ).results
        == [.settled(), .settled()])
    clock.advance(by: .seconds(10))
    #expect(try await driver.claim(demand()).texts == ["delayed"])
    #expect(try await driver.replay([1, 2]) == [.replayed(6), .notFinal])
    #expect(try await driver.insert([job(unique: UniqueKey("key"))]) == [.conflict(6)])
    #expect(try await driver.claim(demand()).jobs.map(\.priority) == [2])
  }

  /// The versions between made no difference to where a job is.
  @Test(arguments: [1, 2, 3]) func jobsOfEachOlderSchemaRunOn(version: Int) async throws {
    try makeVersion1()
    for migration in Schema.migrations.dropFirst().prefix(version - 1) {
      try file.execute(
        "BEGIN; \(migration.sql); INSERT INTO qudo_schema VALUES(\(migration.version), 1700000000000000, 1, 1); COMMIT"
      )
    }
    try file.execute(
      """
      INSERT INTO qudo_job(id, kind, rank, due, enqueued, attempt, lost, state, codec, payload)
        WITH RECURSIVE n(id) AS (SELECT 6 UNION ALL SELECT id + 1 FROM n WHERE id < 45) SELECT id, 1, 0, 1000, 900, 1, 0, 0, 0, CAST(id AS BLOB) FROM n;
      INSERT INTO qudo_ready SELECT 1, 0, 1000, id FROM qudo_job WHERE id BETWEEN 6 AND 25;
      INSERT INTO qudo_running SELECT 1, 61000000, id, 78, 1, 5, 1000 FROM qudo_job WHERE id > 25
      """)
    let driver = try file.open(clock: clock)
    #expect(try await driver.count() == [JobCount("a", ready: 21, delayed: 1, running: 21)])
    let leases = (26...45).map { Lease(job: $0, token: 78, holder: 1, expiresAt: 61_000_000) }
    #expect(try await driver.renew([leases[3]], for: .seconds(90))[0] != nil)
    let outcomes: [Settlement] =
      leases.prefix(10).map { Settlement($0, .completed()) } + [Settlement(leases[11], .released)]
    #expect(
      try await driver.settle(outcomes, claiming: nil).results == Array(repeating: .settled(), count: 11))
    #expect(try await driver.claim(demand(9)).texts == ["ready"] + (6...13).map { "\($0)" })
    clock.advance(by: .seconds(70))
    // What ran until its lease ended stands where it stood.
    #expect(
      try await driver.claim(demand(99)).texts == ["ready", "running"]
        + (Array(6...25) + Array(36...45)).map { "\($0)" } + ["delayed"])
  }

  @Test("what became of jobs is known of a file of version 7, too")
  func logsOfVersion7() async throws {
    try file.execute("PRAGMA journal_mode = WAL")
    for migration in Schema.migrations.prefix(7) {
      try file.execute(
        "BEGIN; \(migration.sql); INSERT INTO qudo_schema VALUES(\(migration.version), 0, 5, 7); COMMIT")
    }
    try file.execute(
      """
      INSERT INTO qudo_info VALUES('name', 'old');
      UPDATE qudo_info SET value = 9 WHERE key = 'highest_id';
      INSERT INTO qudo_kind VALUES(1, 'a');
      INSERT INTO qudo_failure(job, kind, attempt, failed_at, reason, final, message, rank, unique_key, codec, payload)
        VALUES (3, 1, 1, 950, 0, 1, 'broke', 0, 'k', 0, CAST('x' AS BLOB)), (5, 1, 1, 960, 0, 0, 'broke', 0, 'k', 0, NULL);
      INSERT INTO qudo_status(job, kind, status, started_at, ended_at, unique_key, codec, payload)
        VALUES (5, 1, 0, 940, 970, 'k', 0, CAST('y' AS BLOB));
      """)
    let driver = try file.open(clock: clock)
    let found = try await driver.outcomes(of: [3, 5, 9, 10])
    guard case .failed(let failure) = found[0], case .completed(let status) = found[1] else {
      Issue.record("\(found)")
      return
    }
    #expect(failure.message == "broke" && status.payload == Payload("y"))
    #expect(Array(found[2...]) == [.unrecorded, .neverExisted])
    #expect(try await driver.job(withUniqueKey: "k", kind: "a") == 5)
    #expect(try await driver.failures(LogQuery(job: 5)).map(\.isFinal) == [false])
  }

  @Test("jobs of a file of version 8 run on, can expire, and can have failures that enqueue others")
  func version8() async throws {
    try file.execute("PRAGMA journal_mode = WAL")
    for migration in Schema.migrations.prefix(8) {
      try file.execute(
        "BEGIN; \(migration.sql); INSERT INTO qudo_schema VALUES(\(migration.version), 0, 5, 7); COMMIT")
    }
    try file.execute(
      """
      INSERT INTO qudo_info VALUES('name', 'old');
      INSERT INTO qudo_kind VALUES(1, 'a');
      INSERT INTO qudo_job(id, kind, rank, due, enqueued, attempt, lost, state, codec, payload)
        VALUES (1, 1, 0, 1000, 900, 1, 0, 0, 0, CAST('old' AS BLOB)), (2, 1, 0, 1000, 900, 1, 0, 0, 0, x'');
      INSERT INTO qudo_ready(kind, rank, due, last, first) VALUES (1, 0, 1000, 2, 1);
      """)
    let driver = try file.open(clock: clock)
    try await driver.setFailureRoutes([FailureRoute("a", to: "b")])
    #expect(try await driver.change([2], JobChange(expires: .after(.seconds(1)))) == [.changed])
    clock.advance(by: .seconds(1))
    let claim = try await driver.claim(demand())
    #expect(claim.givenUp.map(\.id) == [2] && claim.texts == ["old"])
    let failed = try await driver.settle(
      claim.jobs.map { Settlement($0.lease, .failed(message: "")) }, claiming: demand(1, "b"))
    #expect(failed.claim?.texts == ["old"])
  }

  @Test("leases that a process of version 4 gave hold within their boot, and can be settled")
  func leasesOfVersion4() async throws {
    try makeVersion1()
    for migration in Schema.migrations.dropFirst().prefix(3) {
      try file.execute(
        "BEGIN; \(migration.sql); INSERT INTO qudo_schema VALUES(\(migration.version), 1700000000000000, 1, 1); COMMIT"
      )
    }
    try file.execute(
      """
      INSERT INTO qudo_boot VALUES(2, 'boot-0');
      INSERT INTO qudo_job(id, kind, rank, due, enqueued, attempt, lost, state, codec, payload) VALUES
        (6, 1, 0, 1000, 900, 1, 0, 0, 0, 'a'), (7, 1, 0, 1000, 900, 1, 0, 0, 0, 'b'), (8, 1, 0, 1000, 900, 1, 0, 0, 0, 'c');
      INSERT INTO qudo_running(boot, ends, last, first, token, lost_limit, started) VALUES
        (1, 62000000, 7, 6, 78, 5, 1000), (2, 900000000000, 8, 8, 79, 5, 1000);
      """)
    let driver = try file.open(clock: clock)
    #expect(
      try await driver.jobs(matching: JobQuery()).map(\.state) == [
        .ready, .running, .delayed, .running, .running, .ready,
      ])
    #expect(try await driver.claim(demand()).texts == ["ready", "c"])
    let leases = [
      Lease(job: 6, token: 78, holder: 1, expiresAt: 62_000_000),
      Lease(job: 8, token: 79, holder: 2, expiresAt: 900_000_000_000),
    ]
    #expect(
      try await driver.settle(leases.map { Settlement($0, .completed()) }, claiming: nil).results == [
        .settled(), .leaseLost,
      ])
    clock.advance(by: .seconds(61))
    #expect(try await driver.claim(demand()).texts == ["ready", "running", "b", "c", "delayed"])
    #expect(try file.rows("SELECT length(value) FROM qudo_info WHERE key = 'generation'") == ["16"])
  }

  @Test(
    "delays that a process of version 5 wrote hold, also those that it writes after the migration",
    arguments: [1, 2, 3, 4, 5, 6])
  func delaysOfOlderVersions(version: Int) async throws {
    try makeVersion1()
    for migration in Schema.migrations.dropFirst().prefix(version - 1) {
      try file.execute(
        "BEGIN; \(migration.sql); INSERT INTO qudo_schema VALUES(\(migration.version), 1700000000000000, 1, 1); COMMIT"
      )
    }
    let driver = try file.open(clock: clock)
    // A program of version 5 that has the file open works on, as it does here.
    try file.execute(
      """
      INSERT INTO qudo_job(id, kind, rank, due, enqueued, attempt, lost, state, codec, payload)
        VALUES(6, 1, 0, 1700000020000000, 900, 1, 0, 0, 0, CAST('of 5' AS BLOB));
      INSERT INTO qudo_delayed(due, id, kind, rank) VALUES(1700000020000000, 6, 1, 0);
      """)
    _ = try await driver.insert([job("of 6", due: .after(.seconds(30)))])
    #expect(try await driver.claim(demand(1)).texts == ["ready"])
    // What is not known to be a relative delay stays.
    clock.jump(by: .seconds(-100))
    #expect(try await driver.claim(demand()).timeUntilNextDue == .seconds(30))
    clock.advance(by: .seconds(30))
    #expect(try await driver.claim(demand()).texts == ["of 6"])
    clock.advance(by: .seconds(90))
    #expect(try await driver.claim(demand()).texts.suffix(2) == ["delayed", "of 5"])
  }

  /// It wrote a row for each job, where there are now rows for several.
  @Test("Each statement of an older version that still runs fails")
  func runningOlderVersionFindsNoTables() async throws {
    try makeVersion1()
    await (try file.open(clock: clock)).close()
    let app = try AppConnection(file.path)
    for sql in [
      "INSERT INTO qudo_ready(kind, rank, due, id) VALUES(1, 0, 0, 9)", "SELECT r.id FROM qudo_ready AS r",
      "DELETE FROM qudo_ready WHERE kind = 1 AND (rank, due, id) <= (0, 0, 9)",
      "DELETE FROM qudo_running WHERE boot = 1 AND ends = 1 AND id = 4",
      "SELECT ends FROM qudo_running WHERE boot = 1 ORDER BY ends, id LIMIT 1",
      "SELECT kind FROM qudo_running",
      // What versions 7 to 11 read in a transaction after another connection's commit.
      "SELECT EXISTS(SELECT 1 FROM qudo_pause), EXISTS(SELECT 1 FROM qudo_cancel)",
      // And what versions 12 and 13 do.
      "SELECT EXISTS(SELECT 1 FROM qudo_cancellation), EXISTS(SELECT 1 FROM qudo_place)",
      // An enqueue or end of a keyed job of versions 12 to 14.
      "SELECT EXISTS(SELECT 1 FROM qudo_held) OR EXISTS(SELECT 1 FROM qudo_key_limit)",
      // And one of version 15.
      "SELECT EXISTS(SELECT 1 FROM qudo_held) OR EXISTS(SELECT 1 FROM qudo_key_rule)",
      // A claim of versions 5 to 11.
      "INSERT INTO qudo_running(instance, ends, last, first, token, lost_limit, started, lease) VALUES(1, 1, 3, 3, 1, 1, 1, 1)",
    ] {
      #expect(app.execute(sql, []) != SQLITE_DONE, "\(sql)")
    }
    #expect(try file.rows("SELECT lowest_writer FROM qudo_schema ORDER BY version DESC LIMIT 1") == ["16"])
  }

  @Test func aFailedMigrationLeavesTheFileAsItWas() throws {
    try makeVersion1()
    try file.execute("CREATE TABLE qudo_later(a)")
    let before = try file.rows("SELECT sql FROM sqlite_schema")
    let broken = Schema.Migration(
      version: 99, lowestReader: 99, lowestWriter: 99,
      sql: "CREATE TABLE qudo_new(a); CREATE TABLE qudo_later(b);")
    let connection = try DatabaseOpener.open(path: file.path, durability: .normal, create: false)
    #expect {
      try DatabaseOpener.prepare(
        connection, name: "x", now: clock.now(), migrations: Schema.migrations + [broken])
    } throws: { ($0 as? QudoError)?.code == .foreignSchema }
    #expect(try file.rows("SELECT sql FROM sqlite_schema") == before)
    #expect(try file.rows("SELECT version FROM qudo_schema") == ["1"])
    #expect(try file.open(clock: clock).name == "old")
  }

  @Test func aForeignColumnInTheWayIsReportedAndLeft() throws {
    try makeVersion1()
    try file.execute("ALTER TABLE qudo_failure ADD COLUMN unique_scope")
    #expect { try file.open(clock: clock) } throws: { ($0 as? QudoError)?.code == .foreignSchema }
    #expect(try file.rows("SELECT version FROM qudo_schema") == ["1"])
  }

  /// Makes a file of a version from 9 on, with two ready jobs.
  private func make(version: Int) throws {
    try file.execute("PRAGMA journal_mode = WAL")
    for migration in Schema.migrations.prefix(version) {
      try file.execute(
        """
        BEGIN; \(migration.sql);
        INSERT INTO qudo_schema VALUES(\(migration.version), 0, \(migration.lowestReader), \(migration.lowestWriter)); COMMIT
        """)
    }
    try file.execute(
      """
      INSERT INTO qudo_info VALUES('name', 'old');
      INSERT INTO qudo_kind VALUES(1, 'a', NULL);
      INSERT INTO qudo_job(id, kind, rank, due, enqueued, attempt, lost, state, codec, payload)
        VALUES (1, 1, 0, 1000, 900, 1, 0, 0, 0, CAST('kept' AS BLOB)), (2, 1, 0, 1000, 900, 1, 0, 0, 0, CAST('later' AS BLOB));
      INSERT INTO qudo_ready(kind, rank, due, last, first) VALUES (1, 0, 1000, 2, 1);
      """)
  }

  @Test("a file of schema 9 gets schedules, and its jobs stay") func schedulesOfSchema9() async throws {
    try make(version: 9)
    let driver = try file.open(clock: clock)
    #expect(try await driver.schedules(nil) == [])
    #expect(try await driver.store([StoredSchedule(name: "s", rule: "every 1m", kind: "k")]) == [true])
    #expect(try await driver.schedules(["s"]).first?.version == 1)
    #expect(try await driver.claim(demand()).texts == ["kept", "later"])
  }

  @Test("a file of schema 10 gets rates, and its jobs stay") func ratesOfSchema10() async throws {
    try make(version: 10)
    let driver = try file.open(clock: clock)
    let rated = ClaimRequest([.init("a", rate: RateLimit(1, per: .seconds(60)))], limit: 9)
    #expect(try await driver.claim(rated).texts == ["kept"])
    #expect(try await driver.claim(rated).texts == [])
  }

  @Test("a file of schema 11 gets concurrency keys; its leases hold, and its failures can be replayed")
  func keysOfSchema11() async throws {
    try make(version: 11)
    try file.execute(
      """
      INSERT INTO qudo_instance(id, boot, locked, pid, opened_at) VALUES(1, '\(clock.now().boot)', 0, 0, 0);
      UPDATE qudo_ready SET first = 2;
      INSERT INTO qudo_running(instance, ends, last, first, token, lost_limit, started, lease)
        VALUES (1, 60000000, 1, 1, 77, 5, 1700000000000000, 60000000);
      INSERT INTO qudo_failure(job, kind, attempt, failed_at, reason, final, message, rank, codec, payload)
        VALUES (9, 1, 1, 950, 0, 1, 'broke', 0, 0, CAST('again' AS BLOB));
      UPDATE qudo_info SET value = 9 WHERE key = 'highest_id';
      """)
    let driver = try file.open(clock: clock)
    let running = try await driver.jobs(matching: JobQuery(states: [.running]))
    #expect(running.map(\.startedAt) == [Timestamp(microseconds: 1_700_000_000_000_000)])
    let lease = Lease(job: 1, token: 77, holder: 1, expiresAt: 60_000_000)
    #expect(
      try await driver.settle([Settlement(lease, .completed())], claiming: nil).results == [.settled()])
    #expect(try await driver.replay([1]) == [.replayed(10)])
    var keyed = [job("first"), job("second")]
    for index in keyed.indices { keyed[index].concurrencyKey = "k" }
    _ = try await driver.insert(keyed)
    #expect(try await driver.claim(demand()).texts == ["later", "again", "first"])
    #expect(try await driver.count() == [JobCount("a", running: 3, held: 1)])
  }

  @Test("a file of schema 12 gets throttles, and its keys and jobs stay") func throttlesOfSchema12()
    async throws
  {
    try make(version: 12)
    try file.execute(
      """
      UPDATE qudo_job SET unique_key = 'k', unique_scope = 0 WHERE id = 1;
      UPDATE qudo_info SET value = 2 WHERE key = 'highest_id';
      """)
    let driver = try file.open(clock: clock)
    let throttled = UniqueKey("k", throttle: .seconds(10))
    #expect(try await driver.insert([job("no", unique: throttled)]) == [.conflict(1)])
    for id in [1, 3] as [Int64] {
      let claimed = try await driver.claim(demand()).jobs
      #expect(
        try await driver.settle(claimed.map { Settlement($0.lease, .completed()) }, claiming: nil).results
          .allSatisfy { $0 == .settled() })
      let expected: InsertResult = id == 1 ? .inserted(3) : .conflict(3)
      #expect(try await driver.insert([job("new", unique: throttled)]) == [expected])
    }
  }

  @Test("a file of schema 13 gets groups, and its places of concurrency keys and its failures stay")
  func groupsOfSchema13() async throws {
    try make(version: 13)
    try file.execute(
      """
      UPDATE qudo_job SET concurrency_key = 'k';
      UPDATE qudo_ready SET last = 1;
      INSERT INTO qudo_place(kind, key, job) VALUES(1, 'k', 1);
      INSERT INTO qudo_held(kind, key, id) VALUES(1, 'k', 2);
      INSERT INTO qudo_failure(job, kind, attempt, failed_at, reason, final, message, rank, codec, payload, concurrency_key)
        VALUES (9, 1, 1, 950, 0, 1, 'broke', 0, 0, CAST('again' AS BLOB), 'k');
      UPDATE qudo_info SET value = 9 WHERE key = 'highest_id';
      """)
    let driver = try file.open(clock: clock)
    #expect(try file.rows("SELECT key, job FROM qudo_admitted") == ["k|1"])
    #expect(try await driver.replay([1]) == [.replayed(10)])
    #expect(try await driver.count() == [JobCount("a", ready: 1, held: 2)])
    var grouped = [job("A"), job("B1"), job("B2"), job("C")]
    for (index, group) in ["A", "B", "B", "C"].enumerated() { grouped[index].group = group }
    _ = try await driver.insert(grouped)
    // What was ready before keeps its place by its due time.
    #expect(try await driver.claim(demand()).texts == ["kept", "A", "B1", "C", "B2"])
    #expect(try await driver.jobs(matching: JobQuery(ids: [11])).map(\.group) == ["A"])
  }

  @Test("a file of schema 14 gets stops of keys, and its limits of keys and its failures stay")
  func stopsOfSchema14() async throws {
    try make(version: 14)
    try file.execute(
      """
      UPDATE qudo_job SET concurrency_key = 'k';
      INSERT INTO qudo_job(id, kind, rank, due, enqueued, attempt, lost, state, codec, concurrency_key, payload)
        VALUES (3, 1, 0, 1000, 900, 1, 0, 0, 0, 'k', CAST('held' AS BLOB));
      INSERT INTO qudo_admitted(kind, key, job) VALUES(1, 'k', 1), (1, 'k', 2);
      INSERT INTO qudo_held(kind, key, id) VALUES(1, 'k', 3);
      INSERT INTO qudo_key_limit(kind, key, most) VALUES(1, 'k', 2);
      INSERT INTO qudo_failure(job, kind, attempt, failed_at, reason, final, message, rank, codec, payload, concurrency_key, concurrency_limit)
        VALUES (9, 1, 1, 950, 0, 1, 'broke', 0, 0, CAST('again' AS BLOB), 'k', 2);
      UPDATE qudo_info SET value = 9 WHERE key = 'highest_id';
      """)
    let driver = try file.open(clock: clock)
    #expect(try file.rows("SELECT key, most, stops FROM qudo_key") == ["k|2|0"])
    #expect(try await driver.keyStops(nil, after: 0, limit: 9) == [])
    let jobs = try await driver.claim(demand()).jobs
    #expect(jobs.map(\.id) == [1, 2])
    _ = try await driver.settle([Settlement(jobs[0].lease, .failed(message: ""))], claiming: nil)
    #expect(try await driver.count() == [JobCount("a", ready: 1, running: 1)])
    var stopping = job("new")
    stopping.concurrencyKey = ConcurrencyKey("k", limit: 2, afterFailure: .stop)
    _ = try await driver.insert([stopping])
    _ = try await driver.settle([Settlement(jobs[1].lease, .failed(message: ""))], claiming: nil)
    #expect(try await driver.count() == [JobCount("a", ready: 1, held: 1)])
    #expect(try await driver.keyStops(nil, after: 0, limit: 9).map(\.job) == [2])
    // A failure of before stops nothing, and comes last.
    #expect(try await driver.replay([1]) == [.replayed(11)])
    #expect(try await driver.count() == [JobCount("a", ready: 1, held: 2)])
    #expect(try await driver.resume(keys: ["k"], of: "a").map(\.failure) == [3])
    #expect(try await driver.claim(demand()).texts == ["held", "new"])
  }

  @Test("a file of schema 15 gets rates of keys, and its rules of keys, stops and failures stay")
  func keyRatesOfSchema15() async throws {
    try make(version: 15)
    try file.execute(
      """
      UPDATE qudo_job SET concurrency_key = 'k';
      INSERT INTO qudo_job(id, kind, rank, due, enqueued, attempt, lost, state, codec, concurrency_key, payload)
        VALUES (3, 1, 0, 1000, 900, 1, 0, 0, 0, 'k', CAST('held' AS BLOB));
      INSERT INTO qudo_admitted(kind, key, job) VALUES(1, 'k', 1), (1, 'k', 2);
      INSERT INTO qudo_held(kind, key, id) VALUES(1, 'k', 3);
      INSERT INTO qudo_key_rule(kind, key, most, stops) VALUES(1, 'k', 2, 1);
      INSERT INTO qudo_failure(job, kind, attempt, failed_at, reason, final, message, rank, codec, payload, concurrency_key,
        concurrency_limit, concurrency_stops) VALUES (9, 1, 1, 950, 0, 1, 'broke', 0, 0, CAST('again' AS BLOB), 's', 2, 1);
      INSERT INTO qudo_stop(failure, kind, key, job, at) VALUES(1, 1, 's', 9, 950);
      UPDATE qudo_info SET value = 9 WHERE key = 'highest_id';
      """)
    let driver = try file.open(clock: clock)
    #expect(try file.rows("SELECT key, most, stops, rate FROM qudo_key") == ["k|2|1|"])
    #expect(try await driver.keyStops(nil, after: 0, limit: 9).map(\.key) == ["s"])
    let jobs = try await driver.claim(demand()).jobs
    #expect(jobs.map(\.id) == [1, 2])
    var limited = job("new")
    limited.concurrencyKey = ConcurrencyKey("k", limit: 2, rate: RateLimit(1, per: .seconds(60)))
    _ = try await driver.insert([limited])
    #expect(try file.rows("SELECT key, most, stops, rate FROM qudo_key") == ["k|2|0|1/60000000/1"])
    _ = try await driver.settle(jobs.map { Settlement($0.lease, .completed()) }, claiming: nil)
    #expect(try await driver.claim(demand()).texts == ["held"])
    #expect(try await driver.count() == [JobCount("a", delayed: 1, running: 1)])
    #expect(try await driver.replay([1]) == [.replayed(11)])
    #expect(try await driver.claim(demand()).texts == ["again"])
  }

  @Test func theScriptMakesWhatAnOpeningMakes() async throws {
    await (try file.open(clock: clock)).close()
    let other = try TemporaryFile()
    try other.execute(SQLiteDriver.schemaSQL)
    let tables = "SELECT type, name, sql FROM sqlite_schema ORDER BY name"
    #expect(try other.rows(tables) == file.rows(tables))
    #expect(try other.rows("PRAGMA page_size") == file.rows("PRAGMA page_size"))
    let driver = try other.open(clock: clock)
    #expect(
      try other.rows("SELECT version FROM qudo_schema") == [
        "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16",
      ])
    #expect(try await driver.insert([job()]) == [.inserted(1)])
  }

  @Test func whatAMigrationDidIsNotChangedAfterwards() throws {
    let first = try #require(Schema.migrations.first)
    #expect(first.version == 1 && first.sql == version1)
    #expect(Schema.migrations.map(\.version) == Array(1...Schema.version))
  }
}

/// The first schema, as it was released.
private let version1 = """
  CREATE TABLE qudo_schema(
    version INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL,
    lowest_reader INTEGER NOT NULL, lowest_writer INTEGER NOT NULL);
  CREATE TABLE qudo_info(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
  CREATE TABLE qudo_kind(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
  CREATE TABLE qudo_boot(id INTEGER PRIMARY KEY, boot TEXT NOT NULL UNIQUE);
  CREATE TABLE qudo_job(
    id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, rank INTEGER NOT NULL, due INTEGER NOT NULL,
    enqueued INTEGER NOT NULL, attempt INTEGER NOT NULL, lost INTEGER NOT NULL, state INTEGER NOT NULL,
    codec INTEGER NOT NULL, unique_key TEXT, unique_scope INTEGER, concurrency_key TEXT, expires INTEGER, meta BLOB,
    payload BLOB NOT NULL);
  CREATE UNIQUE INDEX qudo_job_unique ON qudo_job(kind, unique_key) WHERE unique_scope IS NOT NULL;
  CREATE TABLE qudo_ready(
    kind INTEGER NOT NULL, rank INTEGER NOT NULL, due INTEGER NOT NULL, id INTEGER NOT NULL,
    PRIMARY KEY(kind, rank, due, id)) WITHOUT ROWID;
  CREATE TABLE qudo_delayed(
    due INTEGER NOT NULL, id INTEGER NOT NULL, kind INTEGER NOT NULL, rank INTEGER NOT NULL,
    PRIMARY KEY(due, id)) WITHOUT ROWID;
  CREATE TABLE qudo_running(
    boot INTEGER NOT NULL, ends INTEGER NOT NULL, id INTEGER NOT NULL, token INTEGER NOT NULL,
    kind INTEGER NOT NULL, lost_limit INTEGER NOT NULL, started INTEGER NOT NULL,
    PRIMARY KEY(boot, ends, id)) WITHOUT ROWID;
  CREATE TABLE qudo_failure(
    id INTEGER PRIMARY KEY AUTOINCREMENT, job INTEGER NOT NULL, kind INTEGER NOT NULL, attempt INTEGER NOT NULL,
    failed_at INTEGER NOT NULL, reason INTEGER NOT NULL, final INTEGER NOT NULL, message TEXT NOT NULL,
    rank INTEGER NOT NULL, unique_key TEXT, codec INTEGER, meta BLOB, payload BLOB, replayed_as INTEGER);
  CREATE INDEX qudo_failure_kind ON qudo_failure(kind, id);
  CREATE TABLE qudo_status(
    id INTEGER PRIMARY KEY AUTOINCREMENT, job INTEGER NOT NULL, kind INTEGER NOT NULL, status INTEGER NOT NULL,
    started_at INTEGER NOT NULL, ended_at INTEGER NOT NULL, unique_key TEXT, codec INTEGER, payload BLOB);
  CREATE INDEX qudo_status_kind ON qudo_status(kind, id);
  CREATE TABLE qudo_receipt(
    key BLOB PRIMARY KEY, job INTEGER NOT NULL, expires INTEGER NOT NULL) WITHOUT ROWID;
  INSERT INTO qudo_info VALUES('highest_id', 0);
  """
