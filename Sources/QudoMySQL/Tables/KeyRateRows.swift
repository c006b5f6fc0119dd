#if MySQL
internal import Qudo

/// `qudo_key_rate`: the token buckets of the concurrency keys that have a rate, and of those that had one, until they are full. Usually
/// empty.
///
/// A bucket outlives the jobs of its key, so that a key which gets new jobs has the tokens that are left. One that is full is like none.
/// The rate stands in `qudo_key`, too; a transaction that changes it has locked the key there.
///
/// A claim does not lock keys in `qudo_key`. It locks the buckets of the jobs that it is about to take, and skips those that others have
/// locked: it has locked jobs, and would deadlock. All transactions lock jobs in the tables of states before keys, and keys before buckets.
enum KeyRateRows {
  /// The condition under which no key has a rate; NULL if the server was told to stop while it looked. Use it in statements that read
  /// without locks only: an entry of the index moves whenever its bucket is written, see ``CommitToken/write(at:if:)``.
  static let noneHasOne: SQL = "(\(highest)) = ''"

  /// Returns the highest of the texts of rates; nothing if no key has one. The server reads one end of an index.
  static let highest: SQL = "SELECT COALESCE(MAX(rate), '') FROM qudo_key_rate"

  /// Returns queries for the concurrency keys of jobs whose rows in the tables of states are locked: the job, its key, and whether that
  /// has a rate.
  ///
  /// - Parameter jobs: In ascending order.
  static func look(upKeysOf jobs: [Int64]) -> [SQL] {
    jobs.parts().map { part in
      """
      SELECT j.id, j.kind, j.concurrency_key, r.rate IS NOT NULL FROM qudo_job AS j
      LEFT JOIN qudo_key_rate AS r ON r.kind = j.kind AND r.name = j.concurrency_key WHERE j.id IN \(list: part)
      """
    }
  }

  /// Returns queries that lock buckets. A server that was told to stop one may return, and lock, too few.
  ///
  /// - Parameters:
  ///   - keys: In ascending order.
  ///   - skips: Whether it skips buckets that other sessions have locked.
  static func lock(_ keys: [NumberedKey], skips: Bool) -> [SQL] {
    keys.parts().map { part in
      """
      SELECT kind, name, rate, full_at, written_at, spacing, throttled_until FROM qudo_key_rate FORCE INDEX(PRIMARY)
      WHERE \(KeyRows.condition(part)) ORDER BY kind, name FOR UPDATE\(skips ? " SKIP LOCKED" : "" as SQL)
      """
    }
  }

  /// Returns the query for full buckets of keys that have no rate any more. It skips those that other sessions have locked.
  static func full(atMost count: Int) -> SQL {
    """
    SELECT kind, name FROM qudo_key_rate WHERE rate IS NULL AND full_at <= @n ORDER BY full_at LIMIT \(count)
    FOR UPDATE SKIP LOCKED
    """
  }

  /// Whether there are any: a column.
  static let areAnyFull: SQL = "EXISTS(SELECT 1 FROM qudo_key_rate WHERE rate IS NULL AND full_at <= @n)"
}

/// The bucket of a concurrency key, which is locked.
struct KeyBucket {
  /// Nil for a key that has no rate any more.
  let rate: RateLimit?
  var bucket: RateBucket

  /// - Parameter row: A row of ``KeyRateRows/lock(_:)``.
  init(_ row: Row) throws(QudoError) {
    rate = if let text = row.textIfAny(2) { try RateLimit(text: text) } else { nil }
    bucket = RateBucket(
      fullAt: row.integer(3), writtenAt: row.integer(4), spacing: row.integer(5),
      throttledUntil: row.integer(6))
  }
}

extension Transaction {
  /// Reads the concurrency keys of jobs whose rows in the tables of states are locked.
  ///
  /// - Parameter jobs: In ascending order.
  /// - Returns: The key of each of the jobs that exist, if that has a rate; otherwise nil.
  func ratedKeys(of jobs: [Int64]) throws(QudoError) -> [Int64: NumberedKey?] {
    let looks = KeyRateRows.look(upKeysOf: jobs)
    // A SELECT that the server was told to stop may find or join no rows, see ``Write``. So it is sent twice.
    let rows = try read(looks + looks + [KeyRateRows.highest])
    var keys: [Int64: NumberedKey?] = [:]
    for rows in rows.dropLast() {
      while let row = rows.next() {
        let isRated = row.integer(3) != 0
        if isRated {
          keys[row.integer(0)] = .some(NumberedKey(kind: row.integer(1), name: row.bytes(2)))
        } else if keys[row.integer(0)] == nil {
          keys[row.integer(0)] = .some(nil)
        }
      }
    }
    let noneHasOne = rows.last?.next()?.bytes(0).isEmpty ?? false
    kinds.control.withLock { $0.hasKeyRates = !noneHasOne }
    return keys
  }

