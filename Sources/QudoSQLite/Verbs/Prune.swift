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
  func prunable(_ options: PruneOptions) throws(QudoError) -> Prunable {
    Prunable(
      failures: try failureTable.prunable(options), statuses: try statusTable.prunable(options),
      receipts: try receiptTable.expired(limit: options.limit, now: now.wall))
  }
}

extension Transaction {
  /// - Returns: The number of deleted log rows, and whether any row was deleted.
  func delete(_ rows: Prunable) throws(QudoError) -> (logRows: Int, isAny: Bool) {
    let count = try failureTable.delete(rows.failures) + statusTable.delete(rows.statuses)
    var receipts = 0
    for key in rows.receipts where try receiptTable.deleteIfExpired(key, now: now.wall) { receipts += 1 }
    return (count, count + receipts > 0)
  }
}
