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
  struct ActiveRun {
    var held: Held
    /// The time to cancel the run; after that, the time to stop waiting for it.
    var deadline = Int64.max
    var beganAt: Int64
    var stop: Stop?
    /// The application's own transaction completes the job, and may or may not be committed.
    var mayBeCompletedExternally = false
  }
  struct Slot {
    var run: ActiveRun?
    /// True if the slot has no task.
    var isFree = true
    /// True if its task was cancelled: it ends with this run, and a new one replaces it.
    var isCancelled = false
    /// True if its job was settled while the run continues.
    var isAbandoned = false
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

  var phase = Phase.working
  var buffered: [Held] = []
  var bufferHead = 0
  var slots: [Slot] = []
  /// The number of slots with a task, with or without a job.
  var activeSlots = 0
  var running = 0
  var abandoned = 0
  var finished: [Settlement] = []
  /// True if hooks are so far behind that nothing is claimed.
  var waitsForHooks = false
  /// True if a hook is told of settled runs.
  var reportsRuns = false
  /// The runs that ended after they had lost their leases, if a hook is told of them.
  var lostRuns: [Settlement] = []
  /// The number of held jobs per kind, for kinds with a concurrency limit.
  var heldOfLimited: [Kind: Int] = [:]
  /// Whether a kind has a rate.
  let hasRates: Bool
  var summary = WorkSummary()

  /// True if a claim might find something.
  var shouldClaim = true
  var ringsSeen: UInt64 = 0
  var isListening = false
  var remainingConfirmed = false
  var wakeAt = Int64.max
  var nextRenewal = Int64.max
  var nextDeadline = Int64.max
  var bufferMoved: Int64 = 0
  /// The moving average of the run time, in microseconds; negative before the first run.
  var averageRun = -1.0
  var averagedRuns = 0.0
  /// The average payload size in recent claims, in bytes.
  var averageBytes = 0.0
  /// The number of jobs to prefetch: in the claim that is under way, and in the last one that was answered.
  var (requestedPrefetch, lastPrefetch) = (0, 0)
  /// The number of buffered jobs at which it is time to claim.
  var refillAt = 0
  /// The last claim: its latency, at most twice the prefetch window; its time; the number of buffered jobs
  /// then.
  var claimLatency: Int64 = 0
  var filledAt: Int64 = 0
  var filledCount = 0
  /// The time of the oldest outcome that waits to be settled.
  var finishedSince: Int64 = 0

  /// The poll interval in microseconds.
  var pollInterval: Int64
  /// With several databases: the probe interval; nil with a single one.
  var probeInterval: Int64?
  /// With several databases: the permits for the next claim.
  var grant: ConcurrencyBudget.Grant?
  /// With several databases: whether this one is empty. The worker then continues until all are.
  var isEmpty = false
  /// True if all databases are empty.
  var isOver = false

  /// Whether the database is yet to be told where final failures go.
  var hasRoutesToSet = false
  /// True if the driver can cancel running jobs.
  var canBeCancelled = false
  /// The time from which on a worker without room listens, to hear which of its running jobs are cancelled.
  var listensAt: Int64 = 0
  /// The rings that were heard before the last such check; nil before the first one after it began to listen.
  var ringsChecked: UInt64?

  /// Whether runs that ignore their cancellation hold so many slots that the worker ends, and whether that was said.
  var (isStuck, isStuckTold) = (false, false)

  /// The time from which on the logs are pruned when the worker wakes: it does not wake for that.
  var nextPrune = Int64.max

  var consecutiveErrors = 0
  var failingSince: Int64 = 0
  var retryAt: Int64 = 0

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

  var bufferedCount: Int { buffered.count - bufferHead }
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
      return .reportStuck(abandoned)
    }
    if isOver, running == 0, abandoned == 0, bufferedCount == 0, finished.isEmpty || consecutiveErrors > 0 {
      return .finish
    }
    if rings != ringsSeen { shouldClaim = true }
    if now >= wakeAt { (shouldClaim, wakeAt) = (true, .max) }
    // Even while outcomes cannot be written: the worker must keep its leases.
    if let (leases, duration) = takeRenewals(now) { return .renew(leases, for: duration) }
    if now < retryAt {
      return .wait(until: min(retryAt, nextRenewal, nextDeadline, phaseEnd, patienceEnd(now)))
    }
    if now >= nextPrune, phase == .working {
      nextPrune = .max
      return .pruneLogs
    }
    giveBackStalled(now)
    if hasRoutesToSet, phase == .working { return .setFailureRoutes }

    let claim = isRefillDue(now) ? nextClaim() : nil
    if isSettleDue(now) || (claim != nil && shouldClaim) {
      defer { finished = [] }
      if claim != nil { (shouldClaim, ringsSeen, isEmpty, requestedPrefetch) = (false, rings, false, ahead) }
      return .settle(finished, claiming: claim)
    }
    if phase != .working {
      return running == 0 ? .finish : .wait(until: min(phaseEnd, nextRenewal, nextDeadline))
    }
    if running == 0, bufferedCount == 0 {
      if mode == .once { return .finish }
      if case .untilEmpty = mode, !remainingConfirmed { return .checkForRemainingJobs }
    }
    let hasRoom = (claim != nil || isStarvedOfPermits) && bufferedCount == 0
    let watchesRuns = canBeCancelled && running > 0 && now >= listensAt
    if (hasRoom || watchesRuns) != isListening {
      isListening.toggle()
      // Jobs that arrived before this listener rang no bell for it: claim once more, when there is room.
      if hasRoom || isListening { shouldClaim = true }
      ringsChecked = nil
      return isListening ? .listen : .stopListening
    }
    // Each claim answers the same.
    if watchesRuns, claim == nil, rings != ringsChecked {
      if ringsChecked != nil { listensAt = now + Self.listeningPause }
      ringsChecked = rings
      return .checkForCancelledJobs
    }
    var until = min(nextRenewal, nextDeadline)
    if canBeCancelled, running > 0, now < listensAt { until = min(until, listensAt) }
    if hasRoom {
      // At least once per poll interval.
      wakeAt = min(wakeAt, now.clampedPlus(pollInterval))
      until = min(until, wakeAt)
    }
    if bufferedCount > 0 { until = min(until, bufferMoved + Self.stalled) }
    if isStarvedOfPermits, shouldClaim || bufferedCount > 0, let grant { until = min(until, grant.changesAt) }
    if !finished.isEmpty { until = min(until, settlesAt(now)) }
    return .wait(until: until)
  }
}
