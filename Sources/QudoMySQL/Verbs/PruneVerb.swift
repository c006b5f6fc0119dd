#if MySQL
internal import Qudo
internal import QudoSQLSupport

/// The sizes of a database's logs, which all connections of a driver share.
struct LogSizes {
  var failures = LogSize()
  var statuses = LogSize()
}

/// The logs have no index by time, because every row would pay for it. The driver walks them from the oldest row to
/// the first one that stays, without locks, and deletes those rows by id.
extension Transaction {
  /// - Parameter sizes: Changed if the call succeeds.
  /// - Returns: The number of rows deleted; nil if nothing is left to delete.
  func prune(_ options: PruneOptions, _ sizes: Locked<LogSizes>) throws(QudoError) -> Int? {
    guard options.limit > 0 else { return nil }
    if let done = try wasCommitted() { return done.pruned }
    var known = sizes.withLock { $0 }
    let failures = try prunable("qudo_failure", "failed_at", options, &known.failures)
    let statuses = try prunable("qudo_status", "ended_at", options, &known.statuses)
    sizes.withLock { [known] in $0 = known }
    guard !failures.isEmpty || !statuses.isEmpty else { return nil }
    var count = 0
    receipt.pruned = failures.count + statuses.count
    for (table, ids) in [("qudo_failure", failures), ("qudo_status", statuses)] as [(SQL, [Int64])] {
      for part in ids.parts() {
        write("DELETE FROM \(table) WHERE id IN \(list: part)") { count += $0.affected }
      }
    }
    try commit()
    return count
  }

  /// Returns the ids of the oldest rows that may be deleted.
  private func prunable(_ table: SQL, _ time: SQL, _ options: PruneOptions, _ size: inout LogSize)
    throws(QudoError) -> [Int64]
  {
    let ends = try look(
      """
      (SELECT id, \(time), @n FROM \(table) ORDER BY id LIMIT 1) UNION ALL
      (SELECT id, \(time), @n FROM \(table) ORDER BY id DESC LIMIT 1)
      """
    ).map { (id: $0.integer(0), time: $0.integer(1), now: $0.integer(2)) }
    guard let oldest = ends.min(by: { $0.id < $1.id }), let newest = ends.map(\.id).max() else { return [] }
    let end = options.end(at: Timestamp(microseconds: oldest.now))?.microseconds ?? .max
    guard oldest.time < end,
      let surplus = try size.surplus(
        beyond: options.keep, oldest: oldest.id, newest: newest,
        in: TableRows(transaction: self, table: table))
    else { return [] }
    let page = try look(
      "SELECT id, \(time) FROM \(table) WHERE id <= \(surplus) ORDER BY id LIMIT \(options.limit)"
    ).map { (id: $0.integer(0), time: $0.integer(1)) }
    return page.prefix { $0.time < end }.map(\.id)
  }

  /// Deletes up to 1,000 expired idempotency keys, and as many ended rests of unique keys and full buckets of concurrency keys.
  ///
  /// - Returns: Whether there were any.
  func pruneExpiredReceipts() throws(QudoError) -> Bool {
    // A locking read would wait for others, or make them wait, though there is nothing to do.
    let rows = try look(
      """
      SELECT EXISTS(SELECT 1 FROM qudo_receipt WHERE expires <= @n) OR EXISTS(SELECT 1 FROM qudo_rest WHERE ends <= @n)
        OR \(KeyRateRows.areAnyFull)
      """)
    guard rows.next()?.integer(0) == 1 else { return false }
    try pruneReceipts(atMost: 1000)
    return true
  }
}

private struct TableRows: LogRows {
  let transaction: Transaction
  let table: SQL

  func all() throws(QudoError) -> (count: Int, oldest: Int64, newest: Int64) {
    // The three of one statement are of one moment.
    let rows = try transaction.look(
      "SELECT COUNT(*), COALESCE(MIN(id), 0), COALESCE(MAX(id), 0) FROM \(table)")
    guard let row = rows.next() else {
      throw QudoError(.database, "the server did not count the rows of a log: try again")
    }
    return (Int(row.integer(0)), row.integer(1), row.integer(2))
  }

  func count(_ ids: ClosedRange<Int64>) throws(QudoError) -> Int {
    let rows = try transaction.look(
      "SELECT COUNT(*) FROM \(table) WHERE id >= \(ids.lowerBound) AND id <= \(ids.upperBound)")
    return Int(rows.next()?.integer(0) ?? 0)
  }

  func id(_ offset: Int, from first: Int64) throws(QudoError) -> Int64? {
    // Both of one statement are of one moment.
    let row = try transaction.look(
      """
      SELECT id, EXISTS(SELECT 1 FROM \(table) WHERE id = \(first)) FROM \(table) WHERE id >= \(first)
      ORDER BY id LIMIT 1 OFFSET \(offset)
      """
    ).next()
    return row.flatMap { $0.integer(1) == 1 ? $0.integer(0) : nil }
  }
}
#endif
