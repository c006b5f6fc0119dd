#if MySQL
internal import Qudo
internal import QudoSQLSupport

extension Transaction {
  /// Returns the figures of a dashboard: see ``ObservedDriver``. Each statement sees its own moment.
  func figures(limit: Int) throws(QudoError) -> QueueFigures {
    let now = try look("SELECT @n").next()?.integer(0) ?? 0
    var figures = QueueFigures(now: Timestamp(microseconds: now), isExact: false)
    figures.counts = try count(nil)
    figures.oldest = try backlog(nil, countingUpTo: 0).oldest
    figures.pauses = try pauses()
    figures.highestID = try nextID().map { $0 - 1 }
    figures.running = try look(
      """
      SELECT j.id, k.name, j.attempt, r.due FROM (
        SELECT id, kind, due FROM qudo_running WHERE ends > @n ORDER BY id LIMIT \(limit)) AS r
      JOIN qudo_job AS j ON j.id = r.id JOIN qudo_kind AS k ON k.id = r.kind ORDER BY r.id
      """
    ).map { row in
      QueueFigures.RunningJob(
        id: row.integer(0), kind: Kind(row.text(1)), attempt: Int(row.integer(2)),
        dueAt: Timestamp(microseconds: row.integer(3)), startedAt: nil, processID: nil)
    }
    figures.failures = try look(
      """
      SELECT f.id, k.name, f.reason, f.failed_at FROM (
        SELECT id, kind, reason, failed_at FROM qudo_failure ORDER BY id DESC LIMIT \(limit)) AS f
      JOIN qudo_kind AS k ON k.id = f.kind ORDER BY f.id DESC
      """
    ).map { row in
      QueueFigures.FailedRun(
        id: row.integer(0), kind: Kind(row.text(1)), reason: FailureReason(number: row.integer(2)),
        failedAt: Timestamp(microseconds: row.integer(3)))
    }
    figures.ended = try look(
      """
      SELECT s.id, k.name, s.status, s.started_at, s.ended_at FROM (
        SELECT id, kind, status, started_at, ended_at FROM qudo_status ORDER BY id DESC LIMIT \(limit)) AS s
      JOIN qudo_kind AS k ON k.id = s.kind ORDER BY s.id DESC
      """
    ).map { row in
      QueueFigures.EndedRun(
        id: row.integer(0), kind: Kind(row.text(1)), status: RunStatus(number: row.integer(2)),
        startedAt: Timestamp(microseconds: row.integer(3)), endedAt: Timestamp(microseconds: row.integer(4)))
    }
    return figures
  }
}
#endif
