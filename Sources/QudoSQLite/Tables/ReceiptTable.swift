internal import Qudo

/// `qudo_receipt`: the idempotency keys, which outlive their jobs. Jobs without a key never touch it.
struct ReceiptTable {
  let connection: Connection

  /// Returns the job that was enqueued under a key that has not expired.
  func job(for key: IdempotencyKey, now: Timestamp) throws(QudoError) -> Int64? {
    try connection.integer(
      "SELECT job FROM qudo_receipt WHERE key = ? AND expires > ?", .blob(key.bytes),
      .integer(now.microseconds))
  }

  func insert(_ key: IdempotencyKey, job: Int64, expires: Timestamp) throws(QudoError) {
    try connection.run(
      "INSERT OR REPLACE INTO qudo_receipt(key, job, expires) VALUES(?, ?, ?)", .blob(key.bytes),
      .integer(job), .integer(expires.microseconds))
  }

  /// Checks up to `most` receipts from `first` on, and deletes the expired ones.
  ///
  /// - Returns: The key at which the next check begins.
  func deleteExpired(from first: [UInt8], _ most: Int, now: Timestamp) throws(QudoError) -> [UInt8] {
    var count = 0
    var last: [UInt8] = []
    var old: [[UInt8]] = []
    try connection.each(
      "SELECT key, expires FROM qudo_receipt WHERE key >= ? ORDER BY key LIMIT ?", .blob(first),
      .integer(Int64(most))
    ) { row throws(QudoError) in
      count += 1
      last = row.blob(0)
      if row.integer(1) <= now.microseconds { old.append(last) }
    }
    for key in old { try connection.run("DELETE FROM qudo_receipt WHERE key = ?", .blob(key)) }
    // `last + [0]` is the smallest key after `last`.
    return count < most ? [] : last + [0]
  }

  /// Returns the expired ones of up to `most` receipts from `first` on, and the key at which the next look begins.
  func expired(from first: [UInt8], _ most: Int, now: Timestamp) throws(QudoError) -> (
    expired: [[UInt8]], next: [UInt8]
  ) {
    var count = 0
    var last: [UInt8] = []
    var expired: [[UInt8]] = []
    try connection.each(
      "SELECT key, expires <= ? FROM qudo_receipt WHERE key >= ? ORDER BY key LIMIT ?",
      .integer(now.microseconds), .blob(first), .integer(Int64(most))
    ) { row throws(QudoError) in
      count += 1
      last = row.blob(0)
      if row.integer(1) != 0 { expired.append(last) }
    }
    return (expired, count < most ? [] : last + [0])
  }

  /// Deletes a receipt if it has expired: an enqueue may have renewed it meanwhile.
  ///
  /// - Returns: Whether it was deleted.
  func deleteIfExpired(_ key: [UInt8], now: Timestamp) throws(QudoError) -> Bool {
    try connection.run(
      "DELETE FROM qudo_receipt WHERE key = ? AND expires <= ?", .blob(key), .integer(now.microseconds))
    return connection.changes > 0
  }
}
