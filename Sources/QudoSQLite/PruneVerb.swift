internal import Qudo

/// The rows that a prune deletes.
///
/// The logs have no index by time, because each insert would pay for it. The reader finds old rows without blocking
/// anyone, and the writer deletes them by id.
struct Prunable: Sendable {
  var failures: [Int64] = []
  var statuses: [Int64] = []
  /// The keys of expired receipts. Every prune deletes them too, and does not count them.
  var receipts: [[UInt8]] = []
  var isEmpty: Bool { failures.isEmpty && statuses.isEmpty && receipts.isEmpty }
}

extension Snapshot {
  func prunable(_ prune: PruneOptions) throws(QudoError) -> Prunable {
    Prunable(
      failures: try oldest("qudo_failure", ended: "failed_at", prune),
      statuses: try oldest("qudo_status", ended: "ended_at", prune),
      receipts: try oldReceipts(atMost: prune.limit))
  }

  private func oldReceipts(atMost limit: Int) throws(QudoError) -> [[UInt8]] {
    guard limit > 0 else { return [] }
    var keys: [[UInt8]] = []
    try connection.each(
      "SELECT key FROM qudo_receipt WHERE expires <= ? AND typeof(key) = 'blob' LIMIT ?",
      .integer(now.wall.microseconds), .integer(Int64(limit))
    ) { row throws(QudoError) in keys.append(row.blob(0)) }
    return keys
  }

  private func oldest(_ table: String, ended: String, _ prune: PruneOptions) throws(QudoError) -> [Int64] {
    let newest = try connection.integer(
      "SELECT id FROM \(table) ORDER BY id DESC LIMIT 1 OFFSET ?",
      values: [.integer(Int64(max(prune.keep, 0)))])
    guard let newest, prune.limit > 0 else { return [] }
    var ids: [Int64] = []
    let condition = prune.before == nil ? "" : "AND \(ended) < ?"
    let before = prune.before.map { [Value.integer($0.microseconds)] } ?? []
    try connection.each(
      "SELECT id FROM \(table) WHERE id <= ? \(condition) ORDER BY id LIMIT ?",
      values: [.integer(newest)] + before + [.integer(Int64(prune.limit))]
    ) { row throws(QudoError) in ids.append(row.integer(0)) }
    return ids
  }
}

extension Transaction {
  /// - Returns: The number of deleted log rows, and whether any row was deleted.
  func delete(_ rows: Prunable) throws(QudoError) -> (logRows: Int, isAny: Bool) {
    var count = 0
    var receipts = 0
    for (table, ids) in [("qudo_failure", rows.failures), ("qudo_status", rows.statuses)] {
      for id in ids {
        try connection.run("DELETE FROM \(table) WHERE id = ?", values: [.integer(id)])
        count += connection.changes
      }
    }
    // Check the expiry again: an enqueue may have renewed the receipt meanwhile.
    for key in rows.receipts {
      try connection.run(
        "DELETE FROM qudo_receipt WHERE key = ? AND expires <= ?", .blob(key), .integer(now.wall.microseconds)
      )
      receipts += connection.changes
    }
    return (count, count + receipts > 0)
  }
}
