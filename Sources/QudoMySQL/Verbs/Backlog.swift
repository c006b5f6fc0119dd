#if MySQL
internal import Qudo

extension Transaction {
  /// Returns how long jobs have been ready, without reading all of them: the server skips from priority to priority.
  func backlog(_ wanted: [Kind]?, countingUpTo most: Int) throws(QudoError) -> Backlog {
    let numbers = try numbers(of: wanted)
    guard numbers?.isEmpty != true else { return Backlog() }
    let isWanted = numbers.map(Set.init)
    var unpaused: [Int64] = []
    // For all kinds: with some of them, the server would read all of their jobs instead of skipping.
    let rows = try look(
      """
      SELECT k.id, k.name, @n - MIN(c.since), EXISTS(
        SELECT 1 FROM qudo_pause AS p
        WHERE p.kind IN (\(PausedKinds.everything), k.id) AND (p.ends IS NULL OR p.ends > @n)) FROM (
        SELECT kind, MIN(due) AS since FROM qudo_ready GROUP BY kind, ranking
        UNION ALL SELECT kind, due FROM (
          SELECT kind, due FROM qudo_delayed WHERE due <= @n ORDER BY due, id LIMIT \(Self.mostDue)) AS d
        UNION ALL SELECT kind, ends FROM qudo_running WHERE ends <= @n) AS c
      JOIN qudo_kind AS k ON k.id = c.kind GROUP BY k.id, k.name
      """
    )
    var oldest: [Backlog.Oldest] = []
    try rows.forEach { row throws(QudoError) in
      guard isWanted?.contains(row.integer(0)) != false else { return }
      let isPaused = row.integer(3) != 0
      if !isPaused { unpaused.append(row.integer(0)) }
      oldest.append(
        Backlog.Oldest(
          kind: Kind(row.text(1)), age: .microseconds(max(row.integer(2), 0)), isPaused: isPaused))
    }
    return Backlog(
      oldest: oldest.sorted { $0.kind < $1.kind }, ready: try ready(unpaused.sorted(), atMost: most))
  }

  /// The number of delayed jobs that are due, and that no claim has promoted, at which a look stops.
  private static let mostDue = 100_000
  private static let kindsAtOnce = 100

  private func ready(_ kinds: [Int64], atMost most: Int) throws(QudoError) -> Int {
    guard most > 0, !kinds.isEmpty else { return 0 }
    var count =
      try look(
        """
        SELECT COUNT(*) FROM (
          (SELECT 1 FROM qudo_delayed WHERE due <= @n AND kind IN \(list: kinds) LIMIT \(most)) UNION ALL
          (SELECT 1 FROM qudo_running WHERE ends <= @n AND kind IN \(list: kinds) LIMIT \(most))) AS some
        """
      ).next()?.integer(0) ?? 0
    for start in stride(from: 0, to: kinds.count, by: Self.kindsAtOnce) where count < most {
      // With a list of kinds, the server may read the jobs of all others, too.
      let parts = kinds[start..<min(start + Self.kindsAtOnce, kinds.count)].map { kind -> SQL in
        "(SELECT 1 FROM qudo_ready WHERE kind = \(kind) LIMIT \(most))"
      }
      count +=
        try look("SELECT COUNT(*) FROM (\(parts.joined(" UNION ALL "))) AS some").next()?.integer(0) ?? 0
    }
    return Int(min(count, Int64(most)))
  }

  /// Returns the sizes of the logs, by the indexes that have the kind.
  func sizes() throws(QudoError) -> DatabaseSizes {
    DatabaseSizes(failures: try rows(of: "qudo_failure"), statuses: try rows(of: "qudo_status"))
  }

  /// Returns the numbers of rows of the logs, up to `most` each.
  func logRows(countingUpTo most: Int) throws(QudoError) -> LogRowCounts {
    LogRowCounts(
      failures: try count("qudo_failure", atMost: most), statuses: try count("qudo_status", atMost: most))
  }

  private func count(_ log: SQL, atMost most: Int) throws(QudoError) -> Int {
    Int(
      try look("SELECT COUNT(*) FROM (SELECT 1 FROM \(log) LIMIT \(max(most, 0))) AS some").next()?.integer(0)
        ?? 0)
  }

  private func rows(of log: SQL) throws(QudoError) -> [Kind: Int] {
    var counts: [Kind: Int] = [:]
    try look(
      """
      SELECT k.name, c.rows_of_kind FROM (SELECT kind, COUNT(*) AS rows_of_kind FROM \(log) GROUP BY kind) AS c
      JOIN qudo_kind AS k ON k.id = c.kind
      """
    ).forEach { row throws(QudoError) in counts[Kind(row.text(0))] = Int(row.integer(1)) }
    return counts
  }
}
#endif
