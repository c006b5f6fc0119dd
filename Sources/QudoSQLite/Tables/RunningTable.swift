internal import Qudo

/// `qudo_running`: the leases. A row is an id range from one claim, with one expiry and one holder.
struct RunningTable {
  let connection: Connection

  // MARK: Writing

  func insert(_ range: RunningRange) throws(QudoError) {
    try connection.run(
      "INSERT INTO qudo_running(instance, ends, last, first, token, lost_limit, claimed_at, lease) VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
      .integer(range.instance), .integer(range.ends), .integer(range.ids.upperBound),
      .integer(range.ids.lowerBound), .integer(range.token), .integer(range.lostLimit),
      .integer(range.started), .integer(range.lease))
  }

  /// Inserts one row for each row of `qudo_ready` from a kind's first row to `last`.
  func insertFront(upTo last: ReadyRow, _ lease: RunningRange) throws(QudoError) {
    try connection.run(
      """
      INSERT INTO qudo_running(instance, ends, last, first, token, lost_limit, claimed_at, lease)
      SELECT ?, ?, last, first, ?, ?, ?, ? FROM qudo_ready WHERE kind = ? AND (rank, due, last) <= (?, ?, ?)
      """,
      .integer(lease.instance), .integer(lease.ends), .integer(lease.token), .integer(lease.lostLimit),
      .integer(lease.started), .integer(lease.lease), .integer(last.key.kind), .integer(last.key.rank),
      .integer(last.key.due), .integer(last.last))
  }

  /// Deletes the row of a job that was claimed alone.
  ///
  /// - Returns: False if the job has no row of its own at the lease's holder, expiry and token.
  func removeAlone(_ lease: Lease) throws(QudoError) -> Bool {
    try connection.run(
      "DELETE FROM qudo_running WHERE instance = ? AND ends = ? AND last = ? AND first = ? AND token = ?",
      .integer(lease.holder), .integer(lease.expiresAt), .integer(lease.job), .integer(lease.job),
      .integer(lease.token))
    return connection.changes == 1
  }

  /// Removes jobs from a row, which leaves up to two rows.
  func cut(_ range: RunningRange, _ ids: ClosedRange<Int64>) throws(QudoError) {
    let part = range.ids.clamped(to: ids)
    if part == range.ids {
      try connection.run(
        "DELETE FROM qudo_running WHERE instance = ? AND ends = ? AND last = ?", .integer(range.instance),
        .integer(range.ends), .integer(range.ids.upperBound))
      return try checkChanged(range)
    }
    if part.upperBound == range.ids.upperBound {
      try connection.run(
        "UPDATE qudo_running SET last = ? WHERE instance = ? AND ends = ? AND last = ?",
        .integer(part.lowerBound - 1), .integer(range.instance), .integer(range.ends),
        .integer(range.ids.upperBound))
      return try checkChanged(range)
    }
    try connection.run(
      "UPDATE qudo_running SET first = ? WHERE instance = ? AND ends = ? AND last = ?",
      .integer(part.upperBound + 1), .integer(range.instance), .integer(range.ends),
      .integer(range.ids.upperBound))
    try checkChanged(range)
    guard part.lowerBound > range.ids.lowerBound else { return }
    var rest = range
    rest.ids = range.ids.lowerBound...part.lowerBound - 1
    try insert(rest)
  }

  /// Gives the jobs of a row another holder and expiry.
  func renew(_ range: RunningRange, _ ids: ClosedRange<Int64>, to term: LeaseTerm) throws(QudoError) {
    let part = range.ids.clamped(to: ids)
    if part == range.ids {
      try connection.run(
        "UPDATE qudo_running SET instance = ?, ends = ?, lease = ? WHERE instance = ? AND ends = ? AND last = ?",
        .integer(term.instance), .integer(term.ends), .integer(term.length), .integer(range.instance),
        .integer(range.ends), .integer(range.ids.upperBound))
      return try checkChanged(range)
    }
    try cut(range, part)
    var renewed = range
    (renewed.ids, renewed.instance, renewed.ends, renewed.lease) =
      (part, term.instance, term.ends, term.length)
    try insert(renewed)
  }

