internal import Qudo

/// Rows of a state table that contradict the jobs: the `cause` of the `corrupt` error of a verb that met one.
///
/// The writer rolls back, repairs the rows, and runs the verb again. One bad row, such as another program's
/// `DELETE FROM qudo_job` leaves, must neither stop the workers nor lose the outcomes in the same transaction.
enum BadRows: Error {
  case ready(kinds: [Int64])
  case delayed
  case running

  var table: String {
    switch self {
    case .ready: "qudo_ready"
    case .delayed: "qudo_delayed"
    case .running: "qudo_running"
    }
  }
}

extension QudoError {
  /// The rows to repair, if this error reports any.
  var badRows: BadRows? { cause as? BadRows }

  /// Attributes a value of an unexpected type to `rows`. Damage that SQLite itself reported stays as it is.
  func of(_ rows: BadRows) -> QudoError {
    code == .corrupt && cause == nil ? QudoError(code, message, cause: rows) : self
  }
}

extension Transaction {
  /// Repairs the bad rows of a state table.
  ///
  /// It deletes rows whose jobs are all missing, keeps the rest of rows that miss some of their jobs, and files jobs
  /// with an unusable row again as `qudo_job` describes them. It reads the whole table, or all of its rows for some
  /// kinds; that happens only in a file that another program modified.
  ///
  /// - Returns: The number of bad rows.
  func putAside(_ rows: BadRows) throws(QudoError) -> Int {
    forgetRows()
    defer { forgetRows() }
    switch rows {
    case .ready(let kinds):
      var count = 0
      for kind in kinds { count += try putAsideReady(of: kind) }
      // Jobs that became ready in the rolled-back transaction are delayed again.
      return count == 0 ? try putAsideDelayed() : count
    case .delayed: return try putAsideDelayed()
    case .running: return try putAsideRunning()
    }
  }

  /// Drops the hints about rows. It keeps the highest id: the transaction may be about to store it for a deleted job.
  private func forgetRows() {
    let highest = connection.hints.highestID
    connection.kinds.invalidate()
    connection.hints.highestID = highest
  }

  private func putAsideReady(of kind: Int64) throws(QudoError) -> Int {
    var ranges: [ReadyRow] = []
    // If the length of a range overflows an integer, SQLite computes it as a floating-point number, which compares
    // as greater.
    try connection.each(
      """
      SELECT rank, due, first, last FROM qudo_ready AS r
      WHERE kind = ? AND typeof(rank) = 'integer' AND typeof(due) = 'integer' AND typeof(first) = 'integer' AND typeof(last) = 'integer'
        AND first <= last AND (SELECT count(*) FROM qudo_job AS j WHERE j.id BETWEEN r.first AND r.last) <= last - first
      """, .integer(kind)
    ) { row throws(QudoError) in
      let place = ReadyRange.SortKey(kind: kind, rank: row.integer(0), due: row.integer(1))
      ranges.append(ReadyRow(place: place, first: row.integer(2), last: row.integer(3), read: row.integer(3)))
    }
    for range in ranges {
      var ids = ReadyFront(kind: kind)
      try connection.each(
        "SELECT id FROM qudo_job WHERE id BETWEEN ? AND ? ORDER BY id", .integer(range.first),
        .integer(range.last)
      ) { row throws(QudoError) in ids.add(row.integer(0)) }
      try delete(range)
      for run in ids.runs {
        try connection.run(
          "INSERT OR IGNORE INTO qudo_ready(kind, rank, due, last, first) VALUES(?, ?, ?, ?, ?)",
          .integer(kind), .integer(range.place.rank),
          .integer(range.place.due), .integer(run.upperBound), .integer(run.lowerBound))
      }
    }
    var others: [ClosedRange<Int64>] = []
    var count = ranges.count
    try connection.each(
      """
      SELECT first, last, typeof(first) = 'integer' AND typeof(last) = 'integer' FROM qudo_ready WHERE kind = ? AND (
        typeof(rank) <> 'integer' OR typeof(due) <> 'integer' OR typeof(first) <> 'integer' OR typeof(last) <> 'integer' OR first > last)
      """, .integer(kind)
    ) { row throws(QudoError) in
      count += 1
      if row.integer(2) != 0, row.integer(0) <= row.integer(1) {
        others.append(row.integer(0)...row.integer(1))
      }
    }
    try connection.run(
      """
      DELETE FROM qudo_ready WHERE kind = ? AND (
        typeof(rank) <> 'integer' OR typeof(due) <> 'integer' OR typeof(first) <> 'integer' OR typeof(last) <> 'integer' OR first > last)
      """, .integer(kind))
    for ids in others { try waitAgain(ids) }
    return count
  }

  private func putAsideDelayed() throws(QudoError) -> Int {
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
    count += connection.changes
    for id in ids { try waitAgain(id...id) }
    return count
  }

  private func putAsideRunning() throws(QudoError) -> Int {
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
    for ids in ranges { try waitAgain(ids) }
    return count
  }

  /// Files the existing jobs of a range as ready or delayed, as their rows in `qudo_job` describe them. An invalid due
  /// time there becomes now, an invalid rank 0.
  private func waitAgain(_ ids: ClosedRange<Int64>) throws(QudoError) {
    effects.wakes = true
    let (first, last) = (Value.integer(ids.lowerBound), Value.integer(ids.upperBound))
    let time = Value.integer(now.wall.microseconds)
    try connection.run(
      "UPDATE qudo_job SET due = ? WHERE id BETWEEN ? AND ? AND typeof(due) <> 'integer'", time, first, last)
    try connection.run(
      "UPDATE qudo_job SET rank = 0 WHERE id BETWEEN ? AND ? AND typeof(rank) <> 'integer'", first, last)
    try connection.run(
      """
      INSERT OR IGNORE INTO qudo_ready(kind, rank, due, last, first)
      SELECT kind, rank, due, id, id FROM qudo_job WHERE id BETWEEN ? AND ? AND due <= ?
      """, first, last, time)
    try connection.run(
      "INSERT OR IGNORE INTO qudo_delayed(due, id, kind, rank) SELECT due, id, kind, rank FROM qudo_job WHERE id BETWEEN ? AND ? AND due > ?",
      first, last, time)
  }
}
