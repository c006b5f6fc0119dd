internal import Qudo

extension Transaction {
  func settle(_ settlements: [Settlement]) throws(QudoError) -> [SettleResult] {
    guard !settlements.isEmpty else { return [] }
    let isHeld = try removeFromRunning(settlements.map(\.lease))
    var results: [SettleResult] = []
    results.reserveCapacity(settlements.count)
    // Collects jobs that are only deleted, up to the next one that needs more.
    var completed: [Int64] = []
    for (settlement, isHeld) in zip(settlements, isHeld) {
      guard isHeld else {
        results.append(.leaseLost)
        continue
      }
      if settlement.isPlain {
        completed.append(settlement.lease.job)
        results.append(.settled())
        continue
      }
      try deleteJobs(completed)
      completed.removeAll(keepingCapacity: true)
      results.append(try settle(settlement))
    }
    try deleteJobs(completed)
    return results
  }

  /// Deletes jobs permanently, one statement per id range.
  private func deleteJobs(_ ids: [Int64]) throws(QudoError) {
    if ids.count == 1 { return try deleteJob(ids[0]) }
    guard var first = ids.first else { return }
    let ids = zip(ids, ids.dropFirst()).allSatisfy { $0 < $1 } ? ids : ids.sorted()
    first = ids[0]
    var last = first
    for id in ids.dropFirst() {
      if id == last &+ 1 {
        last = id
        continue
      }
      try deleteJobs(first...last)
      (first, last) = (id, id)
    }
    try deleteJobs(first...last)
  }

  private func deleteJobs(_ ids: ClosedRange<Int64>) throws(QudoError) {
    if ids.lowerBound == ids.upperBound { return try deleteJob(ids.lowerBound) }
    try willDelete(highest: ids.upperBound)
    try connection.run(
      "DELETE FROM qudo_job WHERE id BETWEEN ? AND ?", .integer(ids.lowerBound), .integer(ids.upperBound))
  }

  /// Settles a job whose lease is valid.
  private func settle(_ settlement: Settlement) throws(QudoError) -> SettleResult {
    if let took = settlement.recording, let status = RunStatus(settlement.outcome) {
      try record(settlement.lease.job, status, took: took)
    }
    return .settled(replacements: try write(settlement.outcome, of: settlement.lease.job))
  }

  private func write(_ outcome: Settlement.Outcome, of id: Int64) throws(QudoError) -> [InsertResult] {
    switch outcome {
    case .completed(let replacements):
      // Delete the old row first: a replacement may have the same unique key.
      try deleteJob(id)
      return try insert(replacements)
    case .retry(let delay, let message):
      try log(id, .failed, message: message, final: false)
      try requeue(again: id, Delay(.after(delay), now.wall), attempts: 1)
    case .snoozed(let delay, let counts):
      try requeue(again: id, Delay(.after(delay), now.wall), attempts: counts ? 1 : 0)
    case .aborted(let message):
      try log(id, .aborted, message: message, final: true)
      try deleteJob(id)
    case .failed(let message):
      try log(id, .failed, message: message, final: true)
      try deleteJob(id)
    case .released:
      effects.wakes = true
      try reinsertReady(id)
    }
    return []
  }

  private func requeue(again id: Int64, _ delay: Delay, attempts: Int64) throws(QudoError) {
    effects.wakes = true
    try connection.run(
      "UPDATE qudo_job SET due = ?, attempt = attempt + ?, lost = 0 WHERE id = ?", .integer(delay.due),
      .integer(attempts), .integer(id))
    if delay.due <= now.wall.microseconds {
      try reinsertReady(id)
    } else {
      connection.hints.noteDelayed(delay)
      try connection.run(
        "INSERT INTO qudo_delayed(due, id, kind, rank, written) SELECT due, id, kind, rank, ? FROM qudo_job WHERE id = ?",
        delay.written.map { .integer($0) } ?? .null, .integer(id))
    }
  }

  /// Writes to the failure log.
  ///
  /// Only a final failure stores the payload; before that, the job has it. The scope of a unique key is stored for a
  /// replay; a claimed job with a key but no scope had `untilStarted`.
  func log(_ id: Int64, _ reason: FailureReason, message: String, final: Bool) throws(QudoError) {
    do {
      try write(id, reason, message: message, final: final)
    } catch  where error.code == .diskFull {
      throw try refusal(error, "qudo_failure")
    }
  }

  private func write(_ id: Int64, _ reason: FailureReason, message: String, final: Bool) throws(QudoError) {
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

  /// Returns the true error if SQLite reported "full" only because an AUTOINCREMENT table has used the largest id.
  func refusal(_ error: QudoError, _ table: String) throws(QudoError) -> QudoError {
    let highest = try connection.integer(
      "SELECT max(coalesce((SELECT max(id) FROM \(table)), 0), coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = ?), 0))",
      values: [.text(table)])
    guard highest == .max else { return error }
    return QudoError(
      .corrupt, "\(table) has no free id: another program modified the file", cause: error.cause)
  }

  private func record(_ id: Int64, _ status: RunStatus, took: Duration) throws(QudoError) {
    do {
      try write(id, status, started: now.wall.advanced(by: .zero - max(took, .zero)))
    } catch  where error.code == .diskFull {
      throw try refusal(error, "qudo_status")
    }
  }

  private func write(_ id: Int64, _ status: RunStatus, started: Timestamp) throws(QudoError) {
    try connection.run(
      """
      INSERT INTO qudo_status(job, kind, status, started_at, ended_at, unique_key, codec, payload)
      SELECT id, kind, ?, ?, ?, unique_key, codec, payload FROM qudo_job WHERE id = ?
      """,
      .integer(status.number), .integer(started.microseconds), .integer(now.wall.microseconds), .integer(id))
  }
}

extension Settlement {
  /// Whether settling only deletes the job.
  fileprivate var isPlain: Bool {
    guard recording == nil, case .completed(let replacements) = outcome else { return false }
    return replacements.isEmpty
  }
}

extension RunStatus {
  /// Creates the status to record, or nil for a run that neither ended the job nor failed.
  fileprivate init?(_ outcome: Settlement.Outcome) {
    switch outcome {
    case .completed(let replacements): self = replacements.isEmpty ? .completed : .replaced
    case .retry, .failed: self = .failed
    case .aborted: self = .aborted
    case .snoozed, .released: return nil
    }
  }
}
