/// Claims: their size, their results, and the backoff after errors.
extension WorkerState {
  func nextClaim() -> ClaimRequest? {
    guard phase == .working, !waitsForHooks else { return nil }
    if mode == .once, slots.running > 0 || !buffer.isEmpty || !summary.isNothing || !finished.isEmpty {
      return nil
    }
    let vacant = fleet?.grant?.count ?? concurrency - slots.running - slots.abandoned
    let limit = vacant + ahead - buffer.count
    guard limit > 0, vacant > 0 || ahead > 0 else { return nil }
    guard !heldOfLimited.isEmpty else { return ClaimRequest(request.demands, limit: limit) }
    var handlers: [ClaimRequest.KindDemand] = []
    for var handler in request.demands {
      if let most = self.handlers[handler.kind]?.policy.maxHeld {
        handler.limit = max(
          0, most - heldOfLimited[handler.kind, default: 0] - (fleet?.grant?.heldElsewhere[handler.kind] ?? 0)
        )
        if handler.limit == 0 { continue }
      }
      handlers.append(handler)
    }
    return handlers.isEmpty ? nil : ClaimRequest(handlers, limit: limit)
  }

  /// Whether it could run more jobs, but the other databases hold all permits, or all that a kind's limit
  /// allows.
  var isStarvedOfPermits: Bool {
    guard let grant = fleet?.grant, phase == .working, slots.running + slots.abandoned < concurrency else {
      return false
    }
    return grant.count == 0 || grant.heldElsewhere.values.contains { $0 > 0 }
  }

  /// The number of jobs to prefetch.
  ///
  /// None if a kind has a rate: its jobs count when they are claimed, so they must begin then. And among prefetched jobs of other
  /// kinds, a claim would seldom find a slot for them.
  var ahead: Int { mode == .once || hasRates ? 0 : prefetch.target(options, concurrency: concurrency) }

  mutating func claimed(_ claim: Claim, by request: ClaimRequest, asked: Int64, now: Int64) {
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
        renewAt = asked + (handlers[job.kind]?.policy.leaseDuration ?? .seconds(60)).wholeMicroseconds / 3
      }
      buffer.append(Held(job: job, lease: job.lease, renewAt: renewAt))
      nextRenewal = min(nextRenewal, renewAt)
      if !heldOfLimited.isEmpty { heldOfLimited[job.kind]? += 1 }
    }
    prefetch.filled(
      buffer.count, asked: asked, now: now, window: options.prefetchWindow.wholeMicroseconds)
    if phase != .working { giveBackBuffered() }
    if !claim.jobs.isEmpty {
      buffer.moved(now: now)
      prefetch.noteClaim(claim.jobs.count, bytes: bytes)
    }
    wake.shouldClaim = wake.shouldClaim || claim.jobs.count >= request.limit
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
  mutating func failed(_ settlements: [Settlement], now: Int64) -> Bool {
    finished.putBack(settlements)
    wake.shouldClaim = true
    let holds = slots.running > 0 || !buffer.isEmpty || !finished.isEmpty
    backoff.failed(now: now, holds: holds, probeInterval: fleet?.probeInterval)
    let isOver = backoff.isOver(options.outageTimeout.wholeMicroseconds, now: now)
    guard fleet != nil else { return (mode != .forever || phase != .working) && isOver }
    if mode == .once { return !holds || isOver }
    return phase != .working && slots.running == 0 && isOver
  }

  /// The time at which the outage timeout of one of several databases ends.
  func outageEnd(_ now: Int64) -> Int64 {
    fleet == nil ? .max : backoff.end(of: options.outageTimeout.wholeMicroseconds, now: now)
  }

  /// Whether a kind has reached its maximum of running jobs, those of all processes together.
  private func isFull(_ count: JobCount) -> Bool {
    handlers[count.kind]?.policy.maxRunning.map { $0 <= count.running } ?? false
  }

  /// Whether a claim may find a ready job of the kind that the last one did not: one with a rate is claimed when its next token is
  /// there, which the last claim told.
  private func mayClaim(_ count: JobCount) -> Bool {
    count.ready > 0 && !count.isPaused && !isFull(count) && handlers[count.kind]?.policy.rate == nil
  }

  mutating func rest(_ counts: [JobCount]) {
    backoff.worked()
    guard case .untilEmpty(let skipDelayed) = mode else { return }
    // A paused kind is waited for like a delayed job.
    wake.remainingConfirmed = counts.contains {
      $0.running > 0 || ($0.ready > 0 && !($0.isPaused && skipDelayed)) || ($0.delayed > 0 && !skipDelayed)
    }
    if !wake.remainingConfirmed {
      if fleet == nil {
        phase = .draining(until: .max)
      } else {
        wake.remainingConfirmed = true
        fleet?.isEmpty = true
      }
    }
    if counts.contains(where: mayClaim) { wake.shouldClaim = true }
  }
}
