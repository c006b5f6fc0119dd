#if MySQL
internal import Qudo
internal import QudoMySQL

/// A deep backlog in a server's database, made by SQL on the server: what it has is what the driver would have written.
struct ServerBacklog {
  var ready = 0
  var delayed = 0
  /// How many were ready, ran and went; their leases would be over by now.
  var gone = 0
  /// How many kinds the ready jobs are of.
  var kinds = 1

  var names: [Kind] { kinds == 1 ? ["bench"] : (0..<kinds).map { Kind("bench.\($0)") } }

  /// In microseconds, by the server's clock.
  private static let now = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(6))"

  /// How many rows a statement writes: it must be done before the read time-out.
  private static let part = 50_000

  func make(_ server: DatabaseServer, _ driver: MySQLDriver) async throws {
    // So that the names of the kinds have their numbers. None of these jobs stays.
    _ = try await driver.insert(names.map { NewJob($0) })
    let claimed = try await driver.claim(
      ClaimRequest(names.map { ClaimRequest.KindDemand($0) }, limit: kinds)
    ).jobs
    _ = try await driver.settle(claimed.map { Settlement($0.lease, .completed()) }, claiming: nil)
    let raw = try RawServer(server)
    // Due long ago and in the year 9999, in microseconds.
    try insert(raw, gone, due: "1000000 + n") { ids in
      """
      INSERT INTO qudo_ready SELECT kind, ranking, due, id, 0 FROM qudo_job WHERE \(ids);\
      INSERT INTO qudo_running SELECT id, \(Self.now) - id, 1, kind, ranking, due, 10 FROM qudo_job WHERE \(ids);\
      DELETE FROM qudo_ready WHERE \(ids);DELETE FROM qudo_running WHERE \(ids);DELETE FROM qudo_job WHERE \(ids)
      """
    }
    try insert(raw, ready, due: "2000000 + n") { ids in
      "INSERT INTO qudo_ready SELECT kind, ranking, due, id, 0 FROM qudo_job WHERE \(ids)"
    }
    try insert(raw, delayed, due: "\(Timestamp.latest.microseconds - 1_000_000_000) + n") { ids in
      "INSERT INTO qudo_delayed SELECT due, id, kind, ranking, 0 FROM qudo_job WHERE \(ids)"
    }
    // The server counts rows anew some seconds after a table has grown; until then it takes a scan for cheaper than the index.
    try raw.run("ANALYZE TABLE qudo_job, qudo_ready, qudo_delayed, qudo_running, qudo_kind")
  }

  private func insert(_ raw: RawServer, _ count: Int, due: String, _ more: (String) -> String) throws {
    let kind = kinds == 1 ? "'bench'" : "CONCAT('bench.', n % \(kinds))"
    for first in stride(from: 0, to: count, by: Self.part) {
      let size = min(Self.part, count - first)
      let start = try nextID(raw)
      try raw.run(
        """
        INSERT INTO qudo_job(id, kind, ranking, due, enqueued, attempt, lost, state, codec, payload)
        SELECT \(start) + n, k.id, 0, \(due) + \(first), 0, 1, 0, 0, 0, REPEAT('A', 100)
        FROM \(Self.numbers(size)) STRAIGHT_JOIN qudo_kind AS k ON k.name = \(kind);
        """ + more("id BETWEEN \(start + 1) AND \(start + Int64(size))"))
    }
  }

  /// Above all that there are, and above those that were: AUTO_INCREMENT remembers.
  private func nextID(_ raw: RawServer) throws -> Int64 {
    try raw.run(
      """
      INSERT INTO qudo_job(kind, ranking, due, enqueued, attempt, lost, state, codec, payload) VALUES(1, 0, 0, 0, 1, 0, 0, 0, '')
      """)
    let id = try raw.numbers("SELECT LAST_INSERT_ID()").first ?? 0
    try raw.run("DELETE FROM qudo_job WHERE id = \(id)")
    return id
  }

  /// A table of the numbers from 1 to `count`, which is at most 100,000.
  static func numbers(_ count: Int) -> String {
    let digits = "(SELECT 0 AS d" + (1...9).map { " UNION ALL SELECT \($0)" }.joined() + ")"
    return """
      (SELECT 1 + a.d + 10 * b.d + 100 * c.d + 1000 * d.d + 10000 * e.d AS n FROM \(digits) AS e STRAIGHT_JOIN \(digits) AS d \
      STRAIGHT_JOIN \(digits) AS c STRAIGHT_JOIN \(digits) AS b STRAIGHT_JOIN \(digits) AS a \
      HAVING n <= \(count)) AS numbers
      """
  }
}

extension MariaDBFloor {
  /// Many at once, by SQL on the server.
  func fill(_ count: Int) throws {
    for first in stride(from: 0, to: count, by: 50_000) {
      let size = min(50_000, count - first)
      try server.run(
        "INSERT INTO qudobench_job SELECT \(first) + n, REPEAT('A', 100) FROM \(ServerBacklog.numbers(size))")
      try server.run(
        "INSERT INTO qudobench_ready SELECT 1, 0, 0, id FROM qudobench_job WHERE id BETWEEN \(first + 1) AND \(first + size)"
      )
    }
    try server.run("ANALYZE TABLE qudobench_job, qudobench_ready")
  }
}
#endif
