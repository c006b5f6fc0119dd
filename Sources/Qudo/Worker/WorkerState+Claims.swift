/// What is claimed, and what came of it.
extension WorkerState {
  func nextClaim() -> ClaimRequest? {
    guard phase == .working else { return nil }
    if mode == .once, running > 0 || bufferedCount > 0 || summary != WorkSummary() || !finished.isEmpty { return nil }
    let occupied = running + abandoned
    let limit = concurrency - occupied + ahead - bufferedCount
    guard limit > 0, occupied < concurrency || ahead > 0 else { return nil }
    guard !heldOfLimited.isEmpty else { return ClaimRequest(request.abilities, limit: limit) }
    var abilities: [ClaimRequest.Ability] = []
    for var ability in request.abilities {
      if let most = self.abilities[ability.kind]?.policy.concurrency {
        ability.limit = max(0, most - heldOfLimited[ability.kind, default: 0])
        if ability.limit == 0 { continue }
      }
      abilities.append(ability)
    }
    return abilities.isEmpty ? nil : ClaimRequest(abilities, limit: limit)
  }

  /// How many jobs to hold beside those that run: as many as take the horizon to run, and at most twice as many as
  /// the time before, so that a few quick jobs do not bring in a thousand slow ones.
  var ahead: Int {
    guard mode != .once, averageRun >= 0 else { return 0 }
    let target = Double(options.horizon.wholeMicroseconds) * Double(concurrency) / max(averageRun, 1)
    return min(Int(min(target, Double(options.claimAhead))), 2 * lastAhead + concurrency)
  }

  mutating func claimed(_ claim: Claim, by request: ClaimRequest, asked: Int64, now: Int64) {
    lastAhead = max(0, request.limit - (concurrency - running - abandoned))
    for job in claim.jobs {
      let lease = abilities[job.kind]?.policy.lease ?? .seconds(60)
      let renewAt = asked + lease.wholeMicroseconds / 3
      buffered.append(Held(job: job, lease: job.lease, renewAt: renewAt))
      nextRenewal = min(nextRenewal, renewAt)
      if !heldOfLimited.isEmpty { heldOfLimited[job.kind]? += 1 }
    }
    refillAt = bufferedCount / 2
    if phase != .working { giveBackBuffered() }
    if !claim.jobs.isEmpty { bufferMoved = now }
    hungry = hungry || claim.jobs.count >= request.limit
    restIsKnown = false
    let wait = min(claim.nextDue?.wholeMicroseconds ?? .max, claim.nextLeaseEnd?.wholeMicroseconds ?? .max)
    wakeAt = wait == .max ? .max : now + wait
  }

  mutating func settled(_ settlements: [Settlement], _ results: [SettleResult]) {
    for (settlement, result) in zip(settlements, results) { summary.count(settlement, result) }
    worked()
  }

  mutating func worked() {
    troubles = 0
    retryAt = 0
  }

  /// What was to be settled is offered again after a while.
  ///
  /// - Returns: whether to give up.
  mutating func failed(_ settlements: [Settlement], now: Int64) -> Bool {
    finished = settlements + finished
    hungry = true
    if troubles == 0 { troubleSince = now }
    retryAt = now + min(5_000_000, 50_000 << Int64(min(troubles, 7)))
    troubles += 1
    return (mode != .forever || phase != .working) && now - troubleSince >= options.patience.wholeMicroseconds
  }

  mutating func rest(_ counts: [JobCount]) {
    worked()
    guard case .untilEmpty(let skipDelayed) = mode else { return }
    restIsKnown = counts.contains { $0.ready > 0 || $0.running > 0 || ($0.delayed > 0 && !skipDelayed) }
    if !restIsKnown { phase = .draining(until: .max) }
    if counts.contains(where: { $0.ready > 0 }) { hungry = true }
  }
}
