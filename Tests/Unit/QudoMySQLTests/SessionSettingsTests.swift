#if MySQL
import Foundation
import MariaDBServer
@testable import QudoMySQL
import Qudo
import Testing

/// Whatever a server sets for its sessions, jobs come through.
@Suite struct SessionSettingsTests {
  private static let settings = [
    "sql_safe_updates = 1", "sql_select_limit = 1", "sql_select_limit = 0", "completion_type = 1",
    "completion_type = 2",
    "tx_read_only = 1", "sql_big_selects = 0, max_join_size = 1",
    "sql_mode = 'ANSI,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH'",
    "sql_mode = 'ORACLE'", "sql_mode = ''", "autocommit = 0", "autocommit = 1", "max_statement_time = 0.001",
    "innodb_lock_wait_timeout = 1",
    "lock_wait_timeout = 1", "foreign_key_checks = 0, unique_checks = 0",
    "character_set_client = 'latin1', character_set_results = 'ucs2'",
    "collation_connection = 'utf16_bin'", "time_zone = '+13:00'", "sql_auto_is_null = 1",
    "tx_isolation = 'SERIALIZABLE'",
    "tx_isolation = 'READ-UNCOMMITTED'", "auto_increment_increment = 7, auto_increment_offset = 3",
    "sql_notes = 0", "div_precision_increment = 0",
    "old_mode = ''", "optimizer_switch = 'index_merge=off,derived_merge=off'", "join_buffer_size = 128",
    "group_concat_max_len = 4",
    "max_sort_length = 64", "sql_warnings = 1", "low_priority_updates = 1",
  ]
  /// These are a session's only.
  private static let ofSessions = ["timestamp = 1000000000", "last_insert_id = 88"]

  private static let cases =
    settings.flatMap { [(setting: $0, isGlobal: true), (setting: $0, isGlobal: false)] }
    + ofSessions.map { (setting: $0, isGlobal: false) }

  private func run(_ driver: MySQLDriver, _ kind: Kind, _ later: Kind) async throws {
    let want = ClaimRequest([.init(kind, leaseDuration: .seconds(60))], limit: 10)
    let before = Int64(Date().timeIntervalSince1970 * 1_000_000)
    let ids = try await driver.insert((0..<12).map { NewJob(kind, payload: Payload("j\($0)")) }).map(\.id)
    #expect(ids == Array(ids[0]..<ids[0] + 12))
    #expect(
      try await driver.insert([NewJob(later, unique: UniqueKey("ä\\'"), due: .after(.seconds(60)))]).count
        == 1)
    let jobs = try await driver.claim(want).jobs
    #expect(jobs.map(\.id) == Array(ids.prefix(10)))
    #expect(abs(jobs[0].enqueuedAt.microseconds - before) < 600_000_000)
    _ = try await driver.renew(jobs.map(\.lease), for: .seconds(120))
    let outcomes: [Settlement.Outcome] = [
      .completed(), .failed(message: "no"), .retry(after: .zero, message: "again"), .released,
    ]
    let settlements = jobs.enumerated().map { Settlement($1.lease, outcomes[$0 % 4], recording: .seconds(1)) }
    let settled = try await driver.settle(settlements, claiming: want)
    #expect(settled.results == jobs.map { _ in .settled() })
    let rest = try #require(settled.claim?.jobs)
    #expect(rest.count == 6)
    #expect(
      try await driver.settle(rest.map { Settlement($0.lease, .completed()) }, claiming: nil).results
        == rest.map { _ in .settled() })
    #expect(try await driver.count([kind, later]) == [JobCount(later, delayed: 1)])
    let failures = try await driver.failures(LogQuery(kinds: [kind], limit: 100))
    #expect(failures.count == 5)
    let failed = failures.filter(\.isFinal).map(\.id)
    #expect(try await driver.replay(failed).count == failed.count)
  }

  /// What brings a setting back.
  private func reset(_ names: [String], _ values: String) -> String {
    let values = values.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
    let parts = zip(names, values).map { name, value in
      "GLOBAL \(name) = \(value.allSatisfy { $0.isNumber || $0 == "." } && !value.isEmpty ? value : "'\(value)'")"
    }
    return "SET \(parts.joined(separator: ", "));"
  }

  @Test("each verb works whatever the server sets for its sessions")
  func settings() async throws {
    let server = try await MariaDBServer.start()
    // Of users without SUPER only, init_connect is run.
    try await server.query(
      "CREATE USER app@'%' IDENTIFIED BY 'pw'; GRANT ALL ON *.* TO app@'%'; REVOKE SUPER, CONNECTION ADMIN ON *.* FROM app@'%'"
    )
    var database = try await TestDatabase(on: server)
    var back = ""
    for (index, (setting, isGlobal)) in Self.cases.enumerated() {
      // What the tables could be made otherwise under.
      if ["sql_mode", "read_only", "autocommit"].contains(where: { setting.contains($0) }) {
        if !back.isEmpty { try await server.query("SET SESSION TRANSACTION READ WRITE; \(back)") }
        back = ""
        database = try await TestDatabase(on: server)
      }
      let names = setting.split(separator: ", ").compactMap {
        $0.split(separator: " ").first.map(String.init)
      }
      let set =
        isGlobal
        ? "SET GLOBAL \(setting.replacing(", ", with: ", GLOBAL "));"
        : "SET GLOBAL init_connect = 'SET \(setting.replacing("'", with: "''"))';"
      let earlier = names.map { isGlobal ? "@@GLOBAL.\($0)" : "0" }.joined(separator: ",")
      let values =
        try await server.query(
          "SET SESSION max_statement_time = 0; \(back) SELECT CONCAT_WS('|', \(earlier)); \(set)"
        ).first ?? ""
      back = isGlobal ? reset(names, values) : "SET GLOBAL init_connect = '';"
      do {
        let driver = try database.driver(options: "pool=2", user: "app", password: "pw")
        try await run(driver, Kind("a\(index)"), Kind("b\(index)"))
        await driver.close()
      } catch {
        Issue.record("\(isGlobal ? "GLOBAL" : "init_connect") \(setting): \(error)")
      }
    }
    try await server.query("SET SESSION max_statement_time = 0; \(back)")
    #expect(try await TableInvariants.violations(in: database.name, on: server) == [])
  }

  @Test("a binary log of statements is refused with what to do") func binaryLog() async throws {
    let server = try await MariaDBServer.start([
      "--log-bin=log", "--server-id=1", "--binlog-format=STATEMENT",
    ])
    let driver = try await TestDatabase(on: server).driver()
    let error = await #expect(throws: QudoError.self) { try await driver.connect() }
    #expect(error?.code == .unsupportedDatabase)
    #expect(error?.message.contains("set its binlog_format to MIXED or ROW") == true)
    await driver.close()
  }
}
#endif
