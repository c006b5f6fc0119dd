internal import Qudo

/// Rows of a state table that contradict the jobs: the `cause` of the `corrupt` error of a verb that met one.
///
/// The writer rolls back, repairs the rows, and runs the verb again. One bad row, such as another program's
/// `DELETE FROM qudo_job` leaves, must neither stop the workers nor lose the outcomes in the same transaction.
enum BadRows: Error {
  case ready(kinds: [Int64])
  case delayed
  case running
  case keyRates

  var table: String {
    switch self {
    case .ready: "qudo_ready"
    case .delayed: "qudo_delayed"
    case .running: "qudo_running"
    case .keyRates: "qudo_key_rate"
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
    let keys = try putAsideKeys()
    let throttles = try restTable.hasAny() ? try restTable.deleteOrphans() : 0
    let groups = try groupTable.hasAny() ? try groupTable.deleteOrphans() : 0
    let rates = try repairKeyRates()
    return keys + throttles + groups + rates + (try putAsideRows(rows))
  }

  private func putAsideRows(_ rows: BadRows) throws(QudoError) -> Int {
    switch rows {
    case .ready(let kinds):
      var count = 0
      for kind in kinds { count += try putAsideReady(of: kind) }
      // Jobs that became ready in the rolled-back transaction are delayed again.
      return count == 0 ? try putAsideDelayed() : count
    case .delayed: return try putAsideDelayed()
    case .running: return try putAsideRunning()
    // All of them are repaired with those of any table.
    case .keyRates: return 0
    }
  }

  /// Drops the hints about rows. It keeps the highest id: the transaction may be about to store it for a deleted job.
  private func forgetRows() {
    let highest = connection.hints.highestID
    connection.cache.invalidate()
    connection.hints.highestID = highest
  }

  private func putAsideReady(of kind: Int64) throws(QudoError) -> Int {
    let incomplete = try readyTable.rowsWithMissingJobs(of: kind)
    for row in incomplete {
      var ids = IDRanges()
      for id in try jobTable.ids(row.ids, limit: -1) { ids.append(id) }
      try readyTable.delete(row)
      for range in ids.ranges { try readyTable.insertIfAbsent(range, row.key) }
    }
    let malformed = try readyTable.deleteMalformed(of: kind)
    for ids in malformed.ranges { try waitAgain(ids) }
    return incomplete.count + malformed.count
  }

  private func putAsideDelayed() throws(QudoError) -> Int {
    let malformed = try delayedTable.deleteMalformed()
    for id in malformed.ids { try waitAgain(id...id) }
    return malformed.count
  }

  private func putAsideRunning() throws(QudoError) -> Int {
    let malformed = try runningTable.deleteMalformed()
    for ids in malformed.ranges { try waitAgain(ids) }
    return malformed.count
  }

  /// Files the existing jobs of a range as ready or delayed, as their rows in `qudo_job` describe them. An invalid due
  /// time there becomes now, an invalid rank 0.
  private func waitAgain(_ ids: ClosedRange<Int64>) throws(QudoError) {
    effects.wakes = true
    try jobTable.repairKeys(ids, now: now.wall)
    try readyTable.insertDueIfAbsent(ids, now: now.wall)
    try delayedTable.insertIfAbsent(ids, now: now.wall)
  }
}
