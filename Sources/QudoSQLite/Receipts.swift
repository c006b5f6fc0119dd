internal import Qudo

// An enqueue with an idempotency key writes a receipt, which outlives the job. Jobs without a key never touch the table.
extension Transaction {
  /// The number of receipts that each enqueue with a key checks, to delete expired ones.
  private static let pageSize = 16

  func insertOnce(_ job: NewJob) throws(QudoError) -> InsertResult {
    guard let key = job.idempotencyKey else { return try insert(job) }
    let bytes = Value.blob(key.bytes)
    let there = try connection.integer(
      "SELECT job FROM qudo_receipt WHERE key = ? AND expires > ?", bytes, .integer(now.wall.microseconds))
    if let there {
      effects.tellsOfOthers = true
      return .existing(there)
    }
    let result = try insert(job)
    // A conflict wrote nothing, and a repeated call may succeed.
    if case .conflict = result { return result }
    try connection.run(
      "INSERT OR REPLACE INTO qudo_receipt(key, job, expires) VALUES(?, ?, ?)", bytes, .integer(result.id),
      .integer(now.wall.advanced(by: receiptLifetime).microseconds))
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
    let cursor = if let known { known } else { try storedCursor() }
    let next = try pruneReceipts(from: cursor, Self.pageSize)
    connection.receiptCursor = next
    guard known == nil else { return }
    try connection.run(
      "INSERT OR REPLACE INTO qudo_info(key, value) VALUES('receipt_cursor', ?)", .blob(next))
  }

  private func storedCursor() throws(QudoError) -> [UInt8] {
    var cursor: [UInt8] = []
    try connection.each("SELECT value FROM qudo_info WHERE key = 'receipt_cursor'") { row throws(QudoError) in
      cursor = row.blob(0)
    }
    return cursor
  }

  /// The interval at which an idle worker checks receipts, in microseconds.
  private static let idleInterval: Int64 = 60_000_000
  /// The number of receipts that an idle worker checks.
  private static let idleLook = 256

  /// Deletes some expired receipts after a claim that found nothing: receipts expire even if no enqueue through a
  /// driver has a key.
  ///
  /// It waits for ``idleInterval``, because each deletion wakes the other idle workers.
  func pruneReceiptsWhileIdle() throws(QudoError) {
    guard mayPruneReceipts else { return }
    connection.receiptsSeen = now.sinceBoot
    connection.receiptCursor = try pruneReceipts(
      from: connection.receiptCursor ?? IdempotencyKey().bytes, Self.idleLook)
  }

  /// Whether an idle worker's next check is due.
  var mayPruneReceipts: Bool {
    guard let last = connection.receiptsSeen, now.sinceBoot >= last else { return true }
    return now.sinceBoot - last >= Self.idleInterval
  }

  /// Checks up to `most` receipts from `first` on, and deletes the expired ones.
  ///
  /// - Returns: The key at which the next check begins.
  private func pruneReceipts(from first: [UInt8], _ most: Int) throws(QudoError) -> [UInt8] {
    var count = 0
    var last: [UInt8] = []
    var old: [[UInt8]] = []
    try connection.each(
      "SELECT key, expires FROM qudo_receipt WHERE key >= ? ORDER BY key LIMIT ?", .blob(first),
      .integer(Int64(most))
    ) { row throws(QudoError) in
      count += 1
      last = row.blob(0)
      if row.integer(1) <= now.wall.microseconds { old.append(last) }
    }
    for key in old { try connection.run("DELETE FROM qudo_receipt WHERE key = ?", .blob(key)) }
    // `last + [0]` is the smallest key after `last`.
    return count < most ? [] : last + [0]
  }
}
