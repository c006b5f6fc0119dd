/// What is claimed, and what came of it.
extension WorkerState {
  func nextClaim() -> ClaimRequest? {
    guard phase == .working else { return nil }
    if mode == .once, running > 0 || bufferedCount > 0 || !summary.isNothing || !finished.isEmpty { return nil }
    let vacant = room?.count ?? concurrency - running - abandoned
    let limit = vacant + ahead - bufferedCount
    guard limit > 0, vacant > 0 || ahead > 0 else { return nil }
    guard !heldOfLimited.isEmpty else { return ClaimRequest(request.abilities, limit: limit) }
    var abilities: [ClaimRequest.Ability] = []
    for var ability in request.abilities {
      if let most = self.abilities[ability.kind]?.policy.concurrency {
        ability.limit = max(0, most - heldOfLimited[ability.kind, default: 0] - (room?.heldElsewhere[ability.kind] ?? 0))
        if ability.limit == 0 { continue }
      }
      abilities.append(ability)
    }
    return abilities.isEmpty ? nil : ClaimRequest(abilities, limit: limit)
  }

  /// Whether it could run more, and the worker's other databases have all permits, or all jobs that a limit allows.
  var isCrowdedOut: Bool {
    guard let room, phase == .working, running + abandoned < concurrency else { return false }
    return room.count == 0 || room.heldElsewhere.values.contains { $0 > 0 }
  }

  /// How many jobs to hold beside those that run: as many as take the horizon to run, and at most twice as many as
  /// the time before, so that a few quick jobs do not bring in a thousand slow ones.
  var ahead: Int {
    guard mode != .once, averageRun >= 0 else { return 0 }
    let target = Double(options.horizon.wholeMicroseconds) * Double(concurrency) / max(averageRun, 1)
    let room = Double(options.maxPrefetchBytes) / max(averageBytes, 1)
    return min(Int(min(target, room, Double(options.claimAhead))), 2 * lastAhead + concurrency)
  }

  mutating func claimed(_ claim: Claim, by request: ClaimRequest, asked: Int64, now: Int64) {
    lastAhead = askedAhead
    summary.givenUp += claim.givenUp.count
    // Most often they are of one kind, one after the other.
    var (kind, renewAt) = (Kind?.none, asked)
    var bytes = 0
    for job in claim.jobs {
      bytes += job.payload.bytes.count
      if job.kind != kind {
        kind = job.kind
        renewAt = asked + (abilities[job.kind]?.policy.lease ?? .seconds(60)).wholeMicroseconds / 3
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
    hungry = hungry || claim.jobs.count >= request.limit
    restIsKnown = false
    let wait = min(claim.nextDue?.wholeMicroseconds ?? .max, claim.nextLeaseEnd?.wholeMicroseconds ?? .max)
    wakeAt = wait == .max ? .max : now.clampedPlus(wait)
  }

  /// Larger payloads count at once, smaller ones little by little: the next claim may bring large ones again.
  private mutating func noteSizes(_ average: Double) {
    averageBytes = max(average, averageBytes + (average - averageBytes) / 8)
  }

  mutating func settled(_ settlements: [Settlement], _ results: [SettleResult]) {
    settledAlone(settlements, results)
    worked()
  }

  /// Without the claim, which failed: so the trouble goes on.
  mutating func settledAlone(_ settlements: [Settlement], _ results: [SettleResult]) {
    for (settlement, result) in zip(settlements, results) { summary.count(settlement, result) }
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
    let holds = running > 0 || bufferedCount > 0 || !finished.isEmpty
    // Of several databases, one that has nothing of ours is left alone for longer.
    retryAt = now + min(retry ?? 5_000_000, 50_000 << Int64(min(troubles, holds || retry == nil ? 7 : 40)), holds ? 5_000_000 : .max)
    troubles += 1
    if retry != nil {
      guard mode != .once else { return !holds || now - troubleSince >= options.patience.wholeMicroseconds }
      return phase != .working && running == 0 && now - troubleSince >= options.patience.wholeMicroseconds
    }
    return (mode != .forever || phase != .working) && now - troubleSince >= options.patience.wholeMicroseconds
  }

  /// When one of several databases counts as down.
  func patienceEnd(_ now: Int64) -> Int64 {
    guard retry != nil, troubles > 0 else { return .max }
    let (end, isTooLate) = troubleSince.addingReportingOverflow(options.patience.wholeMicroseconds)
    return isTooLate || end <= now ? .max : end
  }

  mutating func rest(_ counts: [JobCount]) {
    worked()
    guard case .untilEmpty(let skipDelayed) = mode else { return }
    restIsKnown = counts.contains { $0.ready > 0 || $0.running > 0 || ($0.delayed > 0 && !skipDelayed) }
    if !restIsKnown {
      if retry == nil { phase = .draining(until: .max) } else { (restIsKnown, isEmpty) = (true, true) }
    }
    if counts.contains(where: { $0.ready > 0 }) { hungry = true }
  }
}