  /// Checks that a statement changed a row. It never matches if the expiry is not an integer.
  private func checkChanged(_ range: RunningRange) throws(QudoError) {
    guard connection.changes == 1 else {
      throw RunningRange.corrupt("the lease of job \(range.ids.lowerBound) has an invalid expiry")
    }
  }

  func deleteAll() throws(QudoError) { try connection.run("DELETE FROM qudo_running") }

  // MARK: Reading

  /// Returns the first row of a holder and expiry that ends with an id or after it.
  func row(from id: Int64, at lease: Lease) throws(QudoError) -> RunningRange? {
    var found: RunningRange?
    try connection.each(
      """
      SELECT instance, ends, last, first, token, lost_limit, claimed_at, lease FROM qudo_running WHERE instance = ? AND ends = ? AND last >= ?
      ORDER BY last LIMIT 1
      """, .integer(lease.holder), .integer(lease.expiresAt), .integer(id)
    ) { row throws(QudoError) in found = try RunningRange(row) }
    return found
  }

  /// Returns the row with a job, whoever holds it. It reads the whole table.
  func row(of id: Int64) throws(QudoError) -> RunningRange? {
    try rows(
      "SELECT instance, ends, last, first, token, lost_limit, claimed_at, lease FROM qudo_running WHERE ? BETWEEN first AND last LIMIT 1",
      .integer(id)
    ).first
  }

  /// Returns `limit` rows of an instance.
  func rows(of instance: Int64, limit: Int64) throws(QudoError) -> [RunningRange] {
    try rows(
      "SELECT instance, ends, last, first, token, lost_limit, claimed_at, lease FROM qudo_running WHERE instance = ? LIMIT ?",
      .integer(instance), .integer(limit))
  }

  /// Returns `limit` rows of an instance whose leases have expired.
  func expired(of instance: Int64, _ now: Int64, limit: Int64) throws(QudoError) -> [RunningRange] {
    try rows(
      "SELECT instance, ends, last, first, token, lost_limit, claimed_at, lease FROM qudo_running WHERE instance = ? AND ends <= ? LIMIT ?",
      .integer(instance), .integer(now), .integer(limit))
  }

  /// Returns `limit` rows of an instance whose leases begin after now.
  func beginningLater(of instance: Int64, than now: Int64, limit: Int64) throws(QudoError) -> [RunningRange] {
    try rows(
      """
      SELECT instance, ends, last, first, token, lost_limit, claimed_at, lease FROM qudo_running
      WHERE instance = ? AND ends - lease > ? LIMIT ?
      """, .integer(instance), .integer(now), .integer(limit))
  }

  @inline(__always)
  private func rows(_ sql: StaticString, _ values: Value...) throws(QudoError) -> [RunningRange] {
    var rows: [RunningRange] = []
    try connection.each(sql, values) { row throws(QudoError) in rows.append(try RunningRange(row)) }
    return rows
  }

  /// Calls `body` with the token, the instance and the expiry of each row.
  func tokens(_ body: (_ token: Int64, _ instance: Int64, _ ends: Int64) -> Void) throws(QudoError) {
    try connection.each("SELECT token, instance, ends FROM qudo_running") { row throws(QudoError) in
      body(row.integer(0), row.integer(1), row.integer(2))
    }
  }

  /// Calls `body` with the kind of each running job.
  func kinds(_ body: (Int64) -> Void) throws(QudoError) {
    try connection.each(
      "SELECT j.kind FROM qudo_running AS r CROSS JOIN qudo_job AS j WHERE j.id BETWEEN r.first AND r.last"
    ) { row throws(QudoError) in body(row.integer(0)) }
  }

  /// Returns when the first of this driver's own leases expires, or ``FileHints/none``.
  func firstOwnExpiry() throws(QudoError) -> Int64 {
    if let known = connection.hints.firstExpiry { return known }
    guard let own = connection.instance else { return FileHints.none }
    let end: Int64?
    do {
      end = try connection.integer(
        "SELECT ends FROM qudo_running WHERE instance = ? ORDER BY ends, last LIMIT 1", .integer(own))
    } catch {
      throw error.of(.running)
    }
    connection.hints.found(firstEnd: end)
    return end ?? FileHints.none
  }

