internal import Qudo

// An enqueue under an idempotency key leaves a receipt, which outlives the job. Jobs without a key have nothing to do
// with the table.
extension Transaction {
  /// How many receipts each enqueue under a key looks at, to delete those whose time is over: their share of all comes to
  /// one in as many.
  private static let look = 16

  func insertOnce(_ job: NewJob) throws(QudoError) -> InsertResult {
    guard let key = job.idempotencyKey else { return try insert(job) }
    let bytes = Value.blob(key.bytes)
    let there = try connection.integer(
      "SELECT job FROM qudo_receipt WHERE key = ? AND expires > ?", bytes, .integer(now.wall.microseconds))
    if let there { return .existing(there) }
    let result = try insert(job)
    // A conflict wrote nothing, and may come out otherwise the next time.
    if case .conflict = result { return result }
    try connection.run(
      "INSERT OR REPLACE INTO qudo_receipt(key, job, expires) VALUES(?, ?, ?)", bytes, .integer(result.id),
      .integer(now.wall.advanced(by: receiptLifetime).microseconds))
    try pruneReceipts()
    return result
  }

  /// The table has no index by time: a few rows from anywhere on are looked at. Where the keys lie close together, from the
  /// lowest, which is the oldest of keys that begin with the time.
  private func pruneReceipts() throws(QudoError) {
    if try pruneReceipts(from: IdempotencyKey().bytes) == 0 { _ = try pruneReceipts(from: []) }
  }

  /// - Returns: how many were looked at.
  private func pruneReceipts(from first: [UInt8]) throws(QudoError) -> Int {
    var count = 0
    var old: [[UInt8]] = []
    try connection.each(
      "SELECT key, expires FROM qudo_receipt WHERE key >= ? ORDER BY key LIMIT ?", .blob(first), .integer(Int64(Self.look))
    ) { row throws(QudoError) in
      count += 1
      if row.integer(1) <= now.wall.microseconds { old.append(row.blob(0)) }
    }
    for key in old { try connection.run("DELETE FROM qudo_receipt WHERE key = ?", .blob(key)) }
    return count
  }
}
