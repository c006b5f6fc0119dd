#if MySQL
internal import Qudo

/// The throttles of unique keys. `qudo_rest` has a row for each live job whose key has one, and for each completed job whose key
/// rests; other jobs never touch it.
///
/// The completion of a job sets the end in its row, and leaves the key's row in `qudo_unique`, whose job is missing then. An
/// insert that meets such a row looks at the end: the key rests, or the insert deletes both rows. A job that ends in another way
/// takes both rows with it.
///
/// Waiting jobs and leases say whether a job may have a throttle, so that the others pay nothing: see ``KeyHold/rests`` and
/// ``ClaimedRows``.
enum RestRows {
  /// The longest throttle, so that no sum of a time and a throttle overflows.
  static let longest = Timestamp.latest.microseconds - Timestamp.earliest.microseconds

  /// Adds the bit of throttled jobs to the column `flags`, for inserts with such jobs.
  static let flag: SQL = """
     + IF(EXISTS(SELECT 1 FROM qudo_rest WHERE qudo_rest.job = qudo_job.id), \
    \(KeyHold.rests.rawValue - KeyHold.untilFinished.rawValue), 0)
    """
}

extension Transaction {
  /// Stores the throttles of new jobs: the values of the columns.
  func storeThrottles(_ rows: [SQL]) {
    guard !rows.isEmpty else { return }
    // Each keyed enqueue may leave a row behind, as those with idempotency keys do.
    keyCount += rows.count
    write("INSERT INTO qudo_rest(job, throttle) VALUES\(rows.joined(","))")
  }

  /// Lets the keys of jobs that complete rest, and frees those without a throttle.
  ///
  /// - Parameter jobs: Jobs that may have a throttle.
  func beginRests(of jobs: [Int64]) {
    for part in jobs.sorted().parts() {
      write(
        """
        DELETE FROM qudo_unique WHERE job IN \(list: part) \
        AND NOT EXISTS (SELECT 1 FROM qudo_rest WHERE qudo_rest.job = qudo_unique.job)
        """)
      write(
        """
        UPDATE qudo_rest SET ends = LEAST(\(now.microseconds) + throttle, \(Timestamp.latest.microseconds)) \
        WHERE job IN \(list: part)
        """)
      // How many of the jobs have a throttle is unknown.
      write(
        Write.check(
          """
          EXISTS(SELECT 1 FROM qudo_unique AS u LEFT JOIN qudo_rest AS s ON s.job = u.job \
          WHERE u.job IN \(list: part) AND s.ends IS NULL)
          """))
    }
  }

  /// Deletes the throttles of jobs that end without completing.
  ///
  /// - Parameter jobs: Jobs that may have a throttle.
  func deleteThrottles(of jobs: [Int64]) {
    for part in jobs.sorted().parts() {
      write("DELETE FROM qudo_rest WHERE job IN \(list: part)")
      write(Write.check("EXISTS(SELECT 1 FROM qudo_rest WHERE job IN \(list: part))"))
    }
  }

  /// Returns the query for ended rests. It skips those that other sessions have locked.
  static func endedRests(atMost count: Int) -> SQL {
    "SELECT job FROM qudo_rest WHERE ends <= @n ORDER BY ends LIMIT \(count) FOR UPDATE SKIP LOCKED"
  }

  /// Deletes ended rests, and frees their keys.
  func deleteRests(of jobs: [Int64]) {
    for part in jobs.sorted().parts() {
      write("DELETE FROM qudo_unique WHERE job IN \(list: part)")
      write("DELETE FROM qudo_rest WHERE job IN \(list: part)")
    }
  }
}
#endif