  /// Calls `body` with each row, ordered by the first id: first, last, instance, ends, lease, claimed_at.
  func all(_ body: (Statement) throws(QudoError) -> Void) throws(QudoError) {
    try connection.each(
      "SELECT first, last, instance, ends, lease, claimed_at FROM qudo_running ORDER BY first", body: body)
  }

  /// Returns the number of rows that do not agree with the jobs, and how many jobs the others name. It reads all rows.
  func check() throws(QudoError) -> (bad: Int64, jobs: Int64) {
    let bad = try connection.integer(
      """
      SELECT count(*) FROM qudo_running AS r
      WHERE typeof(ends) <> 'integer' OR typeof(first) <> 'integer' OR typeof(last) <> 'integer' OR first > last
        OR (SELECT count(*) FROM qudo_job AS j WHERE j.id BETWEEN r.first AND r.last) <= last - first
      """)
    let jobs = try connection.integer(
      "SELECT count(*) + CAST(total(last - first) AS INTEGER) FROM qudo_running")
    return (bad ?? 0, jobs ?? 0)
  }

  // MARK: Repairing

  /// Deletes the rows with a value that is not an integer, or without an id between first and last.
  ///
  /// - Returns: The id ranges of those with one, and the number of all.
  func deleteMalformed() throws(QudoError) -> (ranges: [ClosedRange<Int64>], count: Int) {
    var ranges: [ClosedRange<Int64>] = []
    var count = 0
    try connection.each(
      """
      SELECT first, last, typeof(first) = 'integer' AND typeof(last) = 'integer' FROM qudo_running
      WHERE typeof(ends) <> 'integer' OR typeof(first) <> 'integer' OR typeof(last) <> 'integer' OR first > last
      """
    ) { row throws(QudoError) in
      count += 1
      if row.integer(2) != 0, row.integer(0) <= row.integer(1) {
        ranges.append(row.integer(0)...row.integer(1))
      }
    }
    try connection.run(
      """
      DELETE FROM qudo_running
      WHERE typeof(ends) <> 'integer' OR typeof(first) <> 'integer' OR typeof(last) <> 'integer' OR first > last
      """)
    return (ranges, count)
  }
}

/// A row of `qudo_running`.
struct RunningRange {
  var instance: Int64
  var ends: Int64
  var ids: ClosedRange<Int64>
  let token: Int64
  let lostLimit: Int64
  let started: Int64
  /// The lease duration when the lease was given or renewed, in microseconds. If the lease expires later than this
  /// from now, the clock was set back.
  var lease: Int64

  init(
    instance: Int64, ends: Int64, ids: ClosedRange<Int64>, token: Int64, lostLimit: Int64, started: Int64,
    lease: Int64
  ) {
    self.instance = instance
    self.ends = ends
    self.ids = ids
    self.token = token
    self.lostLimit = lostLimit
    self.started = started
    self.lease = lease
  }

  /// - Parameter row: The columns instance, ends, last, first, token, lost_limit, claimed_at, lease.
  init(_ row: Statement) throws(QudoError) {
    let (last, first) = (row.integer(2), row.integer(3))
    guard first <= last else {
      throw Self.corrupt("qudo_running has an invalid id range, \(first) to \(last)")
    }
    self.init(
      instance: row.integer(0), ends: row.integer(1), ids: first...last, token: row.integer(4),
      lostLimit: row.integer(5), started: row.integer(6), lease: row.integer(7))
  }

  static func corrupt(_ what: String) -> QudoError {
    QudoError(.corrupt, "\(what): \(QudoError.modified)", cause: BadRows.running)
  }
}

/// The values of a renewed lease. The driver that renews becomes the holder.
struct LeaseTerm {
  let instance: Int64
  /// In time since boot, in microseconds.
  let ends: Int64
  /// In microseconds.
  let length: Int64
}
