/// Claims: their size, their results, and the backoff after errors.
extension WorkerState {
  func nextClaim() -> ClaimRequest? {
    guard phase == .working, !waitsForHooks else { return nil }
    if mode == .once, running > 0 || bufferedCount > 0 || !summary.isNothing || !finished.isEmpty {
      return nil
    }
    let vacant = grant?.count ?? concurrency - running - abandoned
    let limit = vacant + ahead - bufferedCount
    guard limit > 0, vacant > 0 || ahead > 0 else { return nil }
    guard !heldOfLimited.isEmpty else { return ClaimRequest(request.demands, limit: limit) }
    var handlers: [ClaimRequest.KindDemand] = []
    for var handler in request.demands {
      if let most = self.handlers[handler.kind]?.policy.maxHeld {
        handler.limit = max(
          0, most - heldOfLimited[handler.kind, default: 0] - (grant?.heldElsewhere[handler.kind] ?? 0))
        if handler.limit == 0 { continue }
      }
      handlers.append(handler)
    }
    return handlers.isEmpty ? nil : ClaimRequest(handlers, limit: limit)
  }

  /// Whether it could run more jobs, but the other databases hold all permits, or all that a kind's limit
  /// allows.
  var isStarvedOfPermits: Bool {
    guard let grant, phase == .working, running + abandoned < concurrency else { return false }
    return grant.count == 0 || grant.heldElsewhere.values.contains { $0 > 0 }
  }

  /// The number of jobs to prefetch: as many as fill the prefetch window, and at most twice as many as the
  /// last time, so that a few short jobs do not cause a claim of a thousand long ones.
  ///
  /// None if a kind has a rate: its jobs count when they are claimed, so they must begin then. And among prefetched jobs of other
  /// kinds, a claim would seldom find a slot for them.
  var ahead: Int {
    guard mode != .once, !hasRates, averageRun >= 0 else { return 0 }
    let target = Double(options.prefetchWindow.wholeMicroseconds) * Double(concurrency) / max(averageRun, 1)
    let room = Double(options.maxPrefetchBytes) / max(averageBytes, 1)
    return min(Int(min(target, room, Double(options.maxPrefetch))), 2 * lastPrefetch + concurrency)
  }

  mutating func claimed(_ claim: Claim, by request: ClaimRequest, asked: Int64, now: Int64) {
    lastPrefetch = requestedPrefetch
    listensAt = now + Self.listeningPause
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
      buffered.append(Held(job: job, lease: job.lease, renewAt: renewAt))
      nextRenewal = min(nextRenewal, renewAt)
      if !heldOfLimited.isEmpty { heldOfLimited[job.kind]? += 1 }
    }
    refillAt = bufferedCount / 2
    filled(asked: asked, now: now)
    if phase != .working { giveBackBuffered() }
    if !claim.jobs.isEmpty {
      bufferMoved = now
      noteSizes(Double(bytes) / Double(claim.jobs.count))
    }
    shouldClaim = shouldClaim || claim.jobs.count >= request.limit
    remainingConfirmed = false
    let wait = min(
      claim.timeUntilNextDue?.wholeMicroseconds ?? .max,
      claim.timeUntilNextLeaseExpiry?.wholeMicroseconds ?? .max)
    wakeAt = wait == .max ? .max : now.clampedPlus(wait)
  }

  /// Larger payloads count at once, smaller ones gradually: the next claim may return large ones again.
  private mutating func noteSizes(_ average: Double) {
    averageBytes = max(average, averageBytes + (average - averageBytes) / 8)
  }

  mutating func settled(_ settlements: [Settlement], _ results: [SettleResult]) {
    settledAlone(settlements, results)
    worked()
  }

  /// Counts settlements that were written without the failed claim; the backoff continues.
  mutating func settledAlone(_ settlements: [Settlement], _ results: [SettleResult]) {
    for (settlement, result) in zip(settlements, results) { summary.count(settlement, result) }
  }

  mutating func worked() {
    consecutiveErrors = 0
    retryAt = 0
  }

  /// Keeps settlements that were not written, and sets the time of the next attempt.
  ///
  /// - Returns: Whether to give up.
  mutating func failed(_ settlements: [Settlement], now: Int64) -> Bool {
    finished = settlements + finished
    shouldClaim = true
    if consecutiveErrors == 0 { failingSince = now }
    let holds = running > 0 || bufferedCount > 0 || !finished.isEmpty
    // With several databases, one where this worker holds nothing is retried less often.
    retryAt =
      now
      + min(
        probeInterval ?? 5_000_000,
        50_000 << Int64(min(consecutiveErrors, holds || probeInterval == nil ? 7 : 40)),
        holds ? 5_000_000 : .max)
    consecutiveErrors += 1
    if probeInterval != nil {
      guard mode != .once else {
        return !holds || now - failingSince >= options.outageTimeout.wholeMicroseconds
      }
      return phase != .working && running == 0
        && now - failingSince >= options.outageTimeout.wholeMicroseconds
    }
    return (mode != .forever || phase != .working)
      && now - failingSince >= options.outageTimeout.wholeMicroseconds
  }

  /// The time at which the outage timeout of one of several databases ends.
  func patienceEnd(_ now: Int64) -> Int64 {
    guard probeInterval != nil, consecutiveErrors > 0 else { return .max }
    let (end, isTooLate) = failingSince.addingReportingOverflow(options.outageTimeout.wholeMicroseconds)
    return isTooLate || end <= now ? .max : end
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
    worked()
    guard case .untilEmpty(let skipDelayed) = mode else { return }
    // A paused kind is waited for like a delayed job.
    remainingConfirmed = counts.contains {
      $0.running > 0 || ($0.ready > 0 && !($0.isPaused && skipDelayed)) || ($0.delayed > 0 && !skipDelayed)
    }
    if !remainingConfirmed {
      if probeInterval == nil {
        phase = .draining(until: .max)
      } else {
        (remainingConfirmed, isEmpty) = (true, true)
      }
    }
    if counts.contains(where: mayClaim) { shouldClaim = true }
  }
}
