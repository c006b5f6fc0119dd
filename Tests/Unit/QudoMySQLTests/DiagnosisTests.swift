#if MySQL
import MariaDBServer
import Qudo
@testable import QudoMySQL
import Testing

/// What a diagnosis finds on servers that really have the fault.
@Suite struct DiagnosisTests {
  private func findings(_ driver: MySQLDriver, _ options: DiagnosisOptions = DiagnosisOptions()) async throws
    -> [Finding]
  {
    // The servers of the tests sync nothing, which is what the first one is about.
    try await driver.diagnose(options).findings.filter { $0.check != "durability" }
  }

  private func hours(_ hours: Int) -> Int64 { Int64(hours) * 3_600_000_000 }

  @Test("settings that lose jobs in a power cut") func durability() async throws {
    let server = try await MariaDBServer.start(["--innodb-flush-log-at-trx-commit=2"])
    let driver = try await TestDatabase(on: server).driver()
    try await driver.connect()
    let found = try await driver.diagnose().findings
    #expect(
      found.contains {
        $0.check == "durability" && $0.severity == .warning
          && $0.message.hasPrefix("innodb_flush_log_at_trx_commit is 2: a power cut")
          && $0.advice == "set it to 1"
      }, "\(found)")
    try await server.query("SET GLOBAL read_only = 1")
    #expect(
      try await driver.diagnose().findings.contains { $0.check == "read-only" && $0.severity == .fault })
    await driver.close()
  }

  @Test("a database without tables gets none, and one of another version is told apart") func schema()
    async throws
  {
    let database = try await TestDatabase()
    let driver = try database.driver(options: "name=far")
    var found = try await findings(driver)
    #expect(found.map(\.check) == ["schema"] && found[0].severity == .fault)
    #expect(try await database.server.query("SHOW TABLES", in: database.name).isEmpty)
    try await driver.connect()
    #expect(try await findings(driver).isEmpty)
    #expect(try await driver.diagnose().database == "far")
    try await database.server.query(
      "DELETE FROM qudo_schema WHERE version = \(Schema.version)", in: database.name)
    found = try await findings(driver)
    #expect(found.map(\.severity) == [.warning] && found[0].message.contains("of an older Qudo"))
    try await database.server.query("INSERT INTO qudo_schema VALUES(99, 0, 99, 99)", in: database.name)
    found = try await findings(driver)
    #expect(found.map(\.severity) == [.fault] && found[0].advice == "update this program")
    await driver.close()
    try await database.drop()
  }

  @Test("privileges that are missing") func privileges() async throws {
    let database = try await TestDatabase()
    let owner = try database.driver()
    try await owner.connect()
    await owner.close()
    let user = "reader_\(database.name)".prefix(30)
    try await database.server.query(
      "CREATE USER '\(user)'@'%' IDENTIFIED BY 'secret'; GRANT SELECT, INSERT ON \(database.name).* TO '\(user)'@'%'"
    )
    let driver = try database.driver(user: String(user), password: "secret")
    let found = try await findings(driver)
    #expect(found.map(\.check) == ["privileges"] && found.first?.severity == .fault, "\(found)")
    #expect(found.first?.message == "the user lacks the privileges UPDATE, DELETE on Qudo's tables")
    await driver.close()
    try await database.server.query("DROP USER '\(user)'@'%'")
    try await database.drop()
  }

  @Test(
    "a replica that refuses writes is told to be read-only, also to a user whom the server refuses to explain them"
  )
  func readOnlyReplica() async throws {
    let server = try await MariaDBServer.start()
    let database = try await TestDatabase(on: server)
    let owner = try database.driver()
    try await owner.connect()
    await owner.close()
    try await server.query(
      "CREATE USER 'worker'@'%' IDENTIFIED BY 'secret'; GRANT SELECT, INSERT, UPDATE, DELETE ON \(database.name).* TO 'worker'@'%'; SET GLOBAL read_only = 1"
    )
    let driver = try database.driver(user: "worker", password: "secret")
    #expect(try await findings(driver).map(\.check) == ["read-only"])
    await driver.close()
  }

  @Test("jobs, leases, logs and schedules") func jobs() async throws {
    let database = try await TestDatabase()
    let driver = try database.driver()
    _ = try await driver.insert([
      NewJob("a"), NewJob("b", priority: 3), NewJob("b"), NewJob("c"),
      NewJob("far", due: .after(.seconds(86_400 * 3000))), NewJob("d", due: .after(.seconds(3600))),
      NewJob("far", due: .after(.seconds(86_400 * 2000))),
    ])
    try await driver.pause(["c"], until: nil, reason: "quiet")
    let now = try await driver.dueSchedules(after: nil, limit: 1).now
    _ = try await driver.store([
      StoredSchedule(name: "late", rule: "r", kind: "k", nextTick: now.advanced(by: .seconds(-3600))),
      StoredSchedule(name: "idle", rule: "r", kind: "a", nextTick: now.advanced(by: .seconds(3600))),
    ])
    _ = try await driver.claim(ClaimRequest([.init("b", leaseDuration: .seconds(9000))], limit: 1))
    #expect(
      try await findings(driver).map(\.check)
        == ["schedule-late", "far-due", "paused"].sorted { a, _ in a == "far-due" })
    // The one that is due last, not the newest one.
    #expect(try await findings(driver).first { $0.check == "far-due" }?.figures == ["jobs": 2, "job": 5])
    // Two hours later.
    try await database.server.query(
      """
      UPDATE qudo_ready SET due = due - \(hours(2)); UPDATE qudo_delayed SET due = due - \(hours(2));
      INSERT INTO qudo_failure(id, job, kind, attempt, failed_at, reason, final, message, ranking) VALUES
        (1, 1, 1, 1, \(now.microseconds - hours(24 * 20)), 0, 1, '', 0), (2000000, 1, 1, 1, \(now.microseconds + hours(1)), 0, 1, '', 0)
      """, in: database.name)
    var found = try await findings(driver)
    #expect(
      found.map { "\($0.severity) \($0.check) \($0.subject ?? "")" } == [
        "warning kind-idle a", "warning kind-idle d", "warning far-due ", "warning clock ",
        "warning log-growth failure", "warning schedule-idle idle", "warning schedule-late late",
        "note oldest-ready b", "note paused c",
      ], "\(found)")
    // Its worker has gone.
    try await database.server.query("UPDATE qudo_running SET ends = ends - \(hours(4))", in: database.name)
    found = try await findings(driver)
    #expect(found.first { $0.check == "expired-lease" }?.figures["jobs"] == 1, "\(found)")
    await driver.close()
    try await database.drop()
  }

  @Test("a server that is not there is an error") func down() async throws {
    let server = try await MariaDBServer.start()
    let driver = try await TestDatabase(on: server).driver()
    server.kill()
    await #expect { try await driver.diagnose() } throws: { ($0 as? QudoError)?.code == .unreachable }
    await driver.close()
  }

  @Test("a diagnosis reads by indexes") func plans() async throws {
    let database = try await TestDatabase()
    let driver = try database.driver()
    for kind in ["a", "b"] as [Kind] {
      _ = try await driver.insert((0..<3000).map { NewJob(kind, priority: $0 % 3) })
      _ = try await driver.insert((0..<1000).map { NewJob(kind, due: .after(.seconds(1000 + $0))) })
    }
    await driver.close()
    try await database.server.query("ANALYZE TABLE qudo_job, qudo_ready, qudo_delayed", in: database.name)
    let connection = try database.connection()
    let now = Timestamp(microseconds: 1_700_000_000_000_000)
    for query in ServerDiagnosis.queries(now: now, wait: now.microseconds, far: now.microseconds * 2) {
      let rows = try #require(try connection.run("EXPLAIN \(query)").rows)
      while let row = rows.next() {
        let (table, rows, extra) = (row.text(2), row.integer(8), row.text(9))
        guard ["qudo_job", "qudo_ready", "qudo_delayed"].contains(table) else { continue }
        #expect(rows < 100 && !extra.contains("filesort"), "\(table): \(rows), \(extra) of \(query.text)")
      }
    }
    try await database.drop()
  }
}
#endif
