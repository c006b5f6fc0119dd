#if MySQL
internal import Qudo

/// What a settle comes to; the ids of replacements are known when they were written.
struct SettleAnswer {
  enum Answer {
    case known(SettleResult)
    case replaced(InsertAnswer)
  }
  var answers: [Answer] = []

  var results: [SettleResult] {
    answers.map { answer in
      switch answer {
      case .known(let result): result
      case .replaced(let answer): .settled(replacements: answer.results)
      }
    }
  }
}

extension Transaction {
  /// - Parameter ahead: what else is read in the same round trip, before anything is written.
  /// - Returns: the answer, and the rows of what was read ahead.
  func settle(_ settlements: [Settlement], reading ahead: [SQL]) throws(QudoError) -> (SettleAnswer, [Rows]) {
    var answer = SettleAnswer()
    guard !settlements.isEmpty else { return (answer, ahead.isEmpty ? [] : try read(ahead)) }
    let locks = RunningRow.lock(settlements.map(\.lease))
    let found = try read(locks + ahead)
    var running: [Int64: RunningRow] = [:]
    for rows in found.prefix(locks.count) {
      for row in rows.map({ RunningRow($0) }) { running[row.id] = row }
    }
    var parts = SettleParts()
    for settlement in settlements {
      let lease = settlement.lease
      guard let row = running[lease.job], row.token == lease.token else {
        answer.answers.append(.known(.leaseLost))
        continue
      }
      running[lease.job] = nil
      if let took = settlement.recording, let status = RunStatus(settlement.outcome) { record(row.id, status, took: took) }
      if case .completed(let jobs) = settlement.outcome, !jobs.isEmpty {
        // What came before goes first, and the job too, so that a replacement may carry its unique key.
        parts.completed.append(row.id)
        write(&parts)
        answer.answers.append(.replaced(try insert(jobs)))
      } else {
        write(settlement.outcome, of: row, &parts)
        answer.answers.append(.known(.settled()))
      }
    }
    write(&parts)
    receipt.settled = answer
    return (answer, Array(found.dropFirst(locks.count)))
  }

  private func write(_ outcome: Settlement.Outcome, of row: RunningRow, _ parts: inout SettleParts) {
    switch outcome {
    case .completed: parts.completed.append(row.id)
    case .retry(let delay, let message):
      log(row.id, .failed, message: message, final: false)
      wait(again: row, due: now.advanced(by: delay).microseconds, attempts: 1, &parts)
    case .snoozed(let delay, let counts):
      wait(again: row, due: now.advanced(by: delay).microseconds, attempts: counts ? 1 : 0, &parts)
    case .aborted(let message):
      log(row.id, .aborted, message: message, final: true)
      parts.completed.append(row.id)
    case .failed(let message):
      log(row.id, .failed, message: message, final: true)
      parts.completed.append(row.id)
    case .released:
      parts.released.append(row.id)
      enter(ready: [(row.kind, row.ranking, row.due, row.id)])
    }
  }

  private func wait(again row: RunningRow, due: Int64, attempts: Int64, _ parts: inout SettleParts) {
    parts.released.append(row.id)
    write("UPDATE qudo_job SET due = \(due), attempt = attempt + \(attempts) WHERE id = \(row.id)")
    if due <= now.microseconds {
      enter(ready: [(row.kind, row.ranking, due, row.id)])
    } else {
      wakes = true
      write("INSERT INTO qudo_delayed(due, id, kind, ranking, frees) VALUES(\(due), \(row.id), \(row.kind), \(row.ranking), 0)")
    }
  }

  /// Jobs that were claimed before: an `untilStarted` key of theirs is free already.
  func enter(ready jobs: [(kind: Int64, ranking: Int64, due: Int64, id: Int64)]) {
    wakes = true
    for job in jobs { entered(job.kind, ranking: job.ranking, isOld: true) }
    for part in jobs.parts(of: 1000) {
      let rows = part.map { job -> SQL in "(\(job.kind),\(job.ranking),\(job.due),\(job.id),0)" }
      write("INSERT INTO qudo_ready(kind, ranking, due, id, frees) VALUES\(rows.joined(","))")
    }
  }

  private func write(_ parts: inout SettleParts) {
    leaveRunning(parts.completed + parts.released)
    forget(parts.completed)
    parts = SettleParts()
  }

  func leaveRunning(_ ids: [Int64]) {
    for part in ids.sorted().parts() { write("DELETE FROM qudo_running WHERE id IN \(list: part)") }
  }

  /// Deletes jobs for good. AUTO_INCREMENT does not give their ids again, not even after a restart of the server:
  /// "the current maximum auto-increment counter value is written to the redo log each time it changes" (MySQL 8.0;
  /// MariaDB since 10.2.4 keeps it in the root page of the table).
  func forget(_ ids: [Int64]) {
    for part in ids.sorted().parts() { write("DELETE FROM qudo_job WHERE id IN \(list: part)") }
  }

  /// Only a final failure carries the payload; an earlier one points to the job.
  func log(_ id: Int64, _ reason: FailureReason, message: String, final: Bool) {
    write("""
      INSERT INTO qudo_failure(
        job, kind, attempt, failed_at, reason, final, message, ranking, unique_key, unique_scope, codec, meta, payload)
      SELECT id, kind, attempt, \(now.microseconds), \(reason.number), \(final ? 1 : 0), \(Array(message.utf8)), ranking, unique_key,
        unique_scope, codec, \(final ? "meta" : "NULL" as SQL), \(final ? "payload" : "NULL" as SQL)
      FROM qudo_job WHERE id = \(id)
      """)
  }

  private func record(_ id: Int64, _ status: RunStatus, took: Duration) {
    let started = now.advanced(by: .zero - max(took, .zero))
    write("""
      INSERT INTO qudo_status(job, kind, status, started_at, ended_at, unique_key, codec, payload)
      SELECT id, kind, \(status.number), \(started.microseconds), \(now.microseconds), unique_key, codec, payload
      FROM qudo_job WHERE id = \(id)
      """)
  }
}

/// What several settlements write with one statement.
private struct SettleParts {
  /// Jobs that go.
  var completed: [Int64] = []
  /// Jobs that wait again.
  var released: [Int64] = []
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

extension Settlement.Outcome {
  /// Whether a job may be ready after it that was not before.
  var mayMakeReady: Bool {
    switch self {
    case .completed(let replacements): !replacements.isEmpty
    case .failed, .aborted: false
    case .retry(let delay, _), .snoozed(let delay, _): delay.wholeMicroseconds <= 0
    case .released: true
    }
  }
}
#endif
