internal import Qudo

// An idle worker is woken by whatever anybody commits. It looks whether that concerns it before it takes the turn from those who
// have work: a read transaction keeps nobody waiting.
extension Transaction {
  /// Of so many kinds each is looked up.
  private static let mostKinds = 32

  /// What a claim would answer, if it would find nothing to do; nil if it may find something.
  func idleClaim(_ request: ClaimRequest) throws(QudoError) -> Claim? {
    guard request.limit > 0, request.demands.count <= Self.mostKinds, !mayPruneReceipts else { return nil }
    for demand in request.demands {
      guard let kind = try connection.kindID(demand.kind) else { continue }
      if try hasReady(kind) { return nil }
    }
    guard try firstDue() > now.wall.microseconds, try lastWritten() <= now.wall.microseconds, try firstEnd() > now.sinceBoot else { return nil }
    for holder in try holders() {
      guard let locks, holder.instance.isAlive(locks, now), !holder.isAhead, holder.firstEnd > now.sinceBoot else { return nil }
    }
    return Claim(jobs: [], timeUntilNextDue: try nextDue(), timeUntilNextLeaseExpiry: try nextLeaseEnd())
  }
}

/// How often in a row a driver's claims have found nothing.
final class IdleStreak: Sendable {
  private let count = Locked(0)

  /// Whether it is worth looking before the turn is taken.
  var isIdle: Bool { count.withLock { $0 > 0 } }

  func note(_ claim: Claim) { count.withLock { $0 = claim.jobs.isEmpty ? min($0 + 1, 100) : 0 } }

  /// For how long a driver whose looks find nothing need not hear of what others commit, in milliseconds: at most as long as a job of
  /// its own may wait beside them.
  var pause: Int { count.withLock { $0 < 8 ? 0 : min(1 << min($0 - 8, 4), 10) } }
}
