/// The decision when to call the database. The slots continue with buffered jobs meanwhile.
extension WorkerState {
  /// The time that a finished job waits to be settled together with others, in microseconds. It waits longer
  /// if the rest of the buffer will start soon, within the prefetch window.
  static let settleDelay: Int64 = 2000

  /// Returns whether to settle finished jobs now: at once if no buffered job can start, else after
  /// ``settleDelay``.
  func isSettleDue(_ now: Int64) -> Bool {
    guard !finished.isEmpty else { return false }
    if bufferedCount == 0 || phase != .working || isStarvedOfPermits { return true }
    return now - finishedSince >= Self.settleDelay && !isRestQuick(now)
  }

  /// The time to check again whether to settle finished jobs.
  func settlesAt(_ now: Int64) -> Int64 {
    let due = finishedSince + Self.settleDelay
    return due <= now ? now + max(claimLatency / 2, 100) : due
  }

  /// Returns whether a claim is worthwhile: half of the last batch has started, or there is much to settle.
  func isRefillDue(_ now: Int64) -> Bool {
    guard bufferedCount <= refillAt || finished.count >= 250 else { return false }
    return bufferedCount == 0 || !isRestQuick(now)
  }

  /// Returns whether the rest of the buffer will start within half the latency of a claim. Then the worker
  /// waits for it and settles it in the same transaction, which halves the number of transactions.
  private func isRestQuick(_ now: Int64) -> Bool {
    let pace = Double(now - filledAt) / Double(max(filledCount - bufferedCount, 1))
    return Double(bufferedCount) * pace * 2 < Double(claimLatency)
  }

  /// Restarts the measurement of how fast the buffer empties; called when it has been filled.
  mutating func filled(asked: Int64, now: Int64) {
    // Limited, so that a single slow claim, during a database error, does not delay settlements.
    claimLatency = min(
      max(0, now - asked),
      options.prefetchWindow.wholeMicroseconds.clampedPlus(options.prefetchWindow.wholeMicroseconds))
    (filledAt, filledCount) = (now, bufferedCount)
  }

  /// Returns whether the pump has work after the end of a run. Waking it for each run would cost more than
  /// many short runs.
  func hasNews(_ now: Int64) -> Bool {
    // The first finished job sets the time by which it must be settled.
    finished.count <= 1 || (shouldClaim && isRefillDue(now)) || isSettleDue(now)
  }
}
