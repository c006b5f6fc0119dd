#if MySQL
import Evidence
import Foundation
import MariaDBServer
@testable import QudoMySQL
import Qudo
import Testing

@Suite struct SchemaTests {
  private func tables(_ database: TestDatabase) async throws -> [String] {
    var tables: [String] = []
    for name in try await database.server.query("SHOW TABLES", in: database.name) {
      tables += try await database.server.query("SHOW CREATE TABLE \(name)", in: database.name)
    }
    return tables
  }

  private func code(_ database: TestDatabase) async throws -> QudoError.Code? {
    let driver = try database.driver()
    defer { Task { await driver.close() } }
    do {
      try await driver.connect()
      return nil
    } catch {
      return error.code
    }
  }

  /// The newest version of the schema, and the lowest that may read and write it. A new migration changes it here alone.
  private static let versions = "15\t11\t15"

  @Test("the article names the schema's version and tables") func schemaArticle() throws {
    let package = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../..").standardized
    let article = try String(
      contentsOf: package.appendingPathComponent("Sources/QudoMySQL/QudoMySQL.docc/QudoMySQL.md"),
      encoding: .utf8)
    #expect(article.contains("These are the tables of schema \(Schema.version):"))
    let tables = MySQLDriver.schemaSQL.matches(of: #/CREATE TABLE IF NOT EXISTS (\w+)/#).map {
      String($0.output.1)
    }
    #expect(tables.count > 20)
    for table in Set(tables) { #expect(article.contains("`\(table)`"), "\(table)") }
  }

  @Test func tenThatComeAtOnceMakeOneSchema() async throws {
    let database = try await TestDatabase()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<10 {
        let driver = try database.driver()
        group.addTask {
          _ = try await driver.insert([NewJob("a", payload: Payload("\(number)"))])
          await driver.close()
        }
      }
      try await group.waitForAll()
    }
    #expect(
      try await database.server.query("SELECT version FROM qudo_schema", in: database.name)
        == Schema.migrations.map { "\($0.version)" })
    #expect(try await database.server.query("SELECT COUNT(*) FROM qudo_job", in: database.name) == ["10"])
    try await database.drop()
  }

  @Test func theScriptMakesWhatTheFirstConnectionMakes() async throws {
    let (one, other) = (try await TestDatabase(), try await TestDatabase())
    #expect(try await code(one) == nil)
    try await one.server.query(MySQLDriver.schemaSQL, in: other.name)
    #expect(try await tables(one) == tables(other))
    #expect(try await tables(one).count == 24)
    // And it may be run again.
    try await one.server.query(MySQLDriver.schemaSQL, in: other.name)
    #expect(try await code(other) == nil)
    for database in [one, other] { try await database.drop() }
  }

  @Test(arguments: [0, 3, 8, 9]) func aMigrationThatWasInterruptedIsFinished(_ done: Int) async throws {
    let (whole, database) = (try await TestDatabase(), try await TestDatabase())
    #expect(try await code(whole) == nil)
    let connection = try database.connection()
    for statement in Schema.migrations[0].statements.prefix(done) { try connection.run(statement) }
    #expect(try await code(database) == nil)
    #expect(try await tables(database) == tables(whole))
    #expect(
      try await database.server.query("SELECT version FROM qudo_schema", in: database.name)
        == Schema.migrations.map { "\($0.version)" })
    for database in [whole, database] { try await database.drop() }
  }

  @Test func jobsOfSchema2KeepTheirKeysAndTheirLeases() async throws {
    let database = try await TestDatabase()
    let connection = try database.connection()
    for migration in Schema.migrations.prefix(2) {
      for statement in migration.statements + [Schema.record(migration)] {
        try connection.run([statement, "COMMIT"])
      }
    }
    let never = Timestamp.latest.microseconds
    // Ready, delayed, running, one whose key is free when it starts, one that has started, and one without a key. Of a running one schema 2
    // does not say whether it holds a key, whichever token it has.
    try connection.run([
      "INSERT INTO qudo_kind(id, name) VALUES(1, 'a')",
      """
      INSERT INTO qudo_job(id, kind, ranking, due, enqueued, attempt, lost, state, codec, unique_key, unique_scope, held_key, payload) VALUES
      (1, 1, 0, 5, 5, 1, 0, 0, 0, 'ready', 0, 'ready', ''), (2, 1, 0, \(never), 5, 1, 0, 0, 0, 'delayed', 0, 'delayed', ''),
      (3, 1, 0, 5, 5, 1, 0, 0, 0, 'even', 0, 'even', ''), (4, 1, 0, 5, 5, 1, 0, 0, 0, 'odd', 0, 'odd', ''),
      (5, 1, 0, 6, 5, 1, 0, 0, 0, 'start', 1, 'start', ''), (6, 1, 0, 5, 5, 1, 0, 0, 0, 'started', 1, NULL, ''),
      (7, 1, 0, 7, 5, 1, 0, 0, 0, NULL, NULL, NULL, '')
      """,
      "INSERT INTO qudo_ready(kind, ranking, due, id, frees) VALUES(1, 0, 5, 1, 0), (1, 0, 6, 5, 1), (1, 0, 7, 7, 0)",
      "INSERT INTO qudo_delayed(due, id, kind, ranking, frees) VALUES(\(never), 2, 1, 0, 0)",
      """
      INSERT INTO qudo_running(id, ends, token, kind, ranking, due, lost, lost_limit) VALUES
      (3, \(never), 100, 1, 0, 5, 0, 9), (4, \(never), 101, 1, 0, 5, 0, 9), (6, \(never), 101, 1, 0, 5, 0, 9)
      """, "COMMIT",
    ])
    let driver = try database.driver()
    func enqueue(_ key: String) async throws -> InsertResult? {
      try await driver.insert([
        NewJob("a", unique: UniqueKey(key, onConflict: .reject), due: .after(.seconds(9)))
      ]).first
    }
    for (id, key) in [(1, "ready"), (2, "delayed"), (3, "even"), (4, "odd"), (5, "start")]
      as [(Int64, String)]
    {
      #expect(try await enqueue(key) == .conflict(id))
    }
    #expect(try await enqueue("started")?.isConflict == false)
    let claimed = try await driver.claim(ClaimRequest([.init("a")], limit: 10)).jobs
    #expect(claimed.map(\.id) == [1, 5, 7])
    #expect(try await enqueue("start")?.isConflict == false)
    #expect(try await enqueue("ready") == .conflict(1))
    let leases =
      claimed.map(\.lease)
      + [(3, 100), (4, 101), (6, 101)].map { Lease(job: $0.0, token: $0.1, holder: 0, expiresAt: never) }
    let results = try await driver.settle(leases.map { Settlement($0, .completed()) }, claiming: nil).results
    #expect(results == Array(repeating: .settled(), count: 6))
    for key in ["ready", "even", "odd"] { #expect(try await enqueue(key)?.isConflict == false) }
    #expect(try await enqueue("delayed") == .conflict(2))
    await driver.close()
    try await database.drop()
  }

  @Test func leasesOfSchema3EndWithWhatTheirJobsHaveLost() async throws {
    let database = try await TestDatabase()
    let connection = try database.connection()
    for migration in Schema.migrations.prefix(3) {
      for statement in migration.statements + [Schema.record(migration)] {
        try connection.run([statement, "COMMIT"])
      }
    }
    // The second one has lost all but its last lease.
    try connection.run([
      "INSERT INTO qudo_kind(id, name) VALUES(1, 'a')",
      "INSERT INTO qudo_job(id, kind, ranking, due, enqueued, lost, payload) VALUES(1, 1, 0, 5, 5, 0, ''), (2, 1, 0, 5, 5, 1, '')",
      """
      INSERT INTO qudo_running(id, ends, token, kind, ranking, due, lost, lost_limit) VALUES
      (1, 9, 100, 1, 0, 5, 0, 2), (2, 9, 100, 1, 0, 5, 1, 2)
      """, "COMMIT",
    ])
    let driver = try database.driver()
    #expect(try await driver.claim(ClaimRequest([.init("a")], limit: 10)).jobs.map(\.id) == [1])
    let failures = try await driver.failures(LogQuery())
    #expect(driver.generation.count == 16)
    let writer = try await database.server.query(
      "SELECT MAX(version), MAX(lowest_reader), MAX(lowest_writer) FROM qudo_schema", in: database.name)
    #expect(writer == [Self.versions], "a Qudo of schema 5 knows no pauses")
    #expect(
      failures.map(\.job) == [2] && failures.first?.reason == .lost
        && failures.first?.message.contains("lost 2 times") == true)
    await driver.close()
    try await database.drop()
  }

  @Test(
    "the logs of schema 6 get their indexes, and a migration that was stopped anywhere is finished",
    arguments: Evidence.arguments(0...Schema.migrations[6].statements.count))
  func logsOfSchema6(_ done: Int) async throws {
    let (whole, database) = (try await TestDatabase(), try await TestDatabase())
    #expect(try await code(whole) == nil)
    let connection = try database.connection()
    for migration in Schema.migrations.prefix(6) {
      for statement in migration.statements + [Schema.record(migration)] {
        try connection.run([statement, "COMMIT"])
      }
    }
    try connection.run([
      "INSERT INTO qudo_kind(id, name) VALUES(1, 'a')",
      "INSERT INTO qudo_job(id, kind, ranking, due, enqueued, unique_key, unique_scope, payload) VALUES(5, 1, 0, 5, 5, 'new', 0, '')",
      "INSERT INTO qudo_unique(kind, name, job) VALUES(1, 'new', 5)",
      "INSERT INTO qudo_ready(kind, ranking, due, id, frees) VALUES(1, 0, 5, 5, 2)",
      """
      INSERT INTO qudo_failure(job, kind, attempt, failed_at, reason, final, message, ranking, unique_key, payload) VALUES
      (1, 1, 1, 5, 0, 0, 'again', 0, 'one', NULL), (2, 1, 1, 5, 0, 1, 'no', 0, NULL, ''), (1, 1, 2, 6, 0, 1, 'no', 0, 'one', '')
      """,
      """
      INSERT INTO qudo_status(job, kind, status, started_at, ended_at, unique_key, codec, payload) VALUES
      (3, 1, 3, 1, 2, 'three', 0, ''), (3, 1, 0, 3, 4, 'three', 0, '')
      """, "COMMIT",
    ])
    for statement in Schema.migrations[6].statements.prefix(done) {
      try connection.run([statement, "COMMIT"])
    }
    let driver = try database.driver()
    let outcomes = try await driver.outcomes(of: [1, 2, 3, 4, 5, 6])
    if case .failed(let row) = outcomes[0] {
      #expect(row.attempt == 2)
    } else {
      Issue.record("\(outcomes[0])")
    }
    if case .failed(let row) = outcomes[1] { #expect(row.job == 2) } else { Issue.record("\(outcomes[1])") }
    if case .completed(let row) = outcomes[2] { #expect(row.id == 2) } else { Issue.record("\(outcomes[2])") }
    #expect(outcomes[3] == .unrecorded && outcomes[4].isUnfinished && outcomes[5] == .neverExisted)
    for (key, job) in [("one", 1), ("three", 3), ("new", 5), ("none", nil)] as [(String, Int64?)] {
      #expect(try await driver.job(withUniqueKey: key, kind: "a") == job)
    }
    for table in ["qudo_failure", "qudo_status"] {
      let create = "SHOW CREATE TABLE \(table)"
      let isSame = try await database.server.query(create, in: database.name).map {
        $0.replacing(/\ AUTO_INCREMENT=\d+/, with: "")
      }
      #expect(try await isSame == whole.server.query(create, in: whole.name))
    }
    let rows = try await database.server.query(
      "SELECT MAX(version), MAX(lowest_reader), MAX(lowest_writer) FROM qudo_schema", in: database.name)
    #expect(rows == [Self.versions])
    await driver.close()
    for database in [whole, database] { try await database.drop() }
  }

  @Test(
    "jobs of schema 7 wait and run on, and a migration that was stopped anywhere is finished",
    arguments: Evidence.arguments(0...Schema.migrations[7].statements.count))
  func jobsOfSchema7(_ done: Int) async throws {
    let (whole, database) = (try await TestDatabase(), try await TestDatabase())
    #expect(try await code(whole) == nil)
    let connection = try database.connection()
    for migration in Schema.migrations.prefix(7) {
      for statement in migration.statements + [Schema.record(migration)] {
        try connection.run([statement, "COMMIT"])
      }
    }
    let ends = Timestamp.latest.microseconds
    try connection.run([
      "INSERT INTO qudo_kind(id, name) VALUES(1, 'a')",
      """
      INSERT INTO qudo_job(id, kind, ranking, due, enqueued, unique_key, unique_scope, payload) VALUES
      (1, 1, 0, 5, 5, 'k', 0, ''), (2, 1, 0, 5, 5, NULL, NULL, ''), (3, 1, 0, 5, 5, NULL, NULL, ''), (4, 1, 0, \(ends), 5, NULL, NULL, '')
      """,
      "INSERT INTO qudo_unique(kind, name, job) VALUES(1, 'k', 1)",
      "INSERT INTO qudo_ready(kind, ranking, due, id, frees) VALUES(1, 0, 5, 1, 2)",
      "INSERT INTO qudo_delayed(due, id, kind, ranking, frees) VALUES(\(ends), 4, 1, 0, 0)",
      // Any token, as schema 7 gave them out.
      "INSERT INTO qudo_running(id, ends, token, kind, ranking, due, lost_limit) VALUES(2, \(ends), 6, 1, 0, 5, 5), (3, \(ends), 12, 1, 0, 5, 5)",
      "COMMIT",
    ])
    for statement in Schema.migrations[7].statements.prefix(done) {
      try connection.run([statement, "COMMIT"])
    }
    let driver = try database.driver()
    #expect(try await driver.jobs(matching: JobQuery()).map(\.expiresAt) == [nil, nil, nil, nil])
    let leases = [
      Lease(job: 2, token: 6, holder: 0, expiresAt: ends),
      Lease(job: 3, token: 12, holder: 0, expiresAt: ends),
    ]
    let results = try await driver.settle(
      [Settlement(leases[0], .released), Settlement(leases[1], .failed(message: "no"))],
      claiming: ClaimRequest([.init("a")], limit: 9))
    #expect(results.results == [.settled(), .settled()])
    #expect(results.claim?.jobs.map(\.id) == [1, 2] && results.claim?.givenUp == [])
    #expect(
      try await driver.change([4], JobChange(due: .now, expires: .after(.microseconds(1)))) == [.changed])
    #expect(try await driver.claim(ClaimRequest([.init("a")], limit: 9)).givenUp.map(\.id) == [4])
    #expect(try await TableInvariants.violations(in: database.name, on: database.server) == [])
    for table in ["qudo_expiry", "qudo_route", "qudo_job"] {
      let create = "SHOW CREATE TABLE \(table)"
      let isSame = try await database.server.query(create, in: database.name).map {
        $0.replacing(/\ AUTO_INCREMENT=\d+/, with: "")
      }
      #expect(try await isSame == whole.server.query(create, in: whole.name))
    }
    let rows = try await database.server.query(
      "SELECT MAX(version), MAX(lowest_reader), MAX(lowest_writer) FROM qudo_schema", in: database.name)
    #expect(rows == [Self.versions], "a Qudo of schema 7 would run expired jobs")
    await driver.close()
    for database in [whole, database] { try await database.drop() }
  }

  @Test("throttles are added to schema 11, and its leases hold") func throttlesOfSchema11() async throws {
    let database = try await TestDatabase()
    let connection = try database.connection()
    let older = Array(Schema.migrations.prefix(11))
    for migration in older {
      for statement in migration.statements + [Schema.record(migration)] {
        try connection.run([statement, "COMMIT"])
      }
    }
    let ends = Timestamp.latest.microseconds
    try connection.run([
      "INSERT INTO qudo_kind(id, name) VALUES(1, 'a')",
      """
      INSERT INTO qudo_job(id, kind, ranking, due, enqueued, unique_key, unique_scope, payload) VALUES
      (1, 1, 0, 5, 5, 'one', 0, ''), (2, 1, 0, 5, 5, 'two', 0, ''), (3, 1, 0, 5, 5, NULL, NULL, ''), (4, 1, 0, 5, 5, 'four', 0, '')
      """,
      "INSERT INTO qudo_unique(kind, name, job) VALUES(1, 'one', 1), (1, 'two', 2), (1, 'four', 4)",
      // Any token, as schema 11 gave them out: these have the bit that says now that a job may have a throttle.
      """
      INSERT INTO qudo_running(id, ends, token, kind, ranking, due, lost_limit) VALUES
      (1, \(ends), 25, 1, 0, 5, 5), (2, \(ends), 25, 1, 0, 5, 5), (3, \(ends), 24, 1, 0, 5, 5), (4, \(ends), 25, 1, 0, 5, 5)
      """,
      "COMMIT",
    ])
    let driver = try database.driver()
    func lease(_ job: Int64, _ token: Int64) -> Lease {
      Lease(job: job, token: token, holder: 0, expiresAt: ends)
    }
    #expect(
      try await driver.settle(
        [
          Settlement(lease(1, 25), .completed()), Settlement(lease(2, 25), .failed(message: "")),
          Settlement(lease(3, 24), .completed()), Settlement(lease(4, 25), .released),
        ], claiming: nil
      ).results == Array(repeating: .settled(), count: 4))
    #expect(try await TableInvariants.violations(in: database.name, on: database.server) == [])
    let keys = ["one", "two", "four"].map { NewJob("a", unique: UniqueKey($0, throttle: .seconds(3600))) }
    let results = try await driver.insert(keys)
    #expect(results[2] == .conflict(4) && results[0].id > 4 && results[1].id > 4)
    let jobs = try await driver.claim(ClaimRequest([.init("a")], limit: 9)).jobs
    _ = try await driver.settle(jobs.map { Settlement($0.lease, .completed()) }, claiming: nil)
    let again = try await driver.insert(keys)
    #expect(Array(again[..<2]) == results[..<2].map { .conflict($0.id) } && again[2].id > results[1].id)
    #expect(try await TableInvariants.violations(in: database.name, on: database.server) == [])
    // A Qudo that knows only schema 11 would let no key rest.
    let found = Result { () throws(QudoError) in try connection.run(DatabaseIdentity.read).rows }
    #expect {
      try DatabaseOpener.prepare(connection, timeout: .seconds(9), migrations: older, found: found)
    } throws: {
      ($0 as? QudoError)?.code == .newerSchema
    }
    await driver.close()
    try await database.drop()
  }

  @Test(
    "schedules are added to schema 8, and a migration that was stopped anywhere is finished",
    arguments: Evidence.arguments(0...Schema.migrations[8].statements.count))
  func schedulesOfSchema9(_ done: Int) async throws {
    let (whole, database) = (try await TestDatabase(), try await TestDatabase())
    #expect(try await code(whole) == nil)
    let connection = try database.connection()
    for migration in Schema.migrations.prefix(8) {
      for statement in migration.statements + [Schema.record(migration)] {
        try connection.run([statement, "COMMIT"])
      }
    }
    for statement in Schema.migrations[8].statements.prefix(done) {
      try connection.run([statement, "COMMIT"])
    }
    let driver = try database.driver()
    let schedule = StoredSchedule(
      name: "s", rule: "r", kind: "a", nextTick: Timestamp(microseconds: 5))
    #expect(try await driver.store([schedule]) == [true])
    #expect(try await driver.dueSchedules(after: nil, limit: 1).due.map(\.version) == [1])
    let create = "SHOW CREATE TABLE qudo_schedule"
    #expect(
      try await database.server.query(create, in: database.name)
        == whole.server.query(create, in: whole.name))
    let rows = try await database.server.query(
      "SELECT MAX(version), MAX(lowest_reader), MAX(lowest_writer) FROM qudo_schema", in: database.name)
    #expect(rows == [Self.versions])
    await driver.close()
    for database in [whole, database] { try await database.drop() }
  }

  @Test("rates are added to schema 9") func ratesOfSchema10() async throws {
    let database = try await TestDatabase()
    let connection = try database.connection()
    for migration in Schema.migrations.prefix(9) {
      for statement in migration.statements + [Schema.record(migration)] {
        try connection.run([statement, "COMMIT"])
      }
    }
    let driver = try database.driver()
    _ = try await driver.insert([NewJob("a"), NewJob("a")])
    let rated = ClaimRequest([.init("a", rate: RateLimit(1, per: .seconds(3600)))], limit: 9)
    #expect(try await driver.claim(rated).jobs.map(\.id) == [1])
    #expect(try await driver.claim(rated).jobs.map(\.id) == [])
    await driver.close()
    try await database.drop()
  }

  @Test(
    "jobs of schema 10 wait and run on, and a migration that was stopped anywhere is finished",
    arguments: Evidence.arguments(0...Schema.migrations[10].statements.count))
  func jobsOfSchema10(_ done: Int) async throws {
    let (whole, database) = (try await TestDatabase(), try await TestDatabase())
    #expect(try await code(whole) == nil)
    let connection = try database.connection()
    let older = Array(Schema.migrations.prefix(10))
    for migration in older {
      for statement in migration.statements + [Schema.record(migration)] {
        try connection.run([statement, "COMMIT"])
      }
    }
    let ends = Timestamp.latest.microseconds
    try connection.run([
      "INSERT INTO qudo_kind(id, name) VALUES(1, 'a')",
      """
      INSERT INTO qudo_job(id, kind, ranking, due, enqueued, unique_key, unique_scope, expires, payload) VALUES
      (1, 1, 0, 5, 5, 'k', 0, \(ends), ''), (2, 1, 0, 5, 5, NULL, NULL, NULL, ''), (3, 1, 0, 5, 5, NULL, NULL, NULL, ''),
      (4, 1, 0, \(ends), 5, NULL, NULL, NULL, '')
      """,
      "INSERT INTO qudo_unique(kind, name, job) VALUES(1, 'k', 1)",
      "INSERT INTO qudo_expiry(id, expires) VALUES(1, \(ends))",
      "INSERT INTO qudo_ready(kind, ranking, due, id, frees) VALUES(1, 0, 5, 1, 6)",
      "INSERT INTO qudo_delayed(due, id, kind, ranking, frees) VALUES(\(ends), 4, 1, 0, 0)",
      // Any token: one of these seems to be that of a job with a concurrency key.
      "INSERT INTO qudo_running(id, ends, token, kind, ranking, due, lost_limit) VALUES(2, \(ends), 12, 1, 0, 5, 5), (3, \(ends), 8, 1, 0, 5, 5)",
      "INSERT INTO qudo_failure(job, kind, attempt, failed_at, reason, final, message, ranking, codec, payload) VALUES(9, 1, 1, 5, 0, 1, 'no', 0, 0, '')",
      "COMMIT",
    ])
    for statement in Schema.migrations[10].statements.prefix(done) {
      try connection.run([statement, "COMMIT"])
    }
    let driver = try database.driver()
    let leases = [
      Lease(job: 2, token: 12, holder: 0, expiresAt: ends),
      Lease(job: 3, token: 8, holder: 0, expiresAt: ends),
    ]
    let settled = try await driver.settle(
      [Settlement(leases[0], .completed()), Settlement(leases[1], .released)],
      claiming: ClaimRequest([.init("a")], limit: 9))
    #expect(settled.results == [.settled(), .settled()])
    #expect(settled.claim?.jobs.map(\.id) == [1, 3])
    let failure = try #require(try await driver.failures(LogQuery()).first)
    guard case .replayed(let again) = try await driver.replay([failure.id]).first else {
      Issue.record("it was not replayed")
      return
    }
    let keyed = try await driver.insert([
      NewJob("a", concurrencyKey: "k"), NewJob("a", concurrencyKey: "k"),
    ]).map(\.id)
    #expect(try await driver.claim(ClaimRequest([.init("a")], limit: 9)).jobs.map(\.id) == [again, keyed[0]])
    #expect(try await driver.count() == [JobCount("a", delayed: 1, running: 4, held: 1)])
    #expect(try await TableInvariants.violations(in: database.name, on: database.server) == [])
    for table in ["qudo_key", "qudo_held", "qudo_ready", "qudo_delayed", "qudo_failure"] {
      let create = "SHOW CREATE TABLE \(table)"
      let isSame = try await database.server.query(create, in: database.name).map {
        $0.replacing(/\ AUTO_INCREMENT=\d+/, with: "")
      }
      #expect(try await isSame == whole.server.query(create, in: whole.name))
    }
    let rows = try await database.server.query(
      "SELECT MAX(version), MAX(lowest_reader), MAX(lowest_writer) FROM qudo_schema", in: database.name)
    #expect(rows == [Self.versions], "a Qudo of schema 10 would leave places behind")
    // A Qudo that knows only schema 10 does not open the database, and one that is connected fails.
    let found = Result { () throws(QudoError) in try connection.run(DatabaseIdentity.read).rows }
    #expect {
      try DatabaseOpener.prepare(connection, timeout: .seconds(9), migrations: older, found: found)
    } throws: { ($0 as? QudoError)?.code == .newerSchema }
    for statement in [
      "SELECT kind, ranking, due, id, frees FROM qudo_ready WHERE kind = 1 LIMIT 1 FOR UPDATE",
      "SELECT kind, ranking, due, id, frees FROM qudo_delayed WHERE due <= 5 LIMIT 1 FOR UPDATE",
    ] as [SQL] {
      #expect { try connection.run(statement) } throws: {
        ($0 as? QudoError)?.mysql?.isOfMissingTables == true
      }
    }
    await driver.close()
    for database in [whole, database] { try await database.drop() }
  }

  @Test(
    "keys of schema 13 can be stopped, and a migration that was stopped anywhere is finished",
    arguments: Evidence.arguments(0...Schema.migrations[13].statements.count))
  func stopsOfSchema14(_ done: Int) async throws {
    let (whole, database) = (try await TestDatabase(), try await TestDatabase())
    #expect(try await code(whole) == nil)
    let connection = try database.connection()
    let older = Array(Schema.migrations.prefix(13))
    for migration in older {
      for statement in migration.statements + [Schema.record(migration)] {
        try connection.run([statement, "COMMIT"])
      }
    }
    try connection.run([
      "INSERT INTO qudo_kind(id, name) VALUES(1, 'a')",
      """
      INSERT INTO qudo_job(id, kind, ranking, due, enqueued, concurrency_key, payload) VALUES
      (1, 1, 0, 5, 5, 'k', 'one'), (2, 1, 0, 5, 5, 'k', 'two'), (3, 1, 0, 5, 5, 'k', 'three'), (4, 1, 0, 5, 5, 'k', 'four')
      """,
      "INSERT INTO qudo_ready(kind, ranking, due, id, flags) VALUES(1, 0, 5, 1, 8), (1, 0, 5, 2, 8)",
      "INSERT INTO qudo_held(kind, name, id) VALUES(1, 'k', 3), (1, 'k', 4)",
      "INSERT INTO qudo_key(kind, name, most, taken, held) VALUES(1, 'k', 2, 2, 2)",
      """
      INSERT INTO qudo_failure(job, kind, attempt, failed_at, reason, final, message, ranking, codec, payload, concurrency_key)
      VALUES(9, 1, 1, 5, 0, 1, 'no', 0, 0, 'again', 'k')
      """, "COMMIT",
    ])
    for statement in Schema.migrations[13].statements.prefix(done) {
      try connection.run([statement, "COMMIT"])
    }
    let driver = try database.driver()
    let request = ClaimRequest([.init("a")], limit: 9)
    let jobs = try await driver.claim(request).jobs
    #expect(jobs.map(\.id) == [1, 2])
    #expect(try await driver.keyStops(nil, after: 0, limit: 9) == [])
    // An old failure goes on; a new enqueue lets the next one stop the key.
    _ = try await driver.settle([Settlement(jobs[0].lease, .failed(message: ""))], claiming: nil)
    #expect(try await driver.count() == [JobCount("a", ready: 1, running: 1, held: 1)])
    let key = ConcurrencyKey("k", limit: 2, afterFailure: .stop)
    _ = try await driver.insert([NewJob("a", concurrencyKey: key)])
    _ = try await driver.settle([Settlement(jobs[1].lease, .failed(message: ""))], claiming: nil)
    #expect(try await driver.keyStops(nil, after: 0, limit: 9).map(\.job) == [2])
    #expect(try await driver.count() == [JobCount("a", ready: 1, held: 2)])
    #expect(try await TableInvariants.violations(in: database.name, on: database.server) == [])
    let failure = try #require(try await driver.failures(LogQuery(oldestFirst: true)).first)
    guard case .replayed = try await driver.replay([failure.id]).first else {
      Issue.record("it was not replayed")
      return
    }
    #expect(try await driver.count() == [JobCount("a", ready: 1, held: 3)])
    for table in ["qudo_key", "qudo_stop", "qudo_failure"] {
      let create = "SHOW CREATE TABLE \(table)"
      let isSame = try await database.server.query(create, in: database.name).map {
        $0.replacing(/\ AUTO_INCREMENT=\d+/, with: "")
      }
      #expect(try await isSame == whole.server.query(create, in: whole.name))
    }
    // A Qudo that knows only schema 13 does not open the database, and one that is connected fails where keys are.
    let found = Result { () throws(QudoError) in try connection.run(DatabaseIdentity.read).rows }
    #expect {
      try DatabaseOpener.prepare(connection, timeout: .seconds(9), migrations: older, found: found)
    } throws: { ($0 as? QudoError)?.code == .newerSchema }
    #expect {
      try connection.run("SELECT kind, name, most, taken, held FROM qudo_key FORCE INDEX(PRIMARY) FOR UPDATE")
    } throws: { ($0 as? QudoError)?.mysql?.isOfMissingTables == true }
    await driver.close()
    for database in [whole, database] { try await database.drop() }
  }

  @Test(
    "keys of schema 14 get rates, and a migration that was stopped anywhere is finished",
    arguments: Evidence.arguments(0...Schema.migrations[14].statements.count))
  func keyRatesOfSchema15(_ done: Int) async throws {
    let (whole, database) = (try await TestDatabase(), try await TestDatabase())
    #expect(try await code(whole) == nil)
    let connection = try database.connection()
    let older = Array(Schema.migrations.prefix(14))
    for migration in older {
      for statement in migration.statements + [Schema.record(migration)] {
        try connection.run([statement, "COMMIT"])
      }
    }
    try connection.run([
      "INSERT INTO qudo_kind(id, name) VALUES(1, 'a')",
      """
      INSERT INTO qudo_job(id, kind, ranking, due, enqueued, concurrency_key, payload) VALUES
      (1, 1, 0, 5, 5, 'k', 'one'), (2, 1, 0, 5, 5, 'k', 'two'), (3, 1, 0, 5, 5, 'k', 'three')
      """,
      "INSERT INTO qudo_ready(kind, ranking, due, id, flags) VALUES(1, 0, 5, 1, 8), (1, 0, 5, 2, 8)",
      "INSERT INTO qudo_held(kind, name, id) VALUES(1, 'k', 3)",
      "INSERT INTO qudo_key(kind, name, allowed, taken, held, stops, stopped) VALUES(1, 'k', 2, 2, 1, 1, 0), (1, 's', 2, 0, 0, 1, 1)",
      "INSERT INTO qudo_stop(failure, kind, name, job, at) VALUES(1, 1, 's', 9, 5)",
      """
      INSERT INTO qudo_failure(job, kind, attempt, failed_at, reason, final, message, ranking, codec, payload, concurrency_key,
        concurrency_limit, concurrency_stops) VALUES(9, 1, 1, 5, 0, 1, 'no', 0, 0, 'again', 's', 2, 1)
      """, "COMMIT",
    ])
    for statement in Schema.migrations[14].statements.prefix(done) {
      try connection.run([statement, "COMMIT"])
    }
    let driver = try database.driver()
    let request = ClaimRequest([.init("a")], limit: 9)
    #expect(try await driver.keyStops(nil, after: 0, limit: 9).map(\.key) == ["s"])
    let jobs = try await driver.claim(request).jobs
    #expect(jobs.map(\.id) == [1, 2])
    // A new enqueue gives the key a rate; the first one to begin then takes the only token.
    let rate = RateLimit(1, per: .seconds(3600))
    _ = try await driver.insert([NewJob("a", concurrencyKey: ConcurrencyKey("k", limit: 2, rate: rate))])
    let settlements = [Settlement(jobs[0].lease, .released), Settlement(jobs[1].lease, .failed(message: ""))]
    _ = try await driver.settle(settlements, claiming: nil)
    #expect(try await driver.claim(request).jobs.map(\.id) == [1])
    #expect(try await driver.claim(request).jobs.isEmpty)
    #expect(try await driver.count() == [JobCount("a", delayed: 1, running: 1, held: 1)])
    #expect(try await driver.failures(LogQuery()).count == 2)
    guard case .replayed(let again) = try await driver.replay([1]).first else {
      Issue.record("it was not replayed")
      return
    }
    #expect(try await driver.claim(request).jobs.map(\.id) == [again])
    #expect(try await TableInvariants.violations(in: database.name, on: database.server) == [])
    for table in ["qudo_key", "qudo_key_rate", "qudo_failure"] {
      let create = "SHOW CREATE TABLE \(table)"
      let isSame = try await database.server.query(create, in: database.name).map {
        $0.replacing(/\ AUTO_INCREMENT=\d+/, with: "")
      }
      #expect(try await isSame == whole.server.query(create, in: whole.name))
    }
    let rows = try await database.server.query(
      "SELECT MAX(version), MAX(lowest_reader), MAX(lowest_writer) FROM qudo_schema", in: database.name)
    #expect(rows == [Self.versions], "a Qudo of schema 14 would begin jobs without a token")
    // A Qudo that knows only schema 14 does not open the database, and one that is connected fails where keys are.
    let found = Result { () throws(QudoError) in try connection.run(DatabaseIdentity.read).rows }
    #expect {
      try DatabaseOpener.prepare(connection, timeout: .seconds(9), migrations: older, found: found)
    } throws: { ($0 as? QudoError)?.code == .newerSchema }
    #expect {
      try connection.run(
        "SELECT kind, name, allowed, taken, held, stops, stopped FROM qudo_key FORCE INDEX(PRIMARY) FOR UPDATE"
      )
    } throws: { ($0 as? QudoError)?.mysql?.isOfMissingTables == true }
    await driver.close()
    for database in [whole, database] { try await database.drop() }
  }

  @Test func aLeaseWhoseExtensionWasNotHeardOfIsFound() async throws {
    let database = try await TestDatabase()
    let (driver, other) = (try database.driver(), try database.driver())
    _ = try await driver.insert((0..<6).map { _ in NewJob("a") })
    let leases = try await driver.claim(ClaimRequest([.init("a", leaseDuration: .seconds(100))], limit: 6))
      .jobs.map(\.lease)
    let extended = try await other.renew(Array(leases[0..<4]), for: .seconds(200))
    #expect(try await driver.renew([leases[0]], for: .seconds(300)).first??.token == leases[0].token)
    let lost = Lease(
      job: leases[4].job, token: leases[4].token ^ 6, holder: 0, expiresAt: leases[4].expiresAt)
    let settlements = [
      Settlement(leases[0], .completed()), Settlement(leases[1], .released),
      Settlement(try #require(extended[2]), .completed()),
      Settlement(leases[3], .completed(), recording: .seconds(1)), Settlement(lost, .completed()),
      Settlement(leases[4], .completed()),
    ]
    let results = try await driver.settle(settlements, claiming: nil).results
    #expect(results == [.settled(), .settled(), .settled(), .settled(), .leaseLost, .settled()])
    #expect(try await driver.count().map { [$0.ready, $0.running] } == [[1, 1]])
    for driver in [driver, other] { await driver.close() }
    try await database.drop()
  }

  @Test func tablesThatAreNotQudosAreRefused() async throws {
    for table in ["qudo_job(x INT)", "qudo_schema(x INT)"] {
      let database = try await TestDatabase()
      try await database.server.query("CREATE TABLE \(table)", in: database.name)
      #expect(try await code(database) == .foreignSchema)
      try await database.drop()
    }
  }

  @Test func aNewerSchemaIsRefusedUnlessItSaysOtherwise() async throws {
    let database = try await TestDatabase()
    #expect(try await code(database) == nil)
    try await database.server.query(
      "INSERT INTO qudo_schema VALUES(\(Schema.version + 1), 0, 1, 1)", in: database.name)
    #expect(try await code(database) == nil)
    try await database.server.query(
      "INSERT INTO qudo_schema VALUES(\(Schema.version + 2), 0, \(Schema.version + 1), \(Schema.version + 1))",
      in: database.name
    )
    #expect(try await code(database) == .newerSchema)
    try await database.drop()
  }

  @Test func anApplicationsOwnTablesAreLeftAlone() async throws {
    let database = try await TestDatabase()
    try await database.server.query("CREATE TABLE job(id INT); CREATE TABLE qudos(id INT)", in: database.name)
    #expect(try await code(database) == nil)
    #expect(try await tables(database).count == 26)
    try await database.drop()
  }
}

extension InsertResult {
  fileprivate var isConflict: Bool {
    if case .conflict = self { true } else { false }
  }
}
#endif
