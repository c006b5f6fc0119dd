/// One database of a worker: the jobs and outcomes that the worker has of it, and when its pump calls it.
///
/// The slots, the limits per kind and the phase are the ``Scheduler``'s, which passes what a decision needs. Times are in
/// microseconds since the boot.
struct Source {
  enum Availability {
    /// The engine tries to open it.
    case opening
    /// It could not be opened for longer than the outage timeout.
    case unavailable
    case open
    /// Its pump has ended.
    case closed
  }

  /// The capabilities of its driver.
  struct Settings {
    /// True if the driver can cancel running jobs.
    var canBeCancelled = false
    /// Whether the database is yet to be told where final failures go.
    var hasRoutesToSet = false
    /// The poll interval in microseconds.
    var pollInterval: Int64
    /// The time from which on the logs are pruned when the pump wakes: it does not wake for that.
    var nextPrune = Int64.max
  }

  /// The time for which a source without room does not listen: after a claim, so that short runs cost nothing, and after a
  /// check, so that the commits of busy processes do not keep it awake. In microseconds.
  static let listeningPause: Int64 = 100_000

  /// Its place among the sources.
  let index: Int
  var rules: WorkerRules
  /// With several databases, or one that is monitored: the longest pause between two calls to a database that fails, in
  /// microseconds.
  let probeInterval: Int64?
  var settings: Settings
  var availability = Availability.opening
  /// True if something happened since the pump last decided.
  var isSignalled = false

  var buffer = JobBuffer()
  var finished = PendingOutcomes()
  var prefetch = PrefetchEstimator()
  var wake = WakeState()
  var backoff = Backoff()
  var summary = WorkSummary()

  /// The number of its runs, and of those that ignore their cancellation and hold slots.
  var (running, abandoned) = (0, 0)
  var turn = Turn.none
  /// The number of its last turn: a claim, or a job that began.
  var lastTurn: UInt64 = 0
  /// True if its last claim returned as many jobs as it asked for, or it has not claimed yet.
  var mayHaveMore = true
  /// Whether no jobs of the worker's kinds were left after ``WakeState/ringsSeen``.
  private(set) var isEmpty = false

  /// The runs that ended after they had lost their leases, if a hook is told of them.
  var lostRuns: [Settlement] = []
  /// True if hooks are so far behind that nothing is claimed.
  var waitsForHooks = false
  /// The times at which the next lease must be renewed, and the next run must be cancelled or given up.
  var (nextRenewal, nextDeadline) = (Int64.max, Int64.max)

  init(_ index: Int, _ rules: WorkerRules, probeInterval: Int64?) {
    self.index = index
    self.rules = rules
    self.probeInterval = probeInterval
    settings = Settings(pollInterval: rules.options.pollInterval.wholeMicroseconds)
  }

  /// Decides what the pump does next.
  mutating func nextAction(
    now: Int64, rings: UInt64, _ share: Scheduler.Share, _ phase: Scheduler.Phase, isOver: Bool,
    _ slots: Slots,
    _ kinds: inout KindCounts
  ) -> Scheduler.Action {
    if !lostRuns.isEmpty {
      defer { lostRuns = [] }
      return .reportLost(lostRuns)
    }
    if isOver, running == 0, buffer.isEmpty, finished.isEmpty || backoff.isFailing { return .finish }
    if rings != wake.ringsSeen { wake.shouldClaim = true }
    if now >= wake.claimAt { (wake.shouldClaim, wake.claimAt) = (true, .max) }
    // Even while outcomes cannot be written: the worker must keep its leases.
    if let (leases, duration) = takeRenewals(now, slots) { return .renew(leases, for: duration) }
    if now < backoff.retryAt {
      return .wait(until: min(backoff.retryAt, nextRenewal, nextDeadline, phase.end, outageEnd(now)))
    }
    if now >= settings.nextPrune, phase == .working {
      settings.nextPrune = .max
      return .pruneLogs
    }
    giveBackStalled(now, share, &kinds)
    if settings.hasRoutesToSet, phase == .working { return .setFailureRoutes }

    let claim = isRefillDue(now) ? nextClaim(share, kinds, phase) : nil
    if isSettleDue(now, phase, isCrowdedOut: share.isCrowdedOut) || (claim != nil && wake.shouldClaim) {
      if claim != nil { willClaim(rings: rings) }
      return .settle(finished.takeAll(), claiming: claim)
    }
    if phase != .working {
      return running == 0 ? .finish : .wait(until: min(phase.end, nextRenewal, nextDeadline))
    }
    if running == 0, buffer.isEmpty {
      if rules.mode == .once { return .finish }
      if case .untilEmpty = rules.mode, !wake.remainingConfirmed { return .checkForRemainingJobs }
    }
    let hasRoom = (claim != nil || share.isCrowdedOut || share.isKindFull) && buffer.isEmpty
    let watchesRuns = settings.canBeCancelled && running > 0 && now >= wake.listensAt
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
    return .wait(until: nextEvent(now, share, hasRoom: hasRoom))
  }

