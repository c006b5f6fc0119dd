/// The renewal of leases.
extension WorkerState {
  /// Returns the leases that are due for renewal, a third into their duration. All have the same duration.
  mutating func takeRenewals(_ now: Int64) -> ([Lease], Duration)? {
    guard now >= nextRenewal else { return nil }
    var leases: [Lease] = []
    var length: Duration?
    var next = Int64.max
    for held in allHeld {
      let lease = handlers[held.job.kind]?.policy.leaseDuration ?? .seconds(60)
      // Leases that are due within the next twelfth of their duration are renewed in the same call.
      if held.renewAt - lease.wholeMicroseconds / 12 <= now, length == nil || length == lease {
        length = lease
        leases.append(held.lease)
      } else {
        next = min(next, held.renewAt)
      }
    }
    nextRenewal = next
    return length.map { (leases, $0) }
  }

  var allHeld: [Held] {
    slots.runs.compactMap { $0.run.stop == .leaseLost ? nil : $0.run.held } + buffer.all
  }

  /// - Returns: The jobs whose leases are lost, and the slots whose tasks must be cancelled.
  mutating func extended(_ old: [Lease], _ new: [Lease?], by length: Duration, asked: Int64) -> (
    lost: [ClaimedJob], cancelled: [Int]
  ) {
    if finished.isEmpty { backoff.worked() }
    // A cancel that no ring told of is found with the renewals.
    wake.ringsChecked = nil
    let renewAt = asked + length.wholeMicroseconds / 3
    nextRenewal = min(nextRenewal, renewAt)
    let answers = Dictionary(zip(old, new), uniquingKeysWith: { first, _ in first })
    var lost: [ClaimedJob] = []
    var cancelled: [Int] = []
    for (slot, run) in Array(slots.runs) {
      guard let answer = answers[run.held.lease] else { continue }
      if let lease = answer {
        slots.update(slot) { ($0.held.lease, $0.held.renewAt) = (lease, renewAt) }
      } else if run.mayBeCompletedExternally {
        // The lease may have ended because the job was completed; the end of the run shows it.
        slots.update(slot) { $0.held.renewAt = .max }
      } else {
        slots.update(slot) { $0.stop = .leaseLost }
        lost.append(run.held.job)
        cancelled.append(slot)
      }
    }
    var kept: [Held] = []
    for var held in buffer.all {
      if let answer = answers[held.lease] {
        guard let lease = answer else {
          lost.append(held.job)
          letGo(held.job.kind)
          continue
        }
        held.lease = lease
        held.renewAt = renewAt
      }
      kept.append(held)
    }
    buffer.replaceAll(with: kept)
    // Jobs that ended meanwhile are settled with their new lease.
    finished.renew(answers)
    summary.leaseLost += lost.count
    return (lost, cancelled)
  }

  /// Notes that a renewal failed. The leases may still be valid: settling the jobs will show it.
  ///
  /// - Returns: Whether to give up.
  mutating func extensionFailed(now: Int64) -> Bool {
    let givesUp = failed([], now: now)
    nextRenewal = backoff.retryAt
    return givesUp
  }
}
