import Foundation
import QudoTesting

/// Rows that Qudo would never write, in tables that are right.
extension Corpus {
  static let absurd = [
    "NULL", "'text'", "''", "x''", "x'00ff'", "9223372036854775807", "-9223372036854775808", "-1", "0", "1",
    "9e999", "-9e999", "0.5",
    "1e18", "'x' || char(0) || 'y'", "CAST(x'ff80c0' AS TEXT)", "4611686018427387904",
    "'9223372036854775808'", "id", "253402300800000000",
  ]

  /// Some of the values in each column, others with another seed: in all rows as far as they may have the same, or in one.
  static func values(_ healthy: Healthy, _ random: inout Seeded) throws -> [Case] {
    let raw = try Raw(healthy.closed.path)
    var cases: [Case] = []
    for table in tables {
      for column in try raw.column("SELECT name FROM pragma_table_info('\(table)')") {
        for value in absurd.shuffled(using: &random).prefix(7) {
          let one = Bool.random(using: &random)
          cases.append(
            Case("\(table).\(column) = \(value)\(one ? " in a row" : "")") { path, _ in
              try set(path, table, column, value, one: one)
            })
        }
      }
    }
    return cases
  }

  /// What forbids NULL is taken out of the table's text, and put back.
  private static func set(_ path: String, _ table: String, _ column: String, _ value: String, one: Bool)
    throws
  {
    let raw = try Raw(path)
    let text = try raw.column("SELECT sql FROM sqlite_schema WHERE name = '\(table)'")[0]
    let without =
      value == "NULL" && !text.contains("PRIMARY KEY(")
      ? text.replacingOccurrences(of: " NOT NULL", with: "") : text
    if without != text { try raw.rewrite(table, text, without) }
    let limit = one ? " WHERE \(column) IN (SELECT \(column) FROM \(table) LIMIT 1 OFFSET 1)" : ""
    // A value that the column cannot have stays out; SQLite's own refusal is not Qudo's matter.
    try? raw.run("UPDATE OR IGNORE \(table) SET \(column) = \(value)\(limit)")
    if without != text { try raw.rewrite(table, without, text) }
    try raw.checkpoint()
  }

  private static func sql(_ name: String, _ sql: String) -> Case {
    Case(name) { path, _ in
      let raw = try Raw(path)
      try raw.run(sql)
      try raw.checkpoint()
    }
  }

