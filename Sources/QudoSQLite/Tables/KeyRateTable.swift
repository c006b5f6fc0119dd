internal import Qudo

/// `qudo_key_rate`: the token buckets of the concurrency keys that have a rate, and of those that had one, until they are full. Usually empty.
///
/// A bucket outlives the jobs of its key, so that a key which gets new jobs has the tokens that are left. One that is full is like none.
struct KeyRateTable {
  let connection: Connection

  /// A key with a rate.
  struct Rated {
    let key: NumberedKey
    let rate: RateLimit
    let bucket: RateBucket
  }

  func hasAny() throws(QudoError) -> Bool {
    if let known = connection.cache.hasKeyRates { return known }
    let hasAny = try connection.integer("SELECT EXISTS(SELECT 1 FROM qudo_key_rate)") == 1
    connection.cache.hasKeyRates = hasAny
    return hasAny
  }

  /// Sets or removes the rate of a key. The bucket stays as it is; a key without one gets a full one.
  func setRate(_ rate: RateLimit?, of key: NumberedKey) throws(QudoError) {
    guard let rate else {
      return try connection.run(
        "UPDATE qudo_key_rate SET rate = NULL WHERE kind = ? AND key = ?", .integer(key.kind),
        .text(key.text)
      )
    }
    connection.cache.hasKeyRates = true
    try connection.run(
      """
      INSERT INTO qudo_key_rate(kind, key, rate, full_at, written_at, spacing, throttled_until) VALUES(?, ?, ?, 0, 0, 0, 0)
      ON CONFLICT(kind, key) DO UPDATE SET rate = excluded.rate
      """, .integer(key.kind), .text(key.text), .text(rate.text))
  }

  /// Returns the concurrency key of a job, if it has a rate.
  func rated(_ job: Int64) throws(QudoError) -> Rated? {
    var found: Rated?
    try connection.each(
      """
      SELECT r.kind, r.key, r.rate, r.full_at, r.written_at, r.spacing, r.throttled_until
      FROM qudo_job AS j CROSS JOIN qudo_key_rate AS r ON r.kind = j.kind AND r.key = j.concurrency_key
      WHERE j.id = ? AND r.rate IS NOT NULL
      """, .integer(job)
    ) { row throws(QudoError) in
      guard let rate = try row.rate(2) else { return }
      found = Rated(
        key: NumberedKey(kind: row.integer(0), text: row.text(1)), rate: rate, bucket: row.bucket(3))
    }
    return found
  }

  /// Returns the bucket of a key; nil if it has none.
  func bucket(of key: NumberedKey) throws(QudoError) -> RateBucket? {
    var bucket: RateBucket?
    try connection.each(
      "SELECT full_at, written_at, spacing, throttled_until FROM qudo_key_rate WHERE kind = ? AND key = ?",
      .integer(key.kind), .text(key.text)
    ) { row throws(QudoError) in bucket = row.bucket(0) }
    return bucket
  }

  /// Stores the bucket of a key that has one.
  func set(_ bucket: RateBucket, of key: NumberedKey) throws(QudoError) {
    try connection.run(
      "UPDATE qudo_key_rate SET full_at = ?, written_at = ?, spacing = ?, throttled_until = ? WHERE kind = ? AND key = ?",
      .integer(bucket.fullAt), .integer(bucket.writtenAt), .integer(bucket.spacing),
      .integer(bucket.throttledUntil), .integer(key.kind), .text(key.text))
  }

  /// Gives back the token of a job, if its key has a bucket: see ``RateBucket/giveBack(_:)``.
  func giveBack(_ job: Int64) throws(QudoError) {
    // Values that Qudo did not write may not fit.
    try connection.run(
      """
      UPDATE qudo_key_rate SET full_at = full_at - spacing
      WHERE (kind, key) = (SELECT kind, concurrency_key FROM qudo_job WHERE id = ?) AND throttled_until <= written_at
        AND full_at >= 0 AND spacing >= 0
      """, .integer(job))
  }

  /// Returns the keys whose rate is malformed, or is not that of `qudo_key`, which comes with it: nil for none, or if it is malformed
  /// there. It reads all keys with a rate.
  func wrong() throws(QudoError) -> [NumberedKey: RateLimit?] {
    var wrong: [NumberedKey: RateLimit?] = [:]
    try connection.each(
      """
      SELECT k.kind, k.key, k.rate, r.rate IS k.rate FROM qudo_key AS k LEFT JOIN qudo_key_rate AS r ON r.kind = k.kind AND r.key = k.key
      WHERE k.rate IS NOT NULL
      UNION ALL
      SELECT r.kind, r.key, NULL, 0 FROM qudo_key_rate AS r LEFT JOIN qudo_key AS k ON k.kind = r.kind AND k.key = r.key
      WHERE r.rate IS NOT NULL AND k.rate IS NULL
      """
    ) { row throws(QudoError) in
      let rate = row.isNull(2) ? nil : try? RateLimit(text: row.text(2))
      guard rate == nil || row.integer(3) == 0 else { return }
      wrong[NumberedKey(kind: row.integer(0), text: row.text(1))] = .some(rate)
    }
    return wrong
  }

  /// Deletes up to `most` full buckets of keys that have no rate any more.
  func deleteFull(_ now: Timestamp, atMost most: Int) throws(QudoError) {
    try connection.run(
      """
      DELETE FROM qudo_key_rate WHERE (kind, key) IN (
        SELECT kind, key FROM qudo_key_rate WHERE rate IS NULL AND full_at <= ? ORDER BY full_at LIMIT ?)
      """, .integer(now.microseconds), .integer(Int64(most)))
    // There may be none left: then the next claims need not look.
    if connection.changes > 0 { connection.cache.hasKeyRates = nil }
  }
}

extension Statement {
  /// Returns the bucket in four columns, from `full_at` on.
  fileprivate func bucket(_ column: Int32) -> RateBucket {
    RateBucket(
      fullAt: integer(column), writtenAt: integer(column + 1), spacing: integer(column + 2),
      throttledUntil: integer(column + 3))
  }
}
