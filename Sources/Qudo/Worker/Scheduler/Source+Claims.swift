/// Claims: their size, their results, and the backoff after errors.
extension Source {
  func nextClaim(_ share: Scheduler.Share, _ kinds: KindCounts, _ phase: Scheduler.Phase) -> ClaimRequest? {
    guard phase == .working, !waitsForHooks else { return nil }
    if rules.mode == .once, running > 0 || !buffer.isEmpty || !summary.isNothing || !finished.isEmpty {
      return nil
    }
    let limit = share.slots + ahead - buffer.count
    guard limit > 0, share.slots > 0 || ahead > 0 else { return nil }
    guard !kinds.isEmpty else { return ClaimRequest(rules.request.demands, limit: limit) }
    var demands: [ClaimRequest.KindDemand] = []
    for var demand in rules.request.demands {
      if let room = kinds.room(demand.kind, promised: share.promised[demand.kind] ?? 0) {
        if room == 0 { continue }
        demand.limit = room
      }
      demands.append(demand)
    }
    return demands.isEmpty ? nil : ClaimRequest(demands, limit: limit)
  }

  /// The number of jobs to prefetch.
  ///
  /// None if a kind has a rate: its jobs count when they are claimed, so they must begin then. And among prefetched jobs of other
  /// kinds, a claim would seldom find a slot for them.
  var ahead: Int {
    rules.mode == .once || rules.hasRates
      ? 0 : prefetch.target(rules.options, concurrency: rules.concurrency)
  }

  mutating func claimed(
    _ claim: Claim, by request: ClaimRequest, asked: Int64, now: Int64, _ phase: Scheduler.Phase,
    _ kinds: inout KindCounts
  ) {
    prefetch.last = prefetch.requested
    wake.listensAt = now + Self.listeningPause
    summary.count(claim.givenUp)
    // Usually all jobs have one kind, so look up its policy only when the kind changes.
    var (kind, renewAt) = (Kind?.none, asked)
    var bytes = 0
    for job in claim.jobs {
      bytes += job.payload.bytes.count
      if job.kind != kind {
        kind = job.kind
        renewAt =
          asked + (rules.handlers[job.kind]?.policy.leaseDuration ?? .seconds(60)).wholeMicroseconds / 3
      }
      let held = HeldJob(job: job, lease: job.lease, renewAt: renewAt)
      // The answer to a claim that took so long that another source was given the room.
      guard kinds.isEmpty || kinds.hold(job.kind) else {
        finished.append(release(held))
        continue
      }
      buffer.append(held)
      nextRenewal = min(nextRenewal, renewAt)
    }
    prefetch.filled(
      buffer.count, asked: asked, now: now, window: rules.options.prefetchWindow.wholeMicroseconds)
    if phase != .working { giveBackBuffered(&kinds) }
    if !claim.jobs.isEmpty {
      buffer.moved(now: now)
      prefetch.noteClaim(claim.jobs.count, bytes: bytes)
    }
    mayHaveMore = claim.jobs.count >= request.limit
    wake.shouldClaim = wake.shouldClaim || mayHaveMore
    wake.remainingConfirmed = false
    let wait = min(
      claim.timeUntilNextDue?.wholeMicroseconds ?? .max,
      claim.timeUntilNextLeaseExpiry?.wholeMicroseconds ?? .max)
    wake.claimAt = wait == .max ? .max : now.clampedPlus(wait)
  }

  mutating func settled(_ settlements: [Settlement], _ results: [SettleResult]) {
    settledAlone(settlements, results)
    backoff.worked()
  }

  /// Counts settlements that were written without the failed claim; the backoff continues.
  mutating func settledAlone(_ settlements: [Settlement], _ results: [SettleResult]) {
    for (settlement, result) in zip(settlements, results) { summary.count(settlement, result) }
  }

  /// Keeps settlements that were not written, and sets the time of the next attempt.
  ///
  /// - Returns: Whether to give up.
  mutating func failed(_ settlements: [Settlement], now: Int64, _ phase: Scheduler.Phase) -> Bool {
    finished.putBack(settlements)
    wake.shouldClaim = true
    let holds = running > 0 || !buffer.isEmpty || !finished.isEmpty
    backoff.failed(now: now, holds: holds, probeInterval: probeInterval)
    let isOver = backoff.isOver(rules.options.outageTimeout.wholeMicroseconds, now: now)
    guard probeInterval != nil else { return (rules.mode != .forever || phase != .working) && isOver }
    if rules.mode == .once { return !holds || isOver }
    return phase != .working && running == 0 && isOver
  }

  /// The time at which the outage timeout of a monitored database ends.
  func outageEnd(_ now: Int64) -> Int64 {
    probeInterval == nil ? .max : backoff.end(of: rules.options.outageTimeout.wholeMicroseconds, now: now)
  }

  /// Whether a kind has reached its maximum of running jobs, those of all processes together.
  private func isFull(_ count: JobCount) -> Bool {
    rules.handlers[count.kind]?.policy.maxRunning.map { $0 <= count.running } ?? false
  }

  /// Whether a claim may find a ready job of the kind that the last one did not: one with a rate is claimed when its next token is
  /// there, which the last claim told.
  private func mayClaim(_ count: JobCount) -> Bool {
    count.ready > 0 && !count.isPaused && !isFull(count) && rules.handlers[count.kind]?.policy.rate == nil
  }

  mutating func rest(_ counts: [JobCount]) {
    backoff.worked()
    guard case .untilEmpty(let skipDelayed) = rules.mode else { return }
    // A paused kind is waited for like a delayed job.
    let isEmpty = !counts.contains {
      $0.running > 0 || ($0.ready > 0 && !($0.isPaused && skipDelayed)) || ($0.delayed > 0 && !skipDelayed)
    }
    noteRest(isEmpty: isEmpty)
    // With other sources, it waits until they are empty, too.
    wake.remainingConfirmed = true
    if counts.contains(where: mayClaim) { wake.shouldClaim = true }
  }
}
