/// All that a worker knows and decides, without a task, a database or a clock of its own.
///
/// The engine holds it under a lock, asks ``next(now:rings:)`` what to do, does it, and says what came of it.
struct WorkerState {
  enum Mode: Equatable {
    case forever
    case untilEmpty(skipDelayed: Bool)
    case once
  }

  enum Action {
    /// Write outcomes, or claim, or both.
    case settle([Settlement], claiming: ClaimRequest?)
    case renew([Lease], for: Duration)
    /// Count the jobs of all kinds: is anything left?
    case checkForRemainingJobs
    case listen
    case stopListening
    /// Until something happens, or until this time.
    case wait(until: Int64)
    case finish
  }

  /// Why a run was cancelled.
  enum Stop: Equatable {
    case leaseLost
    case timeLimit(Duration)
    case shutdown
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
    /// When to cancel it, and then when to stop waiting for it.
    var deadline = Int64.max
    var stop: Stop?
    /// The job was completed in a transaction of the application's, which may be committed or not.
    var mayBeCompletedExternally = false
  }
  struct Slot {
    var run: ActiveRun?
    /// It has no task.
    var isFree = true
    /// Its task was cancelled: it ends with this run, and another takes its place.
    var isCancelled = false
    /// Its job was settled without it.
    var isAbandoned = false
  }
  enum Phase: Equatable {
    case working
    /// Nothing is claimed; runs may end until then.
    case draining(until: Int64)
    /// Runs are cancelled; they are waited for until then.
    case cancelling(until: Int64)
  }

  let mode: Mode
  let handlers: [Kind: JobHandler]
  /// Whether any of them has one.
  let hasTimeLimits: Bool
  let request: ClaimRequest
  let options: WorkerOptions

  var phase = Phase.working
  var buffered: [Held] = []
  var bufferHead = 0
  var slots: [Slot] = []
  /// Slots that have a task, whether or not it has a job.
  var activeSlots = 0
  var running = 0
  var abandoned = 0
  var finished: [Settlement] = []
  /// How many jobs of a kind with a limit are held.
  var heldOfLimited: [Kind: Int] = [:]
  var summary = WorkSummary()

  /// Whether a claim might find something.
  var shouldClaim = true
  var ringsSeen: UInt64 = 0
  var isListening = false
  var remainingConfirmed = false
  var wakeAt = Int64.max
  var nextRenewal = Int64.max
  var nextDeadline = Int64.max
  var bufferMoved: Int64 = 0
  /// How long a run takes, in microseconds: a moving average; negative before the first.
  var averageRun = -1.0
  var averagedRuns = 0.0
  /// How many bytes a payload has, as the last claims had them.
  var averageBytes = 0.0
  /// How many the claim that was asked for, and the last one that was answered, were to hold beside those that run.
  var (requestedPrefetch, lastPrefetch) = (0, 0)
  /// When no more jobs than this are buffered, it is time to claim.
  var refillAt = 0
  /// How long the last claim took, but at most twice the horizon; when it was answered, and how many were in the buffer then.
  var claimLatency: Int64 = 0
  var filledAt: Int64 = 0
  var filledCount = 0
  /// When the first of those that are to be settled came.
  var finishedSince: Int64 = 0

  /// How often it looks although nothing woke it, in microseconds.
  var pollInterval: Int64
  /// Of one of several databases: how long it is set aside; nil for the only one.
  var probeInterval: Int64?
  /// Of one of several databases: what it may claim.
  var grant: ConcurrencyBudget.Grant?
  /// Of one of several databases: when nothing was left there the worker goes on, until nothing is left anywhere.
  var isEmpty = false
  /// Nothing is left anywhere.
  var isOver = false

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
        .map { .init($0.kind, leaseDuration: $0.policy.leaseDuration, maxExpiredLeases: $0.policy.maxExpiredLeases) }, limit: 0)
    for handler in handlers.values where handler.policy.maxConcurrency != nil { heldOfLimited[handler.kind] = 0 }
  }

  var bufferedCount: Int { buffered.count - bufferHead }
  var concurrency: Int { mode == .once ? 1 : options.concurrency }

  /// - Parameter rings: how often the doorbell has rung.
  /// - Returns: what to do now, and the slots whose tasks are to be cancelled first.
  mutating func next(now: Int64, rings: UInt64) -> (action: Action, cancelled: [Int]) {
    var cancelled: [Int] = []
    advancePhase(now, &cancelled)
    enforceDeadlines(now, &cancelled)
    return (nextAction(now: now, rings: rings), cancelled)
  }

  mutating func nextAction(now: Int64, rings: UInt64) -> Action {
    if isOver, running == 0, abandoned == 0, bufferedCount == 0, finished.isEmpty || consecutiveErrors > 0 { return .finish }
    if rings != ringsSeen { shouldClaim = true }
    if now >= wakeAt { (shouldClaim, wakeAt) = (true, .max) }
    // Also while outcomes cannot be written: the jobs are to stay ours.
    if let (leases, duration) = takeRenewals(now) { return .renew(leases, for: duration) }
    if now < retryAt { return .wait(until: min(retryAt, nextRenewal, nextDeadline, phaseEnd, patienceEnd(now))) }
    giveBackStalled(now)

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
    if hasRoom != isListening {
      isListening = hasRoom
      // What came before somebody listened rang no bell: look once more.
      if hasRoom { shouldClaim = true }
      return hasRoom ? .listen : .stopListening
    }
    var until = min(nextRenewal, nextDeadline)
    if hasRoom {
      // At least as often as the safety net asks.
      wakeAt = min(wakeAt, now.clampedPlus(pollInterval))
      until = min(until, wakeAt)
    }
    if bufferedCount > 0 { until = min(until, bufferMoved + Self.stalled) }
    if isStarvedOfPermits, shouldClaim || bufferedCount > 0, let grant { until = min(until, grant.changesAt) }
    if !finished.isEmpty { until = min(until, settlesAt(now)) }
    return .wait(until: until)
  }
}
