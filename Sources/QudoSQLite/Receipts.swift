internal import Qudo

// An enqueue under an idempotency key leaves a receipt, which outlives the job. Jobs without a key have nothing to do
// with the table.
extension Transaction {
  /// How many receipts each enqueue under a key looks at, to delete those whose time is over.
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
    // A conflict wrote nothing, and may come out otherwise the next time.
    if case .conflict = result { return result }
    try connection.run(
      "INSERT OR REPLACE INTO qudo_receipt(key, job, expires) VALUES(?, ?, ?)", bytes, .integer(result.id),
      .integer(now.wall.advanced(by: receiptLifetime).microseconds))
    try pruneReceipts()
    return result
  }

  /// The table has no index by time: a few rows are looked at, from where the last look ended on, and from the first row again after the
  /// last. So each row is looked at once while as many keys come as there are sixteenths of the table, however the keys lie: what is
  /// too old never comes to more than a share of what is not.
  private func pruneReceipts() throws(QudoError) {
    // A process that enqueues once and ends goes on where the one before it ended.
    let known = connection.receiptCursor
    let cursor = if let known { known } else { try storedCursor() }
    let next = try pruneReceipts(from: cursor, Self.pageSize)
    connection.receiptCursor = next
    guard known == nil else { return }
    try connection.run("INSERT OR REPLACE INTO qudo_info(key, value) VALUES('receipt_cursor', ?)", .blob(next))
  }

  private func storedCursor() throws(QudoError) -> [UInt8] {
    var cursor: [UInt8] = []
    try connection.each("SELECT value FROM qudo_info WHERE key = 'receipt_cursor'") { row throws(QudoError) in cursor = row.blob(0) }
    return cursor
  }

  /// How often an idle worker looks at receipts, in microseconds, and at how many.
  private static let idleInterval: Int64 = 60_000_000
  private static let idleLook = 256

  /// Of a claim that found nothing: receipts also get too old where no more keyed enqueues come, or come by statements only.
  ///
  /// Not each time, since what is deleted wakes the other idle workers.
  func pruneReceiptsWhileIdle() throws(QudoError) {
    guard mayPruneReceipts else { return }
    connection.receiptsSeen = now.sinceBoot
    connection.receiptCursor = try pruneReceipts(from: connection.receiptCursor ?? IdempotencyKey().bytes, Self.idleLook)
  }

  /// Whether it is time for an idle worker's next look.
  var mayPruneReceipts: Bool {
    guard let last = connection.receiptsSeen, now.sinceBoot >= last else { return true }
    return now.sinceBoot - last >= Self.idleInterval
  }

  /// - Returns: where the next look begins.
  private func pruneReceipts(from first: [UInt8], _ most: Int) throws(QudoError) -> [UInt8] {
    var count = 0
    var last: [UInt8] = []
    var old: [[UInt8]] = []
    try connection.each(
      "SELECT key, expires FROM qudo_receipt WHERE key >= ? ORDER BY key LIMIT ?", .blob(first), .integer(Int64(most))
    ) { row throws(QudoError) in
      count += 1
      last = row.blob(0)
      if row.integer(1) <= now.wall.microseconds { old.append(last) }
    }
    for key in old { try connection.run("DELETE FROM qudo_receipt WHERE key = ?", .blob(key)) }
    // The first one after the last.
    return count < most ? [] : last + [0]
  }
}
