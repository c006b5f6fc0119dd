internal import Qudo

/// `qudo_delayed`: the jobs that are not due yet, and due ones that no claim has promoted, by due time.
struct DelayedTable {
  let connection: Connection

  func insert(_ id: Int64, _ delay: Delay, kind: Int64, rank: Int64) throws(QudoError) {
    connection.hints.noteDelayed(delay)
    try connection.run(
      "INSERT INTO qudo_delayed(due, id, kind, rank, written) VALUES(?, ?, ?, ?, ?)", .integer(delay.due),
      .integer(id), .integer(kind), .integer(rank), delay.writtenColumn)
  }

  /// Inserts a job with the key from `qudo_job`, which has the delay's due time.
  func insert(_ id: Int64, _ delay: Delay) throws(QudoError) {
    connection.waitingCounts.invalidate()
    connection.hints.noteDelayed(delay)
    try connection.run(
      "INSERT INTO qudo_delayed(due, id, kind, rank, written) SELECT due, id, kind, rank, ? FROM qudo_job WHERE id = ?",
      delay.writtenColumn, .integer(id))
  }

  /// Deletes a job.
  ///
  /// - Returns: False if it was not there.
  func remove(_ id: Int64) throws(QudoError) -> Bool {
    connection.waitingCounts.noteLeft()
    connection.hints.invalidateDue()
    try connection.run(
      "DELETE FROM qudo_delayed WHERE (due, id) = (SELECT due, id FROM qudo_job WHERE id = ?)", .integer(id))
    return connection.changes > 0
  }

  /// Deletes a row that was read.
  func delete(_ row: DelayedRow) throws(QudoError) {
    try connection.run(
      "DELETE FROM qudo_delayed WHERE due = ? AND id = ?", .integer(row.due), .integer(row.id))
    // A due time that is not an integer never matches.
    guard connection.changes == 1 else {
      throw QudoError(
        .corrupt, "job \(row.id) has an invalid due time: \(QudoError.modified)", cause: BadRows.delayed)
    }
  }

  // MARK: Reading

  /// Returns the delay of a job, or nil if it is not delayed.
  func delay(of id: Int64) throws(QudoError) -> Delay? {
    var found: Delay?
    try connection.each(
      "SELECT due, written FROM qudo_delayed WHERE (due, id) = (SELECT due, id FROM qudo_job WHERE id = ?)",
      .integer(id)
    ) { row throws(QudoError) in
      found = Delay(due: row.integer(0), written: row.isNull(1) ? nil : row.integer(1))
    }
    return found
  }

  /// Returns the first `limit` rows that are due, earliest first.
  func due(_ now: Timestamp, limit: Int) throws(QudoError) -> [DelayedRow] {
    connection.hints.invalidateDue()
    var rows: [DelayedRow] = []
    try connection.each(
      "SELECT due, id, kind, rank FROM qudo_delayed WHERE due <= ? ORDER BY due, id LIMIT ?",
      .integer(now.microseconds), .integer(Int64(limit))
    ) { row throws(QudoError) in rows.append(DelayedRow(row)) }
    return rows
  }

  /// Calls `body` with the kind and the due time of the first jobs that are due, earliest first.
  func due(_ now: Timestamp, atMost most: Int, _ body: (_ kind: Int64, _ due: Int64) -> Void)
    throws(QudoError)
  {
    try connection.each(
      "SELECT kind, due FROM qudo_delayed WHERE due <= ? ORDER BY due, id LIMIT ?",
      .integer(now.microseconds), .integer(Int64(most))
    ) { row throws(QudoError) in body(row.integer(0), row.integer(1)) }
  }

