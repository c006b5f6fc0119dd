internal import Qudo

/// `qudo_cancellation`: the marks of running jobs that are to be cancelled. Usually empty.
struct CancelTable {
  let connection: Connection

  /// Marks a job. A second mark changes nothing.
  ///
  /// - Returns: Whether the job had no mark.
  func insert(_ job: Int64, at time: Timestamp, reason: String?) throws(QudoError) -> Bool {
    connection.cache.hasMarks = true
    try connection.run(
      "INSERT OR IGNORE INTO qudo_cancellation(job, at, reason) VALUES(?, ?, ?)", .integer(job),
      .integer(time.microseconds), .text(reason))
    return connection.changes > 0
  }

  func hasAny() throws(QudoError) -> Bool {
    if let known = connection.cache.hasMarks { return known }
    let hasAny = try connection.integer("SELECT EXISTS(SELECT 1 FROM qudo_cancellation)") == 1
    connection.cache.hasMarks = hasAny
    return hasAny
  }

  /// Returns the reason of a mark; nil if the job has none.
  func mark(of job: Int64) throws(QudoError) -> (reason: String?, isMarked: Bool) {
    guard try hasAny() else { return (nil, false) }
    var found: (reason: String?, isMarked: Bool) = (nil, false)
    try connection.each("SELECT reason FROM qudo_cancellation WHERE job = ?", .integer(job)) {
      row throws(QudoError) in
      found = (row.isNull(0) ? nil : row.text(0), true)
    }
    return found
  }

  /// Removes the marks of jobs that are about to be deleted.
  func delete(_ jobs: ClosedRange<Int64>) throws(QudoError) {
    guard try hasAny() else { return }
    try connection.run(
      "DELETE FROM qudo_cancellation WHERE job BETWEEN ? AND ?", .integer(jobs.lowerBound),
      .integer(jobs.upperBound))
    connection.cache.hasMarks = nil
  }

  /// Removes the marks of jobs that are gone without a look here, by an older Qudo or another program.
  func deleteOrphans() throws(QudoError) {
    try connection.run(
      "DELETE FROM qudo_cancellation WHERE NOT EXISTS (SELECT 1 FROM qudo_job WHERE id = job)")
    if connection.changes > 0 { connection.cache.hasMarks = nil }
  }

  /// Whether there are marks of jobs that are gone.
  func hasOrphans() throws(QudoError) -> Bool {
    guard try hasAny() else { return false }
    return try connection.integer(
      """
      SELECT EXISTS(SELECT 1 FROM qudo_cancellation WHERE NOT EXISTS (SELECT 1 FROM qudo_job WHERE id = job))
      """) == 1
  }

  /// Returns the marked jobs that an instance holds, in the order of their ids.
  func jobs(heldBy instance: Int64) throws(QudoError) -> [Int64] {
    guard try hasAny() else { return [] }
    var jobs: [Int64] = []
    try connection.each(
      """
      SELECT job FROM qudo_cancellation
      WHERE EXISTS (SELECT 1 FROM qudo_running WHERE instance = ? AND job BETWEEN first AND last) ORDER BY job
      """, .integer(instance)
    ) { row throws(QudoError) in jobs.append(row.integer(0)) }
    return jobs
  }
}
