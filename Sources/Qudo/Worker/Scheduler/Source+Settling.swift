/// The decision when to call the database. The slots continue with buffered jobs meanwhile.
extension Source {
  /// The time that a finished job waits to be settled together with others, in microseconds. It waits longer
  /// if the rest of the buffer will start soon, within the prefetch window.
  static let settleDelay: Int64 = 2000

  /// Returns whether to settle finished jobs now: at once if no buffered job can start, else after
  /// ``settleDelay``.
  ///
  /// - Parameter isCrowdedOut: Whether no buffered job can start because other sources have all free slots.
  func isSettleDue(_ now: Int64, _ phase: Scheduler.Phase, isCrowdedOut: Bool) -> Bool {
    guard !finished.isEmpty else { return false }
    if buffer.isEmpty || phase != .working || isCrowdedOut { return true }
    return now - finished.since >= Self.settleDelay && !prefetch.isRestQuick(buffer.count, now: now)
  }

  /// The time to check again whether to settle finished jobs.
  func settlesAt(_ now: Int64) -> Int64 {
    let due = finished.since + Self.settleDelay
    return due <= now ? now + max(prefetch.claimLatency / 2, 100) : due
  }

  func isRefillDue(_ now: Int64) -> Bool {
    prefetch.isRefillDue(buffer.count, finished: finished.count, now: now)
  }

  /// Returns whether the pump has work after the end of a run. Waking it for each run would cost more than
  /// many short runs.
  ///
  /// Mutating, although it changes nothing: a call that only reads copies the source, once for each run.
  mutating func hasNews(_ now: Int64, _ phase: Scheduler.Phase, isCrowdedOut: Bool) -> Bool {
    // The first finished job sets the time by which it must be settled.
    finished.count <= 1 || (wake.shouldClaim && isRefillDue(now))
      || isSettleDue(now, phase, isCrowdedOut: isCrowdedOut)
  }

  // MARK: Jobs that do not begin

  static let stalled: Int64 = 250_000

  /// Releases prefetched jobs for other workers if they cannot start because the running jobs are slow.
  mutating func giveBackStalled(_ now: Int64, _ share: Scheduler.Share, _ kinds: inout KindCounts) {
    guard !buffer.isEmpty, share.slots == 0, now - buffer.movedAt >= Self.stalled else { return }
    prefetch.noteStall(now - buffer.movedAt)
    giveBackBuffered(&kinds)
  }

  /// Returns the settlement of a claimed job that is released before its run began.
  func release(_ held: HeldJob) -> Settlement {
    rules.handlers[held.job.kind]?.policy.rate == nil
      ? Settlement(held.lease, .released) : .unbegun(held.lease)
  }

  mutating func giveBackBuffered(_ kinds: inout KindCounts) {
    for held in buffer.takeAll() {
      finished.append(release(held))
      kinds.letGo(held.job.kind)
    }
  }
}
