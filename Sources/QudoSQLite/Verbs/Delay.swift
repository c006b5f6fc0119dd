internal import Qudo

/// The due time of a job, and, for a relative delay, the time at which the delay was set.
struct Delay {
  let due: Int64
  let written: Int64?

  init(_ due: Due, _ now: Timestamp) {
    self.due = due.moment(now).microseconds
    written = if case .after = due { now.microseconds } else { nil }
  }

  init(due: Int64, written: Int64?) { (self.due, self.written) = (due, written) }

  /// Restarts a delay that was set before the clock was set back.
  ///
  /// The remaining time is unknown. After a restart the job waits at least as long as requested, but not until a date
  /// that only the wrong clock would reach.
  init(restarting due: Int64, written: Int64, _ now: Int64) {
    self.due = now.clampedPlus(max(0, due.clampedMinus(written)))
    self.written = now
  }
}

extension Transaction {
  /// Promotes due delayed jobs to ready jobs, earliest first.
  func promote(limit: Int) throws(QudoError) -> Int {
    // "If the LIMIT expression evaluates to a negative value, then there is no upper bound on the number of rows returned."
    guard limit > 0, try delayedTable.firstDue() <= now.wall.microseconds else { return 0 }
    let due = try delayedTable.due(now.wall, limit: limit)
    for row in due {
      try delayedTable.delete(row)
      try readyTable.insert(row.id...row.id, place(row.id, row.key))
    }
    return due.count
  }

  /// Restarts delays that were set in the future, which means that the clock was set back since.
  ///
  /// - Returns: Whether the next claim may find more.
  func restartDelays(limit: Int) throws(QudoError) -> Bool {
    guard try delayedTable.lastWritten() > now.wall.microseconds else { return false }
    let ahead = try delayedTable.setInTheFuture(now.wall, limit: limit)
    for row in ahead {
      try delayedTable.delete(row)
      let delay = Delay(restarting: row.due, written: row.written, now.wall.microseconds)
      try jobTable.setDue(row.id, delay.due)
      try delayedTable.insert(row.id, delay, kind: row.kind, rank: row.rank)
    }
    return ahead.count == limit
  }
}

extension NewJob {
  /// The column `rank`: a higher priority sorts first.
  var rank: Int64 { 0 &- Int64(priority) }
}
