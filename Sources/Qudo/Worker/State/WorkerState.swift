/// The state and the decisions of a worker, without tasks, database or clock.
///
/// The engine keeps it under a lock, asks ``next(now:rings:)`` for an action, performs it, and reports the
/// result. Times are in microseconds since the boot.
struct WorkerState {
  enum Mode: Equatable {
    case forever
    case untilEmpty(skipDelayed: Bool)
    case once
  }

  enum Action {
    /// Write outcomes, claim, or both.
    case settle([Settlement], claiming: ClaimRequest?)
    /// Store where final failures go, before the first claim.
    case setFailureRoutes
    case renew([Lease], for: Duration)
    /// Say that the worker ends because so many slots are held by runs that ignore their cancellation.
    case reportStuck(Int)
    /// Tell the hooks of runs that ended after they had lost their leases.
    case reportLost([Settlement])
    /// Count the jobs of all kinds, to see whether any are left.
    case checkForRemainingJobs
    /// Ask which of the running jobs were cancelled.
    case checkForCancelledJobs
    /// Begin to prune the logs, and continue meanwhile.
    case pruneLogs
    case listen
    case stopListening
    /// Wait for a signal, or until this time.
    case wait(until: Int64)
    case finish
  }

  /// The reason why a run was cancelled.
  enum Stop: Equatable {
    case leaseLost
    case timeLimit(Duration)
    case shutdown
    /// The job was cancelled, here or in another process.
    case cancelled
    /// The job was settled without the run.
    case givenUp
  }

  struct Held {
    let job: ClaimedJob
    var lease: Lease
    var renewAt: Int64
  }
  enum Phase: Equatable {
    case working
    /// The worker claims nothing; runs may finish until this time.
    case draining(until: Int64)
    /// Runs are cancelled; the worker waits for them until this time.
    case cancelling(until: Int64)
  }

  let mode: Mode
  let handlers: [Kind: JobHandler]
  /// True if any handler has a time limit.
  let hasTimeLimits: Bool
  let request: ClaimRequest
  let options: WorkerOptions

  /// Whether a kind has a rate.
  let hasRates: Bool
  /// True if a hook is told of settled runs.
  var reportsRuns = false
  /// True if the driver can cancel running jobs.
  var canBeCancelled = false
  /// The poll interval in microseconds.
  var pollInterval: Int64

  var phase = Phase.working
  var buffer = JobBuffer()
  var slots = Slots()
  var finished = PendingOutcomes()
  var prefetch = PrefetchEstimator()
  var wake = WakeState()
  var backoff = Backoff()
  /// Nil with a single database.
  var fleet: FleetShare?
  var summary = WorkSummary()

  /// The number of held jobs per kind, for kinds with a concurrency limit.
  var heldOfLimited: [Kind: Int] = [:]
  /// The runs that ended after they had lost their leases, if a hook is told of them.
  var lostRuns: [Settlement] = []
  /// True if hooks are so far behind that nothing is claimed.
  var waitsForHooks = false
  /// Whether the database is yet to be told where final failures go.
  var hasRoutesToSet = false
  /// Whether runs that ignore their cancellation hold so many slots that the worker ends, and whether that was said.
  var (isStuck, isStuckTold) = (false, false)

  /// When the next lease must be renewed, and the next run be cancelled or given up.
  var (nextRenewal, nextDeadline) = (Int64.max, Int64.max)
  /// The time from which on the logs are pruned when the worker wakes: it does not wake for that.
  var nextPrune = Int64.max

  init(mode: Mode, handlers: [Kind: JobHandler], options: WorkerOptions) {
    self.mode = mode
    self.handlers = handlers
    hasTimeLimits = handlers.values.contains { $0.policy.timeLimit != nil }
    self.options = options
    pollInterval = options.pollInterval.wholeMicroseconds
    request = ClaimRequest(
      handlers.values.sorted { $0.kind < $1.kind }
        .map {
          .init(
            $0.kind, leaseDuration: $0.policy.leaseDuration, maxExpiredLeases: $0.policy.maxExpiredLeases,
            maxRunning: $0.policy.maxRunning, rate: $0.policy.rate)
        }, limit: 0)
    hasRates = handlers.values.contains { $0.policy.rate != nil }
    for handler in handlers.values where handler.policy.maxHeld != nil {
      heldOfLimited[handler.kind] = 0
    }
  }

  /// How long a worker without room does not listen: after a claim, so that short runs cost nothing, and after a
  /// check, so that the commits of busy processes do not keep it awake. In microseconds.
  static let listeningPause: Int64 = 100_000

