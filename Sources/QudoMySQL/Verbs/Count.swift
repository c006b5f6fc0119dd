#if MySQL
internal import Qudo

extension Transaction {
  /// Counts the jobs of each kind by state. A due delayed job, and a job whose lease has expired, count as
  /// ready: the next claim finds both.
  func count(_ wanted: [Kind]?) throws(QudoError) -> [JobCount] {
    let numbers = try numbers(of: wanted)
    guard numbers?.isEmpty != true else { return [] }
    let filter: SQL = numbers.map { "WHERE kind IN \(list: $0)" } ?? ""
    let rows = try look(
      """
      SELECT k.name, SUM(c.r), SUM(c.d), SUM(c.u), SUM(c.h), EXISTS(
        SELECT 1 FROM qudo_pause AS p
        WHERE p.kind IN (\(PausedKinds.everything), k.id) AND (p.ends IS NULL OR p.ends > @n)) FROM (
        SELECT kind, COUNT(*) AS r, 0 AS d, 0 AS u, 0 AS h FROM qudo_ready \(filter) GROUP BY kind
        UNION ALL SELECT kind, SUM(due <= @n), SUM(due > @n), 0, 0 FROM qudo_delayed \(filter) GROUP BY kind
        UNION ALL SELECT kind, SUM(ends <= @n), 0, SUM(ends > @n), 0 FROM qudo_running \(filter) GROUP BY kind
        UNION ALL SELECT kind, 0, 0, 0, COUNT(*) FROM qudo_held \(filter) GROUP BY kind) AS c
      JOIN qudo_kind AS k ON k.id = c.kind GROUP BY k.id, k.name
      """)
    let counts = rows.map { row in
      JobCount(
        Kind(row.text(0)), ready: Int(row.integer(1)), delayed: Int(row.integer(2)),
        running: Int(row.integer(3)), held: Int(row.integer(4)), isPaused: row.integer(5) != 0)
    }
    return counts.sorted { $0.kind < $1.kind }
  }
}
#endif
