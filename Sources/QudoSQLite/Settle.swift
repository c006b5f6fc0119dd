internal import Qudo

extension Transaction {
  func settle(_ settlements: [Settlement]) throws(QudoError) -> [SettleResult] {
    var results: [SettleResult] = []
    results.reserveCapacity(settlements.count)
    for settlement in settlements {
      guard try giveUp(settlement.lease) else {
        results.append(.leaseLost)
        continue
      }
      if let took = settlement.recording, let status = RunStatus(settlement.outcome) {
        try record(settlement.lease.job, status, took: took)
      }
      results.append(.settled(replacements: try write(settlement.outcome, of: settlement.lease.job)))
    }
    return results
  }

  private func write(_ outcome: Settlement.Outcome, of id: Int64) throws(QudoError) -> [InsertResult] {
    switch outcome {
    case .completed(let replacements):
      // The old row goes first, so that a replacement may carry the same unique key.
      try forget(id)
      return try insert(replacements)
    case .retry(let delay, let message):
      try log(id, .failed, message: message, final: false)
      try wait(again: id, due: due(.after(delay)), attempts: 1)
    case .snoozed(let delay, let counts):
      try wait(again: id, due: due(.after(delay)), attempts: counts ? 1 : 0)
    case .aborted(let message):
      try log(id, .aborted, message: message, final: true)
      try forget(id)
    case .failed(let message):
      try log(id, .failed, message: message, final: true)
      try forget(id)
    case .released:
      effects.wakes = true
      try connection.run("INSERT INTO qudo_ready SELECT kind, rank, due, id FROM qudo_job WHERE id = ?", .integer(id))
    }
    return []
  }

  private func wait(again id: Int64, due: Int64, attempts: Int64) throws(QudoError) {
    effects.wakes = true
    try connection.run("UPDATE qudo_job SET due = ?, attempt = attempt + ? WHERE id = ?", .integer(due), .integer(attempts), .integer(id))
    let table = due <= now.wall.microseconds ? "qudo_ready" : "qudo_delayed"
    try connection.run("INSERT INTO \(table)(kind, rank, due, id) SELECT kind, rank, due, id FROM qudo_job WHERE id = ?", .integer(id))
  }

  /// Only a final failure carries the payload; an earlier one points to the job.
  ///
  /// The scope of a unique key is kept for a replay. A claimed job that has a key and no scope had `untilStarted`.
  func log(_ id: Int64, _ reason: FailureReason, message: String, final: Bool) throws(QudoError) {
    try connection.run(
      """
      INSERT INTO qudo_failure(
        job, kind, attempt, failed_at, reason, final, message, rank, unique_key, unique_scope, codec, meta, payload)
      SELECT id, kind, attempt, ?1, ?2, ?3, ?4, rank, unique_key, iif(unique_key IS NULL, NULL, ifnull(unique_scope, ?5)),
        codec, iif(?3, meta, NULL), iif(?3, payload, NULL)
      FROM qudo_job WHERE id = ?6
      """,
      .integer(now.wall.microseconds), .integer(reason.number), .integer(final ? 1 : 0), .text(message),
      .integer(UniqueKey.Scope.untilStarted.rawValue), .integer(id))
  }

  private func record(_ id: Int64, _ status: RunStatus, took: Duration) throws(QudoError) {
    let started = now.wall.advanced(by: .zero - max(took, .zero))
    try connection.run(
      """
      INSERT INTO qudo_status(job, kind, status, started_at, ended_at, unique_key, codec, payload)
      SELECT id, kind, ?, ?, ?, unique_key, codec, payload FROM qudo_job WHERE id = ?
      """,
      .integer(status.number), .integer(started.microseconds), .integer(now.wall.microseconds), .integer(id))
  }
}

extension RunStatus {
  /// Nil for a run that neither ended the job nor failed.
  fileprivate init?(_ outcome: Settlement.Outcome) {
    switch outcome {
    case .completed(let replacements): self = replacements.isEmpty ? .completed : .replaced
    case .retry, .failed: self = .failed
    case .aborted: self = .aborted
    case .snoozed, .released: return nil
    }
  }
}