  private mutating func willClaim(rings: UInt64) {
    (wake.shouldClaim, wake.ringsSeen, prefetch.requested) = (false, rings, ahead)
    isEmpty = false
  }

  /// The time at which there is something to do although nothing happens.
  private mutating func nextEvent(_ now: Int64, _ share: Scheduler.Share, hasRoom: Bool) -> Int64 {
    var until = min(nextRenewal, nextDeadline)
    if settings.canBeCancelled, running > 0, now < wake.listensAt { until = min(until, wake.listensAt) }
    if hasRoom {
      // At least once per poll interval.
      wake.claimAt = min(wake.claimAt, now.clampedPlus(settings.pollInterval))
      until = min(until, wake.claimAt)
    }
    if !buffer.isEmpty { until = min(until, buffer.movedAt + Self.stalled) }
    if share.isCrowdedOut || share.isKindFull, wake.shouldClaim || !buffer.isEmpty {
      until = min(until, share.changesAt)
    }
    if !finished.isEmpty { until = min(until, settlesAt(now)) }
    return until
  }

  // MARK: Several sources

  /// Returns whether it would claim now if it could.
  func wantsToClaim(_ now: Int64) -> Bool {
    wake.shouldClaim && !waitsForHooks && buffer.isEmpty && now >= backoff.retryAt
  }

  /// Returns whether it may need slots, too.
  func isRival(of concurrency: Int) -> Bool {
    guard availability == .open, running < concurrency else { return false }
    if case .waiting(for: .slot) = turn { return true }
    return mayHaveMore || !buffer.isEmpty
  }

  /// Returns whether the work may end as far as this source is concerned.
  ///
  /// - Parameter rings: The number of rings of its doorbell so far; nil if nobody can have rung it.
  func isDone(_ now: Int64, rings: UInt64?) -> Bool {
    switch availability {
    case .opening: return false
    case .unavailable, .closed: return true
    case .open: break
    }
    guard running == 0, buffer.isEmpty else { return false }
    if backoff.isFailing {
      return probeInterval != nil && backoff.isOver(rules.options.outageTimeout.wholeMicroseconds, now: now)
    }
    return isEmpty && finished.isEmpty && (rings ?? wake.ringsSeen) == wake.ringsSeen
  }

  mutating func noteRest(isEmpty: Bool) { self.isEmpty = isEmpty }

  // MARK: End

  /// Releases what has not begun, because the worker stops.
  mutating func stop(_ kinds: inout KindCounts) {
    if probeInterval != nil { backoff.retryNow() }
    giveBackBuffered(&kinds)
  }

  /// Forgets what has not begun, because its pump has ended.
  mutating func drop(_ kinds: inout KindCounts) {
    for held in buffer.takeAll() { kinds.letGo(held.job.kind) }
    mayHaveMore = false
  }
}

/// A job that the worker holds.
struct HeldJob {
  let job: ClaimedJob
  var lease: Lease
  var renewAt: Int64
}

/// The reason why a run was cancelled.
enum StopReason: Equatable {
  case leaseLost
  case timeLimit(Duration)
  case shutdown
  /// The job was cancelled, here or in another process.
  case cancelled
  /// The job was settled without the run.
  case givenUp
}
