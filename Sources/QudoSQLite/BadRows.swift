internal import Qudo

/// The rows that say where jobs are, and contradict the jobs: the `cause` of the `corrupt` error of a verb that met one.
///
/// The writer rolls back, puts them aside, and runs the verb again: one bad row, such as is left by a `DELETE FROM qudo_job` of
/// somebody else's, must neither stop the workers nor lose the outcomes that share its transaction.
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
  /// What is to be put aside, if it was met.
  var badRows: BadRows? { cause as? BadRows }

  /// Of a value of these rows that is of another sort than Qudo writes; damage that SQLite has found is left as it is.
  func of(_ rows: BadRows) -> QudoError { code == .corrupt && cause == nil ? QudoError(code, message, cause: rows) : self }
}

extension Transaction {
  /// Puts aside what is bad of a table: rows without their jobs go, of rows with some of them the rest stays, and a job whose row
  /// cannot be used is put where the job itself says that it belongs.
  ///
  /// It reads through the table, or through what it has of some kinds, which only happens to a file that was changed by others.
  ///
  /// - Returns: the number of rows that were bad.
  func putAside(_ rows: BadRows) throws(QudoError) -> Int {
    forgetRows()
    defer { forgetRows() }
    switch rows {
    case .ready(let kinds):
      var count = 0
      for kind in kinds { count += try putAsideReady(of: kind) }
      // What became ready in the verb's own transaction is delayed again.
      return count == 0 ? try putAsideDelayed() : count
    case .delayed: return try putAsideDelayed()
    case .running: return try putAsideRunning()
    }
  }

  /// The highest id is no row's: the transaction may be about to store it, for a job that was deleted.
  private func forgetRows() {
    let highest = connection.hints.highestID
    connection.kinds.invalidate()
    connection.hints.highestID = highest
  }

  private func putAsideReady(of kind: Int64) throws(QudoError) -> Int {
    var ranges: [ReadyRow] = []
    // Of a range that is longer than the numbers are the length is a floating-point number, and greater.
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
        "SELECT id FROM qudo_job WHERE id BETWEEN ? AND ? ORDER BY id", .integer(range.first), .integer(range.last)
      ) { row throws(QudoError) in ids.add(row.integer(0)) }
      try delete(range)
      for run in ids.runs {
        try connection.run(
          "INSERT OR IGNORE INTO qudo_ready(kind, rank, due, last, first) VALUES(?, ?, ?, ?, ?)", .integer(kind), .integer(range.place.rank),
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
      if row.integer(2) != 0, row.integer(0) <= row.integer(1) { others.append(row.integer(0)...row.integer(1)) }
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
    try connection.run("UPDATE qudo_delayed SET written = NULL WHERE typeof(written) NOT IN ('integer', 'null')")
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
      if row.integer(2) != 0, row.integer(0) <= row.integer(1) { ranges.append(row.integer(0)...row.integer(1)) }
    }
    try connection.run(
      """
      DELETE FROM qudo_running
      WHERE typeof(ends) <> 'integer' OR typeof(first) <> 'integer' OR typeof(last) <> 'integer' OR first > last
      """)
    for ids in ranges { try waitAgain(ids) }
    return count
  }

  /// Those of these jobs that are there wait as their own rows say; one whose due time or rank cannot be used either is due now.
  private func waitAgain(_ ids: ClosedRange<Int64>) throws(QudoError) {
    effects.wakes = true
    let (first, last) = (Value.integer(ids.lowerBound), Value.integer(ids.upperBound))
    let time = Value.integer(now.wall.microseconds)
    try connection.run("UPDATE qudo_job SET due = ? WHERE id BETWEEN ? AND ? AND typeof(due) <> 'integer'", time, first, last)
    try connection.run("UPDATE qudo_job SET rank = 0 WHERE id BETWEEN ? AND ? AND typeof(rank) <> 'integer'", first, last)
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