  var concurrency: Int { mode == .once ? 1 : options.concurrency }

  /// - Parameter rings: The number of rings of the doorbell.
  /// - Returns: The next action, and the slots whose tasks must be cancelled first.
  mutating func next(now: Int64, rings: UInt64) -> (action: Action, cancelled: [Int]) {
    var cancelled: [Int] = []
    advancePhase(now, &cancelled)
    enforceDeadlines(now, &cancelled)
    return (nextAction(now: now, rings: rings), cancelled)
  }

  mutating func nextAction(now: Int64, rings: UInt64) -> Action {
    if !lostRuns.isEmpty {
      defer { lostRuns = [] }
      return .reportLost(lostRuns)
    }
    if isStuck, !isStuckTold {
      isStuckTold = true
      return .reportStuck(slots.abandoned)
    }
    if fleet?.isOver == true, !hasRuns, buffer.isEmpty, finished.isEmpty || backoff.isFailing {
      return .finish
    }
    if rings != wake.ringsSeen { wake.shouldClaim = true }
    if now >= wake.claimAt { (wake.shouldClaim, wake.claimAt) = (true, .max) }
    // Even while outcomes cannot be written: the worker must keep its leases.
    if let (leases, duration) = takeRenewals(now) { return .renew(leases, for: duration) }
    if now < backoff.retryAt {
      return .wait(until: min(backoff.retryAt, nextRenewal, nextDeadline, phaseEnd, outageEnd(now)))
    }
    if now >= nextPrune, phase == .working {
      nextPrune = .max
      return .pruneLogs
    }
    giveBackStalled(now)
    if hasRoutesToSet, phase == .working { return .setFailureRoutes }

    let claim = isRefillDue(now) ? nextClaim() : nil
    if isSettleDue(now) || (claim != nil && wake.shouldClaim) {
      if claim != nil { willClaim(rings: rings) }
      return .settle(finished.takeAll(), claiming: claim)
    }
    if phase != .working {
      return slots.running == 0 ? .finish : .wait(until: min(phaseEnd, nextRenewal, nextDeadline))
    }
    if slots.running == 0, buffer.isEmpty {
      if mode == .once { return .finish }
      if case .untilEmpty = mode, !wake.remainingConfirmed { return .checkForRemainingJobs }
    }
    let hasRoom = (claim != nil || isStarvedOfPermits) && buffer.isEmpty
    let watchesRuns = canBeCancelled && slots.running > 0 && now >= wake.listensAt
    if (hasRoom || watchesRuns) != wake.isListening {
      wake.isListening.toggle()
      // Jobs that arrived before this listener rang no bell for it: claim once more, when there is room.
      if hasRoom || wake.isListening { wake.shouldClaim = true }
      wake.ringsChecked = nil
      return wake.isListening ? .listen : .stopListening
    }
    // Each claim answers the same.
    if watchesRuns, claim == nil, rings != wake.ringsChecked {
      if wake.ringsChecked != nil { wake.listensAt = now + Self.listeningPause }
      wake.ringsChecked = rings
      return .checkForCancelledJobs
    }
    return .wait(until: nextEvent(now, hasRoom: hasRoom))
  }

  private mutating func willClaim(rings: UInt64) {
    (wake.shouldClaim, wake.ringsSeen, prefetch.requested) = (false, rings, ahead)
    fleet?.isEmpty = false
  }

  /// The time at which there is something to do although nothing happens.
  private mutating func nextEvent(_ now: Int64, hasRoom: Bool) -> Int64 {
    var until = min(nextRenewal, nextDeadline)
    if canBeCancelled, slots.running > 0, now < wake.listensAt { until = min(until, wake.listensAt) }
    if hasRoom {
      // At least once per poll interval.
      wake.claimAt = min(wake.claimAt, now.clampedPlus(pollInterval))
      until = min(until, wake.claimAt)
    }
    if !buffer.isEmpty { until = min(until, buffer.movedAt + Self.stalled) }
    if isStarvedOfPermits, wake.shouldClaim || !buffer.isEmpty, let grant = fleet?.grant {
      until = min(until, grant.changesAt)
    }
    if !finished.isEmpty { until = min(until, settlesAt(now)) }
    return until
  }

  /// Whether a run holds a slot, be it one that ignores its cancellation.
  var hasRuns: Bool { slots.running > 0 || slots.abandoned > 0 }
}