  /// Locks buckets of keys.
  ///
  /// - Parameters:
  ///   - keys: In ascending order.
  ///   - skips: Whether it skips buckets that other sessions have locked.
  /// - Returns: The buckets, and the time after they were locked.
  /// - Throws: If one is missing that it must not skip.
  func lock(bucketsOf keys: [NumberedKey], skips: Bool) throws(QudoError) -> (
    buckets: [NumberedKey: KeyBucket], now: Timestamp
  ) {
    let locks = KeyRateRows.lock(keys, skips: skips)
    // The locks may have taken long, so ask for the time again: another claim may have written a bucket meanwhile.
    let rows = try read(locks + ["SELECT \(time)"])
    guard let now = rows.last?.next()?.integer(0) else { throw .short(0, 1) }
    var buckets: [NumberedKey: KeyBucket] = [:]
    for rows in rows.dropLast() {
      try rows.forEach { row throws(QudoError) in
        buckets[NumberedKey(kind: row.integer(0), name: row.bytes(1))] = try KeyBucket(row)
      }
    }
    // A SELECT that the server was told to stop may return no rows: see ``Write``.
    guard skips || buckets.count == keys.count else { throw .short(buckets.count, keys.count) }
    return (buckets, Timestamp(microseconds: now))
  }

  /// Stores buckets that are locked.
  func store(_ buckets: [NumberedKey: RateBucket]) {
    for part in buckets.sorted(by: { $0.key < $1.key }).parts() {
      let rows = part.map { key, bucket -> SQL in
        "(\(key.kind),\(key.name),\(bucket.fullAt),\(bucket.writtenAt),\(bucket.spacing),\(bucket.throttledUntil))"
      }
      write(
        """
        INSERT INTO qudo_key_rate(kind, name, full_at, written_at, spacing, throttled_until) VALUES\(rows.joined(","))
        ON DUPLICATE KEY UPDATE full_at = VALUES(full_at), written_at = VALUES(written_at), spacing = VALUES(spacing),
          throttled_until = VALUES(throttled_until)
        """)
    }
  }

  /// Stores the rates of keys that are locked in `qudo_key`. Their buckets stay as they are; a key without one gets a full one.
  ///
  /// - Parameter rates: In the order of the keys; nil for a key that has no rate any more.
  func store(rates: [(key: NumberedKey, rate: [UInt8]?)]) {
    guard !rates.isEmpty else { return }
    if rates.contains(where: { $0.rate != nil }) { kinds.control.withLock { $0.hasKeyRates = true } }
    // A bucket that is left behind is pruned, as idempotency keys are.
    keyCount += rates.count { $0.rate == nil }
    for part in rates.parts() {
      let rows = part.map { key, rate -> SQL in "(\(key.kind),\(key.name),\(rate),0,0,0,0)" }
      write(
        """
        INSERT INTO qudo_key_rate(kind, name, rate, full_at, written_at, spacing, throttled_until) VALUES\(rows.joined(","))
        ON DUPLICATE KEY UPDATE rate = VALUES(rate)
        """)
    }
  }

  /// Gives back the tokens of jobs that were claimed and did not begin, if their keys have buckets: see ``RateBucket/giveBack(_:)``.
  ///
  /// - Parameter rows: Jobs whose concurrency keys were read.
  func giveBackKeyTokens(_ rows: [RunningRow]) {
    var counts: [NumberedKey: Int64] = [:]
    for row in rows where row.mayBeKeyed {
      if let key = keyOfJob[row.id] ?? nil { counts[key, default: 0] += 1 }
    }
    for (key, count) in counts.sorted(by: { $0.key < $1.key }) {
      // Values that Qudo did not write may not fit.
      write(
        """
        UPDATE qudo_key_rate SET full_at = full_at - spacing * \(count)
        WHERE kind = \(key.kind) AND name = \(key.name) AND throttled_until <= written_at
        AND full_at >= 0 AND spacing BETWEEN 0 AND \(Int64.max / 4 / max(1, count))
        """)
    }
  }

  /// Deletes buckets.
  ///
  /// - Parameter rows: The result of ``KeyRateRows/full(atMost:)``.
  func deleteBuckets(_ rows: Rows) {
    let keys = rows.map { NumberedKey(kind: $0.integer(0), name: $0.bytes(1)) }.sorted()
    // A scan would wait for buckets that others have locked, and a DELETE of one table takes no hint.
    for part in keys.parts() {
      write("DELETE r FROM qudo_key_rate AS r FORCE INDEX(PRIMARY) WHERE \(KeyRows.condition(part))")
    }
  }
}
#endif
