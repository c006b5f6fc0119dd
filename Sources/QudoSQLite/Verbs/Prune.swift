internal import Qudo

/// The rows that a prune deletes.
///
/// The logs have no index by time, because each insert would pay for it. The reader walks them from the oldest row to the
/// first one that stays without blocking anyone, and the writer deletes that range of ids.
struct Prunable: Sendable {
  var failures: ClosedRange<Int64>?
  var statuses: ClosedRange<Int64>?
  /// The keys of expired receipts, if the logs have nothing to prune. They do not count.
  var receipts: [[UInt8]] = []
  var isEmpty: Bool { failures == nil && statuses == nil && receipts.isEmpty }
}

extension Snapshot {
  /// The number of receipts that one look reads, and the maximum number of such looks in one call.
  static let receiptPage = 1000
  static let mostReceiptPages = 10

  func prunable(_ options: PruneOptions) throws(QudoError) -> Prunable {
    var rows = Prunable(
      failures: try failureTable.prunable(options, now: now.wall),
      statuses: try statusTable.prunable(options, now: now.wall))
    guard rows.isEmpty, options.limit > 0 else { return rows }
    // The receipts have no index by time either: each look continues where the last one ended.
    let page = try receiptTable.expired(
      from: connection.receiptCursor ?? [], Self.receiptPage, now: now.wall)
    connection.receiptCursor = page.next
    rows.receipts = page.expired
    return rows
  }
}

extension Transaction {
  /// - Returns: The number of deleted log rows, and whether any row was deleted.
  func delete(_ rows: Prunable) throws(QudoError) -> (logRows: Int, isAny: Bool) {
    var count = 0
    if let ids = rows.failures { count += try failureTable.delete(ids) }
    if let ids = rows.statuses { count += try statusTable.delete(ids) }
    var receipts = 0
    for key in rows.receipts where try receiptTable.deleteIfExpired(key, now: now.wall) { receipts += 1 }
    return (count, count + receipts > 0)
  }
}
