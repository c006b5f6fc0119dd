internal import Qudo

extension MemoryDatabase {
  mutating func settle(_ settlements: [Settlement], now: ClockReading) -> [SettleResult] {
    settlements.map { settlement in
      guard let row = row(of: settlement.lease) else { return .leaseLost }
      if !settlement.hasBegun, case .released = settlement.outcome {
        buckets[row.kind]?.giveBack(1)
        if let key = row.key { keyBuckets[key]?.giveBack(1) }
      }
      if row.cancelReason != nil, !settlement.outcome.completes {
        end(cancelled: row, now: now)
        return .cancelled
      }
      if let took = settlement.recording { record(row, settlement.outcome, took, now: now) }
      return .settled(replacements: write(settlement.outcome, of: row, now: now))
    }
  }

  /// Returns the job of a lease if the lease is still the current one. The token decides, not the time.
  private func row(of lease: Lease) -> Row? {
    guard let row = jobs[lease.job], case .running(let current, _, _) = row.place,
      current.token == lease.token
    else { return nil }
    return row
  }

  private mutating func write(_ outcome: Settlement.Outcome, of row: Row, now: ClockReading) -> [InsertResult]
  {
    var row = row
    switch outcome {
    case .completed(let replacements):
      // Delete the old row first, so that a replacement may have the same unique key.
      leave(row, now: now)
      if replacements.isEmpty { beginRest(row, now: now) }
      return insert(replacements, now: now)
    case .retry(let delay, let message):
      log(row, .failed, message, isFinal: false, now: now)
      row.attempt += 1
      row.lost = 0
      (row.due, row.delayed) = (now.wall.advanced(by: delay), now.wall)
      wait(row, now: now)
    case .snoozed(let delay, let countsAttempt):
      if countsAttempt { row.attempt += 1 }
      row.lost = 0
      (row.due, row.delayed) = (now.wall.advanced(by: delay), now.wall)
      wait(row, now: now)
    case .failed(let message):
      fail(row, .failed, message, now: now)
    case .aborted(let message):
      fail(row, .aborted, message, now: now)
    case .released:
      row.place = .ready
      jobs[row.id] = row
    }
    return []
  }

  /// Ends a job that failed for good, and enqueues the job that its kind's route asks for.
  mutating func fail(_ row: Row, _ reason: FailureReason, _ message: String, now: ClockReading) {
    log(row, reason, message, isFinal: true, now: now)
    if let key = row.key, keyRules[key]?.afterFailure == .stop {
      let stop = KeyStop(row.kind, key: key.text, failure: lastFailure, job: row.id, stoppedAt: now.wall)
      keyStops.append((key, stop))
    }
    leave(row, now: now)
    guard let target = routes[row.kind] else { return }
    let failed = FailedJob(
      id: row.id, kind: row.kind, reason: reason, attempt: row.attempt, message: message)
    _ = insert(
      [
        FailureRoute.job(
          target, after: failed, payload: row.payload, priority: row.priority, metadata: row.meta)
      ], now: now)
  }

  /// Logs a failed run. Of several retried runs in a row with one payload, only the first has it.
  mutating func log(_ row: Row, _ reason: FailureReason, _ message: String, isFinal: Bool, now: ClockReading)
  {
    lastFailure += 1
    let earlier = isFinal ? nil : lastPayload(of: row.id, before: lastFailure)
    let record = FailureRecord(
      id: lastFailure, job: row.id, kind: row.kind, reason: reason, message: message,
      payload: earlier?.bytes == row.payload.bytes ? nil : row.payload,
      uniqueKey: row.unique?.key, priority: row.priority, attempt: row.attempt, failedAt: now.wall,
      isFinal: isFinal,
      replayedAs: nil)
    failures.append(
      Failure(
        record: record,
        key: row.key.map { keyRules[$0]?.key($0.text) ?? ConcurrencyKey($0.text) },
        group: row.groupName,
        codec: row.payload.codec, scope: row.unique?.scope,
        meta: isFinal ? row.meta : JobMetadata()))
  }

  private func lastPayload(of job: Int64, before id: Int64) -> Payload? {
    failures.last { $0.record.job == job && $0.record.id < id && $0.record.payload != nil }?.record.payload
  }

  /// The rows of the failure log as they are listed, oldest first.
  var listedFailures: [FailureRecord] {
    failures.map { failure in
      var row = failure.record
      guard !row.isFinal, row.payload == nil else { return row }
      row.payload = lastPayload(of: row.job, before: row.id).map { Payload($0.bytes, codec: failure.codec) }
      return row
    }
  }

  /// Records a finished run. A snoozed or released run is not finished.
  private mutating func record(_ row: Row, _ outcome: Settlement.Outcome, _ took: Duration, now: ClockReading)
  {
    let status: RunStatus
    switch outcome {
    case .completed(let replacements): status = replacements.isEmpty ? .completed : .replaced
    case .retry, .failed: status = .failed
    case .aborted: status = .aborted
    case .snoozed, .released: return
    }
    lastStatus += 1
    statuses.append(
      StatusRecord(
        id: lastStatus, job: row.id, kind: row.kind, status: status, payload: row.payload,
        uniqueKey: row.unique?.key,
        startedAt: now.wall.advanced(by: .zero - took), endedAt: now.wall))
  }

  mutating func renew(_ leases: [Lease], for duration: Duration, now: ClockReading) -> [Lease?] {
    // A call that renews gets a holder number even if it renews nothing.
    let holder = holder()
    return leases.map { lease in
      guard let row = row(of: lease), case .running(let current, let lostLimit, _) = row.place else {
        return nil
      }
      let renewed = Lease(
        job: current.job, token: current.token, holder: holder, expiresAt: end(of: duration, now))
      jobs[row.id]?.place = .running(renewed, lostLimit: lostLimit, boot: now.boot)
      return renewed
    }
  }
}
