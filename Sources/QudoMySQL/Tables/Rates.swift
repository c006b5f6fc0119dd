#if MySQL
internal import Qudo

/// `qudo_rate`: the token buckets of kinds with a rate. Usually empty.
///
/// A claim locks the kind in `qudo_kind` before it reads a bucket. A transaction that gives tokens back does not: a claim at the
/// same moment may overwrite the bucket, so that a token is lost, but none is added. A transaction that gives back and then claims
/// may meet a claim in a deadlock, which the server ends and the driver repeats; a worker does not claim when it gives back.
enum RateRows {
  /// Returns the query for the buckets of kinds, with a row for each kind.
  ///
  /// - Parameter naming: Whether the last column is the kind's name.
  static func select(_ numbers: some Collection<Int64>, naming: Bool = false) -> SQL {
    """
    SELECT k.id, b.full_at, b.written_at, b.spacing, b.throttled_until\(naming ? ", k.name" : "" as SQL)
    FROM qudo_kind AS k LEFT JOIN qudo_rate AS b ON b.kind = k.id WHERE k.id IN \(list: numbers)
    """
  }

  /// - Parameter results: The results of ``select(_:)``. For each kind a bucket counts that one of them has found.
  static func buckets(_ results: some Sequence<Rows>) -> [Int64: RateBucket] {
    var buckets: [Int64: RateBucket] = [:]
    for rows in results {
      while let row = rows.next() {
        guard buckets[row.integer(0)] == nil || !row.isNull(1) else { continue }
        buckets[row.integer(0)] = bucket(row)
      }
    }
    return buckets
  }

  /// - Parameter row: A row of ``select(_:)``.
  static func bucket(_ row: Row) -> RateBucket {
    guard !row.isNull(1) else { return RateBucket() }
    return RateBucket(
      fullAt: row.integer(1), writtenAt: row.integer(2), spacing: row.integer(3),
      throttledUntil: row.integer(4))
  }
}

extension Transaction {
  /// Takes the tokens of the jobs that a claim has chosen.
  ///
  /// - Returns: When a rate lets the next job begin, if one held up jobs that the claim wanted.
  func takeTokens(_ rated: [RatedClaim], for plan: ClaimPlan, _ paused: PausedKinds) -> Int64? {
    guard !rated.isEmpty else { return nil }
    var waits: [Int64: Int64] = [:]
    for var claim in rated where !paused.has(claim.number) {
      let count = plan.chosen.count { $0.0.kind == claim.number }
      if claim.take(count) { write(claim.bucket, of: claim.number) }
      if let wait = claim.wait(after: count) {
        waits[claim.number] = now.microseconds.clampedPlus(wait)
      }
    }
    kinds.control.withLock { [waits] in $0.noteTokens(rated.map(\.number), at: waits) }
    return waits.values.min()
  }

  /// Gives back the tokens of jobs that were claimed and did not begin: see ``RateBucket/giveBack(_:)``.
  func giveBackTokens(_ rows: [RunningRow]) {
    var counts: [Int64: Int] = [:]
    for row in rows { counts[row.kind, default: 0] += 1 }
    for (kind, count) in counts.sorted(by: { $0.key < $1.key }) {
      // Values that Qudo did not write may not fit.
      write(
        """
        UPDATE qudo_rate SET full_at = full_at - spacing * \(count) WHERE kind = \(kind) AND throttled_until <= written_at
        AND full_at >= 0 AND spacing BETWEEN 0 AND \(Int64.max / 4 / Int64(max(1, count)))
        """)
    }
  }

  /// Runs the whole throttle verb.
  func run(throttling kind: Kind, _ rate: RateLimit, for duration: Duration) throws(QudoError) {
    if try wasCommitted() != nil { return }
    try makeKinds([kind])
    let number = try requireNumber(of: kind)
    let select = RateRows.select([number])
    let rows = try lock(KindCache.lock([number]), thenReading: [select, select])
    // A SELECT that the server was told to stop may return no rows, or join none.
    guard rows.allSatisfy({ $0.count == 1 }), var bucket = RateRows.buckets(rows.dropFirst())[number] else {
      throw .short(0, 1)
    }
    bucket.throttle(rate, for: duration, now: now.microseconds)
    write(bucket, of: number)
    try commit()
  }

  private func write(_ bucket: RateBucket, of kind: Int64) {
    write(
      """
      REPLACE INTO qudo_rate(kind, full_at, written_at, spacing, throttled_until)
      VALUES(\(kind), \(bucket.fullAt), \(bucket.writtenAt), \(bucket.spacing), \(bucket.throttledUntil))
      """)
  }
}
#endif
