internal import Qudo

/// The due time of a job, and, for a relative delay, the time at which the delay was set.
struct Delay {
  let due: Int64
  let written: Int64?

  init(_ due: Due, _ now: Timestamp) {
    self.due = due.moment(now).microseconds
    written = if case .after = due { now.microseconds } else { nil }
  }

  /// Restarts a delay that was set before the clock was set back.
  ///
  /// The remaining time is unknown. After a restart the job waits at least as long as requested, but not until a date
  /// that only the wrong clock would reach.
  init(anew due: Int64, written: Int64, _ now: Int64) {
    self.due = now.clampedPlus(max(0, due.clampedMinus(written)))
    self.written = now
  }
}

extension Transaction {
  /// Restarts delays that were set in the future, which means that the clock was set back since.
  ///
  /// - Returns: Whether the next claim may find more.
  func restartDelays(limit: Int) throws(QudoError) -> Bool {
    let time = now.wall.microseconds
    guard try lastWritten() > time else { return false }
    connection.hints.invalidateWritten()
    connection.hints.invalidateDue()
    var ahead: [(written: Int64, due: Int64, id: Int64, kind: Int64, rank: Int64)] = []
    try connection.each(
      """
      SELECT written, due, id, kind, rank FROM qudo_delayed WHERE written > ? ORDER BY written DESC, due DESC, id DESC LIMIT ?
      """, .integer(time), .integer(Int64(limit))
    ) { row throws(QudoError) in
      ahead.append((row.integer(0), row.integer(1), row.integer(2), row.integer(3), row.integer(4)))
    }
    for job in ahead {
      try connection.run(
        "DELETE FROM qudo_delayed WHERE due = ? AND id = ?", .integer(job.due), .integer(job.id))
      guard connection.changes == 1 else {
        throw QudoError(
          .corrupt, "job \(job.id) has an invalid due time: \(Self.changed)", cause: BadRows.delayed)
      }
      let delay = Delay(anew: job.due, written: job.written, time)
      try connection.run("UPDATE qudo_job SET due = ? WHERE id = ?", .integer(delay.due), .integer(job.id))
      try insertDelayed(job.id, delay, kind: job.kind, rank: job.rank)
    }
    return ahead.count == limit
  }

  /// Files a job as delayed.
  func insertDelayed(_ id: Int64, _ delay: Delay, kind: Int64, rank: Int64) throws(QudoError) {
    connection.hints.noteDelayed(delay)
    try connection.run(
      "INSERT INTO qudo_delayed(due, id, kind, rank, written) VALUES(?, ?, ?, ?, ?)", .integer(delay.due),
      .integer(id), .integer(kind),
      .integer(rank), delay.written.map { .integer($0) } ?? .null)
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
}
