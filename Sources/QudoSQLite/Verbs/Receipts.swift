internal import Qudo

// An enqueue with an idempotency key writes a receipt, which outlives the job. Jobs without a key never touch the table.
extension Transaction {
  /// The number of receipts that each enqueue with a key checks, to delete expired ones.
  private static let pageSize = 16

  func insertOnce(_ job: NewJob) throws(QudoError) -> InsertResult {
    guard let key = job.idempotencyKey else { return try insert(job) }
    if let there = try receiptTable.job(for: key, now: now.wall) {
      effects.tellsOfOthers = true
      return .existing(there)
    }
    let result = try insert(job)
    // A conflict wrote nothing, and a repeated call may succeed.
    if case .conflict = result { return result }
    try receiptTable.insert(key, job: result.id, expires: now.wall.advanced(by: receiptLifetime))
    try pruneReceipts()
    return result
  }

  /// Deletes some expired receipts.
  ///
  /// The table has no index by time. Instead, each call checks the 16 receipts after the last one checked, and starts
  /// over at the end of the table. One pass over a table of n receipts takes n/16 enqueues with a key, so expired
  /// receipts stay a small share of the table.
  private func pruneReceipts() throws(QudoError) {
    // The stored cursor lets a process that enqueues once continue where the last process stopped.
    let known = connection.receiptCursor
    let cursor = if let known { known } else { try infoTable.receiptCursor() }
    let next = try receiptTable.deleteExpired(from: cursor, Self.pageSize, now: now.wall)
    connection.receiptCursor = next
    if known == nil { try infoTable.setReceiptCursor(next) }
  }

  /// The interval at which an idle worker checks receipts, in microseconds.
  private static let idleInterval: Int64 = 60_000_000
  /// The number of receipts that an idle worker checks.
  private static let idleLook = 256

  /// Deletes some expired receipts, ended rests and full buckets of concurrency keys, after a claim that found nothing: receipts expire even if no enqueue through a
  /// driver has a key.
  ///
  /// It waits for ``idleInterval``, because each deletion wakes the other idle workers.
  func pruneReceiptsWhileIdle() throws(QudoError) {
    guard mayPruneReceipts else { return }
    connection.receiptsSeen = now.sinceBoot
    try pruneRestsWhileIdle()
    try pruneKeyRatesWhileIdle()
    connection.receiptCursor = try receiptTable.deleteExpired(
      from: connection.receiptCursor ?? IdempotencyKey().bytes, Self.idleLook, now: now.wall)
  }

  /// Whether an idle worker's next check is due.
  var mayPruneReceipts: Bool {
    guard let last = connection.receiptsSeen, now.sinceBoot >= last else { return true }
    return now.sinceBoot - last >= Self.idleInterval
  }
}
