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
    case extend([Lease], by: Duration)
    /// Count the jobs of all kinds: is anything left?
    case lookForRest
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

  private struct Held {
    let job: ClaimedJob
    var lease: Lease
    var renewAt: Int64
  }
  private struct Run {
    var held: Held
    /// When to cancel it, and then when to stop waiting for it.
    var deadline = Int64.max
    var stop: Stop?
  }
  private struct Slot {
    var run: Run?
    /// It has no task.
    var isFree = true
    /// Its task was cancelled: it ends with this run, and another takes its place.
    var isCancelled = false
    /// Its job was settled without it.
    var isAbandoned = false
  }
  private enum Phase: Equatable {
    case working
    /// Nothing is claimed; runs may end until then.
    case draining(until: Int64)
    /// Runs are cancelled; they are waited for until then.
    case cancelling(until: Int64)
  }

  private let mode: Mode
  private let abilities: [Kind: Ability]
  private let request: ClaimRequest
  private let options: WorkerOptions

  private var phase = Phase.working
  private var buffered: [Held] = []
  private var bufferHead = 0
  private var slots: [Slot] = []
  private var running = 0
  private var abandoned = 0
  private var finished: [Settlement] = []
  /// How many jobs of a kind with a limit are held.
  private var heldOfLimited: [Kind: Int] = [:]
  private(set) var summary = WorkSummary()

  /// Whether a claim might find something.
  private var hungry = true
  private var ringsSeen: UInt64 = 0
  private var isListening = false
  private var restIsKnown = false
  private var wakeAt = Int64.max
  private var nextRenewal = Int64.max
  private var nextDeadline = Int64.max
  private var bufferMoved: Int64 = 0
  /// How long a run takes, in microseconds: a moving average; negative before the first.
  private var averageRun: Int64 = -1
  private var lastAhead = 0

  private var troubles = 0
  private var troubleSince: Int64 = 0
  private var retryAt: Int64 = 0

  init(mode: Mode, abilities: [Kind: Ability], options: WorkerOptions) {
    self.mode = mode
    self.abilities = abilities
    self.options = options
    request = ClaimRequest(
      abilities.values.sorted { $0.kind < $1.kind }
        .map { .init($0.kind, lease: $0.policy.lease, lostLimit: $0.policy.lostLimit) }, limit: 0)
    for ability in abilities.values where ability.policy.concurrency != nil { heldOfLimited[ability.kind] = 0 }
  }

  private var bufferedCount: Int { buffered.count - bufferHead }
  private var concurrency: Int { mode == .once ? 1 : options.concurrency }

  // MARK: Slots

  /// A place for one more task that runs jobs, if it would have something to do.
  ///
  /// - Parameter parked: how many tasks wait for a job.
  mutating func openSlot(parked: Int) -> Int? {
    guard phase == .working, bufferedCount > parked, running + parked + abandoned < concurrency else { return nil }
    if let free = slots.firstIndex(where: \.isFree) {
      slots[free] = Slot(isFree: false)
      return free
    }
    slots.append(Slot(isFree: false))
    return slots.count - 1
  }

  /// The next job for a slot that has none.
  mutating func begin(_ slot: Int, now: Int64) -> ClaimedJob? {
    guard phase == .working, bufferedCount > 0 else { return nil }
    let held = buffered[bufferHead]
    bufferHead += 1
    if bufferHead == buffered.count {
      buffered.removeAll(keepingCapacity: true)
      bufferHead = 0
    }
    bufferMoved = now
    var run = Run(held: held)
    if let limit = abilities[held.job.kind]?.policy.timeLimit {
      run.deadline = now + limit.wholeMicroseconds
      nextDeadline = min(nextDeadline, run.deadline)
    }
    slots[slot].run = run
    running += 1
    return held.job
  }

  /// Why a slot's run was cancelled, if it was.
  func stop(of slot: Int) -> Stop? { slots[slot].isAbandoned ? .givenUp : slots[slot].run?.stop }

  /// A run ended.
  ///
  /// - Returns: whether the slot's task may go on.
  mutating func end(_ slot: Int, _ outcome: Settlement.Outcome, took: Int64, recording: Bool) -> Bool {
    if slots[slot].isAbandoned {
      // Its job was settled without it.
      slots[slot] = Slot()
      abandoned -= 1
      return false
    }
    guard let run = slots[slot].run else { return false }
    running -= 1
    letGo(run.held.job.kind)
    if run.stop != .leaseLost {
      finished.append(Settlement(run.held.lease, outcome, recording: recording ? .microseconds(took) : nil))
    }
    averageRun = averageRun < 0 ? took : averageRun + (took - averageRun) / 8
    slots[slot].run = nil
    guard slots[slot].isCancelled else { return true }
    slots[slot] = Slot()
    return false
  }

  private mutating func letGo(_ kind: Kind) {
    if !heldOfLimited.isEmpty { heldOfLimited[kind]? -= 1 }
  }

  // MARK: What to do

  /// - Parameter rings: how often the doorbell has rung.
  /// - Returns: what to do now, and the slots whose tasks are to be cancelled first.
  mutating func next(now: Int64, rings: UInt64) -> (action: Action, cancelled: [Int]) {
    var cancelled: [Int] = []
    advancePhase(now, &cancelled)
    enforceDeadlines(now, &cancelled)
    return (decide(now: now, rings: rings), cancelled)
  }

  private mutating func decide(now: Int64, rings: UInt64) -> Action {
    if rings != ringsSeen { hungry = true }
    if now >= wakeAt { (hungry, wakeAt) = (true, .max) }
    if now < retryAt { return .wait(until: min(retryAt, nextDeadline, phaseEnd)) }
    if let (leases, duration) = takeRenewals(now) { return .extend(leases, by: duration) }
    giveBackStalled(now)

    let claim = nextClaim()
    if !finished.isEmpty || (claim != nil && hungry && bufferedCount == 0) {
      defer { finished = [] }
      if claim != nil { (hungry, ringsSeen) = (false, rings) }
      return .settle(finished, claiming: claim)
    }
    if phase != .working {
      return running == 0 ? .finish : .wait(until: min(phaseEnd, nextRenewal, nextDeadline))
    }
    if running == 0, bufferedCount == 0 {
      if mode == .once { return .finish }
      if case .untilEmpty = mode, !restIsKnown { return .lookForRest }
    }
    let hasRoom = claim != nil && bufferedCount == 0
    if hasRoom != isListening {
      isListening = hasRoom
      // What came before somebody listened rang no bell: look once more.
      if hasRoom { hungry = true }
      return hasRoom ? .listen : .stopListening
    }
    var until = min(nextRenewal, nextDeadline)
    if hasRoom {
      // At least as often as the safety net asks.
      wakeAt = min(wakeAt, now + options.poll.wholeMicroseconds)
      until = min(until, wakeAt)
    }
    if bufferedCount > 0 { until = min(until, bufferMoved + Self.stalled) }
    return .wait(until: until)
  }

  // MARK: Claims

  private func nextClaim() -> ClaimRequest? {
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
  private var ahead: Int {
    guard mode != .once, averageRun >= 0 else { return 0 }
    let target = options.horizon.wholeMicroseconds * Int64(concurrency) / max(averageRun, 1)
    return min(Int(min(target, Int64(options.claimAhead))), 2 * lastAhead + concurrency)
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
    if phase != .working { giveBackBuffered() }
    if !claim.jobs.isEmpty { bufferMoved = now }
    hungry = hungry || claim.jobs.count >= request.limit
    restIsKnown = false
    let wait = min(claim.nextDue?.wholeMicroseconds ?? .max, claim.nextLeaseEnd?.wholeMicroseconds ?? .max)
    wakeAt = wait == .max ? .max : now + wait
  }

  // MARK: Outcomes

  mutating func settled(_ settlements: [Settlement], _ results: [SettleResult]) {
    for (settlement, result) in zip(settlements, results) { summary.count(settlement, result) }
    worked()
  }

  private mutating func worked() {
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

  // MARK: Leases

  /// The leases that have a third of their time behind them, those of one length.
  private mutating func takeRenewals(_ now: Int64) -> ([Lease], Duration)? {
    guard now >= nextRenewal else { return nil }
    var leases: [Lease] = []
    var length: Duration?
    var next = Int64.max
    for held in allHeld {
      let lease = abilities[held.job.kind]?.policy.lease ?? .seconds(60)
      // What is due within a twelfth of the lease goes along.
      if held.renewAt - lease.wholeMicroseconds / 12 <= now, length == nil || length == lease {
        length = lease
        leases.append(held.lease)
      } else {
        next = min(next, held.renewAt)
      }
    }
    nextRenewal = next
    return length.map { (leases, $0) }
  }

  private var allHeld: [Held] { slots.compactMap { $0.run?.stop == .leaseLost ? nil : $0.run?.held } + buffered[bufferHead...] }

  /// - Returns: the jobs whose leases are lost, and the slots whose tasks are to be cancelled.
  mutating func extended(_ old: [Lease], _ new: [Lease?], by length: Duration, asked: Int64) -> (lost: [ClaimedJob], cancelled: [Int]) {
    worked()
    let renewAt = asked + length.wholeMicroseconds / 3
    nextRenewal = min(nextRenewal, renewAt)
    let answers = Dictionary(zip(old, new), uniquingKeysWith: { first, _ in first })
    var lost: [ClaimedJob] = []
    var cancelled: [Int] = []
    for index in slots.indices {
      guard var run = slots[index].run, let answer = answers[run.held.lease] else { continue }
      if let lease = answer {
        run.held.lease = lease
        run.held.renewAt = renewAt
      } else {
        run.stop = .leaseLost
        lost.append(run.held.job)
        slots[index].isCancelled = true
        cancelled.append(index)
      }
      slots[index].run = run
    }
    var kept: [Held] = []
    for var held in buffered[bufferHead...] {
      if let answer = answers[held.lease] {
        guard let lease = answer else {
          lost.append(held.job)
          letGo(held.job.kind)
          continue
        }
        held.lease = lease
        held.renewAt = renewAt
      }
      kept.append(held)
    }
    (buffered, bufferHead) = (kept, 0)
    // What ended meanwhile is settled under its new lease.
    for index in finished.indices {
      if let answer = answers[finished[index].lease], let lease = answer { finished[index].lease = lease }
    }
    summary.leaseLost += lost.count
    return (lost, cancelled)
  }

  /// The extension failed; the leases may still be ours: the token decides when the jobs are settled.
  ///
  /// - Returns: whether to give up.
  mutating func extensionFailed(now: Int64) -> Bool {
    let givesUp = failed([], now: now)
    nextRenewal = retryAt
    return givesUp
  }

  // MARK: Time

  private static let stalled: Int64 = 250_000

  /// What was claimed ahead and gets no turn, because the running jobs turn out to be slow, goes to whoever has time.
  private mutating func giveBackStalled(_ now: Int64) {
    guard bufferedCount > 0, running >= concurrency - abandoned, now - bufferMoved >= Self.stalled else { return }
    giveBackBuffered()
    averageRun = max(averageRun, now - bufferMoved)
    lastAhead = 0
  }

  private mutating func giveBackBuffered() {
    for held in buffered[bufferHead...] {
      finished.append(Settlement(held.lease, .released))
      letGo(held.job.kind)
    }
    buffered = []
    bufferHead = 0
  }

  private var phaseEnd: Int64 {
    switch phase {
    case .working: .max
    case .draining(let end), .cancelling(let end): end
    }
  }

  /// Claim no more, and end within the graces.
  mutating func stop(now: Int64) {
    guard phase == .working else { return }
    phase = .draining(until: now + options.grace.wholeMicroseconds)
    giveBackBuffered()
  }

  private mutating func advancePhase(_ now: Int64, _ cancelled: inout [Int]) {
    if case .draining(let end) = phase, now >= end {
      phase = .cancelling(until: now + options.cancelGrace.wholeMicroseconds)
      for index in slots.indices where slots[index].run != nil {
        if slots[index].run?.stop == nil { slots[index].run?.stop = .shutdown }
        slots[index].isCancelled = true
        cancelled.append(index)
      }
    }
    guard case .cancelling(let end) = phase, now >= end else { return }
    for index in slots.indices where slots[index].run != nil { abandon(index, .released) }
    phase = .cancelling(until: .max)
  }

  private mutating func enforceDeadlines(_ now: Int64, _ cancelled: inout [Int]) {
    guard now >= nextDeadline else { return }
    nextDeadline = .max
    for index in slots.indices {
      guard let run = slots[index].run, run.deadline != .max else { continue }
      guard now >= run.deadline else {
        nextDeadline = min(nextDeadline, run.deadline)
        continue
      }
      guard let policy = abilities[run.held.job.kind]?.policy, let limit = policy.timeLimit else { continue }
      if run.stop == nil {
        let end = now + options.cancelGrace.wholeMicroseconds
        slots[index].run?.stop = .timeLimit(limit)
        slots[index].run?.deadline = end
        slots[index].isCancelled = true
        nextDeadline = min(nextDeadline, end)
        cancelled.append(index)
      } else if case .timeLimit = run.stop {
        let failure = TimeLimitExceeded(limit: limit, ignored: true)
        abandon(index, Qudo.decide(failure: failure, job: run.held.job, policy: policy, random: .random(in: 0...1)))
      }
    }
  }

  /// The job is settled without its run, which goes on in its slot.
  private mutating func abandon(_ index: Int, _ outcome: Settlement.Outcome) {
    guard let run = slots[index].run else { return }
    slots[index].run = nil
    slots[index].isAbandoned = true
    running -= 1
    abandoned += 1
    letGo(run.held.job.kind)
    if run.stop != .leaseLost { finished.append(Settlement(run.held.lease, outcome)) }
  }
}