  /// Several at once, and rows that contradict each other.
  static func absurdities() -> [Case] {
    [
      sql(
        "payloads of 10 MB",
        "UPDATE qudo_job SET payload = zeroblob(10485760) WHERE id IN (SELECT id FROM qudo_job LIMIT 5)"),
      sql(
        "a payload of 100 MB",
        "UPDATE qudo_job SET payload = zeroblob(104857600) WHERE id = (SELECT first FROM qudo_ready LIMIT 1)"),
      sql("a kind of 10 MB", "UPDATE qudo_kind SET name = CAST(zeroblob(10485760) AS TEXT) WHERE id = 1"),
      sql("a message of 10 MB", "UPDATE qudo_failure SET message = printf('%.*c', 10485760, 'x')"),
      sql(
        "a boot of 10 MB",
        "INSERT INTO qudo_instance(boot, locked, pid, opened_at) VALUES(printf('%.*c', 10485760, 'x'), 0, 1, 0)"
      ),
      sql(
        "a receipt's key of 1 MB",
        "INSERT INTO qudo_receipt VALUES(zeroblob(1048576), 1, 0), (x'', 2, 0), ('text', 3, 0)"),
      sql(
        "ids are used up",
        "UPDATE qudo_job SET id = 9223372036854775807 WHERE id = (SELECT max(id) FROM qudo_job)"),
      sql(
        "ids are used up, it is said",
        "UPDATE qudo_info SET value = 9223372036854775807 WHERE key = 'highest_id'"),
      sql(
        "ids are below nought",
        """
        UPDATE qudo_job SET id = -id;
        UPDATE qudo_ready SET first = -last, last = -first;
        UPDATE qudo_running SET first = -last, last = -first
        """),
      sql(
        "the highest id is too low",
        "UPDATE qudo_info SET value = -5 WHERE key = 'highest_id'; DELETE FROM qudo_job WHERE id > 20"),
      sql("no highest id", "DELETE FROM qudo_info"),
      sql("the logs' ids are used up", "UPDATE sqlite_sequence SET seq = 9223372036854775807"),
      sql("the logs' ids are a text", "UPDATE sqlite_sequence SET seq = 'text'"),
      sql(
        "the logs have the last id",
        "UPDATE qudo_failure SET id = 9223372036854775807 WHERE id = 2; UPDATE qudo_status SET id = 9223372036854775807 WHERE id = 2"
      ),
      sql(
        "ready jobs that are not there",
        "INSERT OR IGNORE INTO qudo_ready SELECT kind, rank, due, last + 1000, first + 1000 FROM qudo_ready"),
      sql(
        "a row of all numbers is ready",
        "INSERT INTO qudo_ready VALUES(1, -9, 0, 9223372036854775807, -9223372036854775808)"),
      sql(
        "rows of all numbers are ready, with others",
        """
        INSERT INTO qudo_ready SELECT kind, rank, due, 9223372036854775807, -9223372036854775808 FROM qudo_ready WHERE true ON CONFLICT DO NOTHING
        """),
      sql(
        "rows of the ready and the running end before they begin",
        "UPDATE qudo_ready SET first = last + 1; UPDATE qudo_running SET first = last + 5"),
      sql(
        "rows begin before and after where they did",
        "UPDATE qudo_ready SET first = first - 3; UPDATE qudo_running SET first = first - 1"),
      sql(
        "a row of all numbers runs",
        "INSERT INTO qudo_running VALUES(1, 1, 9223372036854775807, -9223372036854775808, 77, 5, 0, 1)"),
      sql(
        "rows of all numbers run",
        """
        INSERT INTO qudo_running SELECT instance, ends + 1, 9223372036854775807, -9223372036854775808, token, lost_limit, claimed_at, lease FROM qudo_running
        WHERE true ON CONFLICT DO NOTHING
        """),
      sql(
        "each job is ready three times",
        """
        INSERT OR IGNORE INTO qudo_ready SELECT kind, rank + 1, due, last, first FROM qudo_ready;
        INSERT OR IGNORE INTO qudo_ready SELECT kind, rank, due + 1, last, first FROM qudo_ready
        """),
      sql(
        "jobs are ready, delayed and running",
        """
        INSERT OR IGNORE INTO qudo_ready SELECT kind, rank, due, id, id FROM qudo_job;
        INSERT OR IGNORE INTO qudo_delayed SELECT due, id, kind, rank, due FROM qudo_job;
        INSERT OR IGNORE INTO qudo_running SELECT 1, 5000000, id, id, 77, 5, due, 60000000 FROM qudo_job
        """),
      sql("jobs are nowhere", "DELETE FROM qudo_ready; DELETE FROM qudo_delayed; DELETE FROM qudo_running"),
      sql(
        "ready jobs at both ends of all numbers",
        """
        INSERT INTO qudo_ready VALUES(1, 9223372036854775807, 9223372036854775807, 9223372036854775807, 9223372036854775807),
          (1, -9223372036854775808, -9223372036854775808, -9223372036854775808, -9223372036854775808),
          (2, -9223372036854775808, 9223372036854775807, 9223372036854775806, 9223372036854775806),
          (3, 0, 0, 9223372036854775807, 9223372036854775807)
        """),
      sql(
        "delayed jobs at both ends of all numbers",
        """
        INSERT INTO qudo_delayed VALUES(9223372036854775807, 1, 1, 0, NULL), (9223372036854775806, 2, 1, 0, -9223372036854775808),
          (-9223372036854775808, 3, 1, 0, NULL), (-9223372036854775808, 4, 1, -9223372036854775808, 9223372036854775807)
        """),
      // One more than a claim promotes.
      sql(
        "only jobs that were delayed until long before all time",
        """
        DELETE FROM qudo_delayed;
        INSERT INTO qudo_delayed SELECT -9223372036854775808, value, 1, 0, 9223372036854775807 FROM (
          WITH RECURSIVE n(value) AS (SELECT 1000 UNION ALL SELECT value + 1 FROM n WHERE value < 3500) SELECT value FROM n)
        """),
      sql(
        "only leases that ended long before all time",
        """
        INSERT INTO qudo_running SELECT 1, -9223372036854775808, value, value, 1, -5, 0, 0 FROM (
          WITH RECURSIVE n(value) AS (SELECT 1000 UNION ALL SELECT value + 1 FROM n WHERE value < 3500) SELECT value FROM n)
        """),
      sql(
        "the same lease twice",
        "INSERT INTO qudo_running SELECT instance, ends + 1, last, first, token, lost_limit, claimed_at, lease FROM qudo_running"
      ),
      sql("leases of instances that are not there", "UPDATE qudo_running SET instance = instance + 7"),
      sql("no instance is there", "DELETE FROM qudo_instance"),
      sql(
        "the same instance in each row",
        "UPDATE qudo_instance SET boot = '', locked = 0; UPDATE qudo_running SET lease = -1"),
      sql(
        "leases began in the far future",
        "UPDATE qudo_running SET ends = 9223372036854775807 - last, lease = 1"),
      sql("a generation of text", "UPDATE qudo_info SET value = 'x' WHERE key = 'generation'"),
      sql("no generation", "DELETE FROM qudo_info WHERE key = 'generation'"),
      sql("kinds that are not there", "DELETE FROM qudo_kind"),
      sql(
        "two live jobs with a unique key",
        """
        PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = replace(sql, 'UNIQUE ', '') WHERE name = 'qudo_job_unique';
        PRAGMA writable_schema = RESET;
        UPDATE qudo_job SET unique_key = 'k', unique_scope = 0;
        PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = replace(sql, 'CREATE INDEX', 'CREATE UNIQUE INDEX') WHERE name = 'qudo_job_unique';
        """),
      sql(
        "all times are text",
        "UPDATE qudo_delayed SET due = 'x' || id; UPDATE qudo_running SET ends = 'x' || last; UPDATE qudo_job SET due = 'x' || id"
      ),
      sql(
        "all times are fractions",
        "UPDATE qudo_delayed SET due = id + 0.5; UPDATE qudo_running SET ends = last + 0.5; UPDATE qudo_job SET due = id + 0.5"
      ),
      sql(
        "leases end in fractions, and all is ready",
        "UPDATE qudo_running SET ends = 0.5; UPDATE qudo_ready SET due = 0.5, rank = rank + 0.5"),
      sql(
        "attempts and lost leases are used up",
        "UPDATE qudo_job SET attempt = 9223372036854775807, lost = 9223372036854775807"),
      sql(
        "the lowest ranks",
        "UPDATE qudo_failure SET rank = -9223372036854775808, replayed_as = NULL, final = 1, payload = x'00'"),
      sql(
        "attempts are below nought",
        "UPDATE qudo_job SET attempt = -9223372036854775808, lost = -9223372036854775808"),
    ]
  }
}