  /// Returns `limit` rows whose delay was set after now, the latest first.
  func setInTheFuture(_ now: Timestamp, limit: Int) throws(QudoError) -> [DelayedRow] {
    connection.hints.invalidateWritten()
    connection.hints.invalidateDue()
    var rows: [DelayedRow] = []
    try connection.each(
      """
      SELECT due, id, kind, rank, written FROM qudo_delayed WHERE written > ? ORDER BY written DESC, due DESC, id DESC LIMIT ?
      """, .integer(now.microseconds), .integer(Int64(limit))
    ) { row throws(QudoError) in rows.append(DelayedRow(row, written: row.integer(4))) }
    return rows
  }

  /// Returns when the first delayed job is due, or ``FileHints/none``.
  func firstDue() throws(QudoError) -> Int64 {
    if let known = connection.hints.firstDue { return known }
    let due: Int64?
    do {
      due = try connection.integer("SELECT min(due) FROM qudo_delayed")
    } catch {
      throw error.of(.delayed)
    }
    connection.hints.found(firstDue: due)
    return due ?? FileHints.none
  }

  /// Returns when the latest relative delay was set, or ``FileHints/never``.
  func lastWritten() throws(QudoError) -> Int64 {
    if let known = connection.hints.lastWritten { return known }
    let written: Int64?
    do {
      written = try connection.integer("SELECT max(written) FROM qudo_delayed WHERE written IS NOT NULL")
    } catch {
      throw error.of(.delayed)
    }
    connection.hints.found(lastWritten: written)
    return written ?? FileHints.never
  }

  /// Calls `body` with the kind of each job, of `kinds` or of all, and whether it is delayed rather than due.
  func counts(_ kinds: IntegerList?, now: Timestamp, _ body: (_ kind: Int64, _ isDelayed: Bool) -> Void)
    throws(QudoError)
  {
    let filter = kinds.map { "WHERE kind IN \($0.sql)" } ?? ""
    try connection.each(
      "SELECT kind, due > ? FROM qudo_delayed \(filter)",
      values: [.integer(now.microseconds)] + (kinds?.values ?? [])
    ) { row throws(QudoError) in body(row.integer(0), row.integer(1) != 0) }
  }

  /// Returns how many jobs of these kinds there are, or `most` if there are more.
  func count(_ kinds: IntegerList?, atMost most: Int) throws(QudoError) -> Int {
    let filter = kinds.map { "WHERE kind IN \($0.sql)" } ?? ""
    let count = try connection.integer(
      "SELECT count(*) FROM (SELECT 1 FROM qudo_delayed \(filter) LIMIT ?)",
      values: (kinds?.values ?? []) + [.integer(Int64(most))])
    return Int(count ?? 0)
  }

  /// Returns the lowest `limit` ids after an id, of jobs that are due or of those that are not.
  func ids(_ kinds: IntegerList?, areDue: Bool, now: Timestamp, after id: Int64, limit: Int)
    throws(QudoError) -> [Int64]
  {
    var ids: [Int64] = []
    try connection.each(
      "SELECT id FROM qudo_delayed WHERE due \(areDue ? "<=" : ">") ? AND \(kinds.inKinds) id > ? ORDER BY id LIMIT ?",
      values: [.integer(now.microseconds)] + (kinds?.values ?? []) + [.integer(id), .integer(Int64(limit))]
    ) { row throws(QudoError) in ids.append(row.integer(0)) }
    return ids
  }

  /// Returns up to `limit` jobs that have been due since before a time, the earliest first: their kinds and due times.
  func overdue(_ time: Timestamp, limit: Int) throws(QudoError) -> [(kind: Int64, due: Int64)] {
    var found: [(kind: Int64, due: Int64)] = []
    try connection.each(
      "SELECT kind, due FROM qudo_delayed WHERE due <= ? ORDER BY due, id LIMIT ?",
      .integer(time.microseconds),
      .integer(Int64(limit))
    ) { row throws(QudoError) in found.append((row.integer(0), row.integer(1))) }
    return found
  }

