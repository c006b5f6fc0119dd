/// The renewal of leases.
extension Source {
  /// Returns the leases that are due for renewal, a third into their duration. All have the same duration.
  mutating func takeRenewals(_ now: Int64, _ slots: Slots) -> ([Lease], Duration)? {
    guard now >= nextRenewal else { return nil }
    var leases: [Lease] = []
    var length: Duration?
    var next = Int64.max
    func renew(_ held: HeldJob) {
      let lease = rules.handlers[held.job.kind]?.policy.leaseDuration ?? .seconds(60)
      // Leases that are due within the next twelfth of their duration are renewed in the same call.
      if held.renewAt - lease.wholeMicroseconds / 12 <= now, length == nil || length == lease {
        length = lease
        leases.append(held.lease)
      } else {
        next = min(next, held.renewAt)
      }
    }
    for (_, run) in slots.runs where run.source == index && run.stop != .leaseLost { renew(run.held) }
    for held in buffer.all { renew(held) }
    nextRenewal = next
    return length.map { (leases, $0) }
  }
}

extension Scheduler {
  /// Notes the answer of a renewal.
  ///
  /// - Returns: The jobs whose leases are lost, and the slots whose tasks must be cancelled.
  mutating func extended(
    _ source: Int, _ old: [Lease], _ new: [Lease?], by length: Duration, asked: Int64
  ) -> (lost: [ClaimedJob], cancelled: [Int]) {
    let renewAt = asked + length.wholeMicroseconds / 3
    let answers = Dictionary(zip(old, new), uniquingKeysWith: { first, _ in first })
    var lost: [ClaimedJob] = []
    var cancelled: [Int] = []
    for (slot, run) in Array(slots.runs) where run.source == source {
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
    lost += sources[source].extended(answers, renewAt: renewAt, &kinds)
    sources[source].summary.leaseLost += lost.count
    return (lost, cancelled)
  }

  /// Notes that a renewal failed. The leases may still be valid: settling the jobs will show it.
  ///
  /// - Returns: Whether to give up.
  mutating func extensionFailed(_ source: Int, now: Int64) -> Bool {
    let givesUp = failed(source, [], now: now)
    sources[source].nextRenewal = sources[source].backoff.retryAt
    return givesUp
  }
}

extension Source {
  /// Notes the renewed leases of the jobs that have not begun, or have ended.
  ///
  /// - Returns: The jobs that have not begun and lost their leases.
  fileprivate mutating func extended(
    _ answers: [Lease: Lease?], renewAt: Int64, _ kinds: inout KindCounts
  ) -> [ClaimedJob] {
    if finished.isEmpty { backoff.worked() }
    // A cancel that no ring told of is found with the renewals.
    wake.ringsChecked = nil
    nextRenewal = min(nextRenewal, renewAt)
    var lost: [ClaimedJob] = []
    var kept: [HeldJob] = []
    for var held in buffer.all {
      if let answer = answers[held.lease] {
        guard let lease = answer else {
          lost.append(held.job)
          kinds.letGo(held.job.kind)
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
    return lost
  }
}
