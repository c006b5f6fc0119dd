internal import Qudo

// Every commit wakes the idle workers. Before an idle worker takes the write lock from workers with jobs, it checks in a
// read transaction, which blocks nobody, whether there is anything to claim.
extension Transaction {
  /// The maximum number of kinds that are looked up one by one.
  private static let mostKinds = 64

  /// Returns the claim's answer if it would find nothing to do, or nil if it may find something.
  func idleClaim(_ request: ClaimRequest) throws(QudoError) -> Claim? {
    guard request.limit <= 0 || !mayPruneReceipts else { return nil }
    if request.limit > 0 {
      let running = try withinMaxRunning(try unpaused(try claimable(request.demands)), request.limit)
      let (kinds, rated) = try withinRates(running, request.limit)
      for claim in rated {
        if claim.isAhead { return nil }
        noteWait(claim, after: 0)
      }
      guard try readyTable.hasAny(of: Set(kinds.map(\.number)), lookingUp: Self.mostKinds) == false else {
        return nil
      }
    }
    guard try !cancelTable.hasOrphans(), try delayedTable.firstDue() > now.wall.microseconds,
      try delayedTable.lastWritten() <= now.wall.microseconds,
      try jobTable.nextExpiry() > now.wall.microseconds,
      try runningTable.firstOwnExpiry() > now.sinceBoot
    else { return nil }
    for holder in try holders() {
      guard let locks, holder.instance.isAlive(locks, now), !holder.isAhead, holder.firstEnd > now.sinceBoot
      else { return nil }
    }
    return Claim(
      jobs: [], timeUntilNextDue: try timeUntilNextDue(), timeUntilNextLeaseExpiry: try timeUntilNextExpiry(),
      cancelling: try cancellingOwn())
  }
}

/// The number of consecutive claims of a driver that found nothing.
final class IdleStreak: Sendable {
  /// Negative before the first claim.
  private let count = Locked(-1)

  /// Whether to check for jobs before taking the write lock.
  var isIdle: Bool { count.withLock { $0 > 0 } }

  /// Notes the answer to a claim.
  ///
  /// - Returns: Whether it was the driver's first one.
  func note(_ claim: Claim) -> Bool {
    count.withLock { count in
      defer { count = claim.jobs.isEmpty ? min(max(count, 0) + 1, 100) : 0 }
      return count < 0
    }
  }

  /// The pause in milliseconds, at most 10, before an idle driver hears of other processes' commits. It delays a job
  /// of its own by as much.
  var pause: Int { count.withLock { $0 < 8 ? 0 : min(1 << min($0 - 8, 4), 10) } }
}