  /// Counts up to `limit` jobs that are due after a time. Returns the last due time, and a job that has it; nil for none.
  func far(_ time: Timestamp, limit: Int) throws(QudoError) -> (count: Int, due: Int64, job: Int64)? {
    var found: (count: Int, due: Int64, job: Int64)?
    try connection.each(
      "SELECT due, id FROM qudo_delayed WHERE due > ? ORDER BY due DESC, id DESC LIMIT ?",
      .integer(time.microseconds), .integer(Int64(limit))
    ) { row throws(QudoError) in
      guard let first = found else { return found = (1, row.integer(0), row.integer(1)) }
      found = (first.count + 1, first.due, first.job)
    }
    return found
  }

  /// Returns the number of rows that do not agree with the jobs, and of all rows. It reads all rows.
  func check() throws(QudoError) -> (bad: Int64, jobs: Int64) {
    let bad = try connection.integer(
      """
      SELECT count(*) FROM qudo_delayed AS d WHERE typeof(due) <> 'integer' OR typeof(id) <> 'integer' OR NOT EXISTS (
        SELECT 1 FROM qudo_job AS j WHERE j.id = d.id AND j.kind = d.kind AND j.rank = d.rank AND j.due = d.due)
      """)
    return (bad ?? 0, try connection.integer("SELECT count(*) FROM qudo_delayed") ?? 0)
  }

  // MARK: Repairing

  /// Deletes the rows with a value that is not an integer and those without a job, and drops unusable times of
  /// relative delays.
  ///
  /// - Returns: The ids of those with one, and the number of all.
  func deleteMalformed() throws(QudoError) -> (ids: [Int64], count: Int) {
    connection.waitingCounts.invalidate()
    var ids: [Int64] = []
    var count = 0
    try connection.each(
      """
      SELECT id, typeof(id) = 'integer' FROM qudo_delayed
      WHERE typeof(due) <> 'integer' OR typeof(id) <> 'integer' OR NOT EXISTS (SELECT 1 FROM qudo_job WHERE qudo_job.id = qudo_delayed.id)
      """
    ) { row throws(QudoError) in
      count += 1
      if row.integer(1) != 0 { ids.append(row.integer(0)) }
    }
    try connection.run(
      """
      DELETE FROM qudo_delayed
      WHERE typeof(due) <> 'integer' OR typeof(id) <> 'integer' OR NOT EXISTS (SELECT 1 FROM qudo_job WHERE qudo_job.id = qudo_delayed.id)
      """)
    try connection.run(
      "UPDATE qudo_delayed SET written = NULL WHERE typeof(written) NOT IN ('integer', 'null')")
    return (ids, count + connection.changes)
  }

  /// Inserts the jobs of a range that are neither due nor there yet.
  func insertIfAbsent(_ ids: ClosedRange<Int64>, now: Timestamp) throws(QudoError) {
    connection.waitingCounts.invalidate()
    try connection.run(
      """
      INSERT OR IGNORE INTO qudo_delayed(due, id, kind, rank)
      SELECT due, id, kind, rank FROM qudo_job WHERE id BETWEEN ? AND ? AND due > ? AND NOT (\(JobTable.isHeld))
      """,
      values: [.integer(ids.lowerBound), .integer(ids.upperBound), .integer(now.microseconds)])
  }
}

/// A row of `qudo_delayed`.
struct DelayedRow {
  let due: Int64
  let id: Int64
  let kind: Int64
  let rank: Int64
  /// When a relative delay was set; 0 where it was not read.
  let written: Int64

  var key: SortKey { SortKey(kind: kind, rank: rank, due: due) }

  /// - Parameter row: The columns due, id, kind, rank.
  init(_ row: Statement, written: Int64 = 0) {
    (due, id, kind, rank) = (row.integer(0), row.integer(1), row.integer(2), row.integer(3))
    self.written = written
  }
}

extension Delay {
  fileprivate var writtenColumn: Value { written.map { .integer($0) } ?? .null }
}
