internal import Qudo

/// `qudo_rate`: the token buckets of kinds with a rate. Usually empty.
struct RateTable {
  let connection: Connection

  /// Returns the bucket of a kind; a full one if the file has none.
  func bucket(of kind: Int64) throws(QudoError) -> RateBucket {
    var bucket = RateBucket()
    try connection.each(
      "SELECT full_at, written_at, spacing, throttled_until FROM qudo_rate WHERE kind = ?", .integer(kind)
    ) { row throws(QudoError) in
      bucket = RateBucket(
        fullAt: row.integer(0), writtenAt: row.integer(1), spacing: row.integer(2),
        throttledUntil: row.integer(3))
    }
    return bucket
  }

  func set(_ bucket: RateBucket, of kind: Int64) throws(QudoError) {
    try connection.run(
      "INSERT OR REPLACE INTO qudo_rate(kind, full_at, written_at, spacing, throttled_until) VALUES(?, ?, ?, ?, ?)",
      .integer(kind), .integer(bucket.fullAt), .integer(bucket.writtenAt), .integer(bucket.spacing),
      .integer(bucket.throttledUntil))
  }

  /// Gives back the token of a job, if its kind has a bucket: see ``RateBucket/giveBack(_:)``.
  func giveBack(_ job: Int64) throws(QudoError) {
    // Values that Qudo did not write may not fit.
    try connection.run(
      """
      UPDATE qudo_rate SET full_at = full_at - spacing
      WHERE kind = (SELECT kind FROM qudo_job WHERE id = ?) AND throttled_until <= written_at
        AND full_at >= 0 AND spacing >= 0
      """, .integer(job))
  }
}
