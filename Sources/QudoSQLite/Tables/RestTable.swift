internal import Qudo

/// `qudo_rest`: the throttles of live jobs' unique keys, and the keys that rest since their job completed. Usually empty.
struct RestTable {
  let connection: Connection

  /// A key that rests, or whose rest has ended.
  struct Rest {
    let job: Int64
    /// How long the key rests, in microseconds.
    let throttle: Int64
    let ends: Int64
  }

  /// The longest throttle, so that no sum of a time and a throttle overflows.
  static let longest = Timestamp.latest.microseconds - Timestamp.earliest.microseconds

  func hasAny() throws(QudoError) -> Bool {
    if let known = connection.cache.hasRests { return known }
    let hasAny = try connection.integer("SELECT EXISTS(SELECT 1 FROM qudo_rest)") == 1
    connection.cache.hasRests = hasAny
    return hasAny
  }

  /// Notes the throttle of a new job's key.
  func insert(_ throttle: Duration, of job: Int64, key: String, kind: Int64) throws(QudoError) {
    connection.cache.hasRests = true
    try connection.run(
      "INSERT OR REPLACE INTO qudo_rest(job, kind, key, throttle) VALUES(?, ?, ?, ?)", .integer(job),
      .integer(kind), .text(key), .integer(min(throttle.wholeMicroseconds, Self.longest)))
  }

  /// Lets the keys of jobs that complete rest, if they have throttles.
  func begin(_ jobs: ClosedRange<Int64>, now: Timestamp) throws(QudoError) {
    try connection.run(
      "UPDATE qudo_rest SET ends = min(? + throttle, ?) WHERE job BETWEEN ? AND ? AND ends IS NULL",
      .integer(now.microseconds), .integer(Timestamp.latest.microseconds), .integer(jobs.lowerBound),
      .integer(jobs.upperBound))
  }

  /// Lets a key rest until another time.
  func setEnd(of job: Int64, _ ends: Int64) throws(QudoError) {
    try connection.run("UPDATE qudo_rest SET ends = ? WHERE job = ?", .integer(ends), .integer(job))
  }

  /// Returns the rests of a key: usually one, if any.
  func rests(of key: String, kind: Int64) throws(QudoError) -> [Rest] {
    var rests: [Rest] = []
    try connection.each(
      "SELECT job, throttle, ends FROM qudo_rest WHERE kind = ? AND key = ? AND ends IS NOT NULL",
      .integer(kind), .text(key)
    ) { row throws(QudoError) in
      rests.append(Rest(job: row.integer(0), throttle: row.integer(1), ends: row.integer(2)))
    }
    return rests
  }

  func delete(_ job: Int64) throws(QudoError) {
    try connection.run("DELETE FROM qudo_rest WHERE job = ?", .integer(job))
    noteDeleted()
  }

  /// Deletes the throttles of jobs that are deleted, except of those whose keys rest.
  func deleteLive(_ jobs: ClosedRange<Int64>) throws(QudoError) {
    try connection.run(
      "DELETE FROM qudo_rest WHERE job BETWEEN ? AND ? AND ends IS NULL", .integer(jobs.lowerBound),
      .integer(jobs.upperBound))
    noteDeleted()
  }

  /// Deletes up to `most` rests that have ended.
  func deleteEnded(_ now: Timestamp, atMost most: Int) throws(QudoError) {
    try connection.run(
      "DELETE FROM qudo_rest WHERE job IN (SELECT job FROM qudo_rest WHERE ends <= ? ORDER BY ends LIMIT ?)",
      .integer(now.microseconds), .integer(Int64(most)))
    noteDeleted()
  }

  /// Deletes the throttles of jobs that another program deleted. It reads all of the table; see ``Transaction/putAside(_:)``.
  ///
  /// - Returns: How many there were.
  func deleteOrphans() throws(QudoError) -> Int {
    try connection.run(
      "DELETE FROM qudo_rest WHERE ends IS NULL AND NOT EXISTS (SELECT 1 FROM qudo_job WHERE id = job)")
    noteDeleted()
    return connection.changes
  }

  /// There may be none left: then the next deletions of jobs need not look.
  private func noteDeleted() { if connection.changes > 0 { connection.cache.hasRests = nil } }
}
