/// When to talk to the database. The slots go on with what is buffered meanwhile.
extension WorkerState {
  /// How long a finished job waits for others to be settled with; longer while the rest is quick, by the horizon at most.
  static let settleDelay: Int64 = 2000

  /// Whether what has finished is to be settled now: when nothing is left for a slot that asks, and otherwise soon.
  func isSettleDue(_ now: Int64) -> Bool {
    guard !finished.isEmpty else { return false }
    if bufferedCount == 0 || phase != .working || isStarvedOfPermits { return true }
    return now - finishedSince >= Self.settleDelay && !isRestQuick(now)
  }

  /// When to look again whether what has finished is to be settled.
  func settlesAt(_ now: Int64) -> Int64 {
    let due = finishedSince + Self.settleDelay
    return due <= now ? now + max(claimLatency / 2, 100) : due
  }

  /// Whether it is worth while to claim: half of the last batch has begun, or much is to be settled in the same transaction.
  func isRefillDue(_ now: Int64) -> Bool {
    guard bufferedCount <= refillAt || finished.count >= 250 else { return false }
    return bufferedCount == 0 || !isRestQuick(now)
  }

  /// Whether the rest of the buffer will have begun in half of the time that it takes to ask the database: then it is waited for, and
  /// settled along, which makes half as many transactions of it.
  private func isRestQuick(_ now: Int64) -> Bool {
    let pace = Double(now - filledAt) / Double(max(filledCount - bufferedCount, 1))
    return Double(bufferedCount) * pace * 2 < Double(claimLatency)
  }

  /// To be called when the buffer has been filled: from now on it is measured how fast it is emptied.
  mutating func filled(asked: Int64, now: Int64) {
    // One that took long for once, since the database had trouble, must not keep back what has finished.
    claimLatency = min(max(0, now - asked), options.prefetchWindow.wholeMicroseconds.clampedPlus(options.prefetchWindow.wholeMicroseconds))
    (filledAt, filledCount) = (now, bufferedCount)
  }

  /// Whether the end of a run gives something to do: to wake for each would cost more than many a run.
  func hasNews(_ now: Int64) -> Bool {
    // The first one sets the time by which it is settled.
    finished.count <= 1 || (shouldClaim && isRefillDue(now)) || isSettleDue(now)
  }
}
