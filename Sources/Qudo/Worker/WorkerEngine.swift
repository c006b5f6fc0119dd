internal import Logging

/// Runs a ``WorkerState``: one pump task that calls the database, and one task per slot that runs jobs.
///
/// The pump and its timer run on their own thread. So jobs that occupy Swift's pool delay no renewal, time
/// limit or settlement. The slots' tasks run on the pool; handlers whose policy says so run on blocking
/// threads.
///
/// Each step locks, decides, unlocks and then acts. A slot's task runs one job after the other, so that a
/// short job does not cost a task. To cancel a run, the engine cancels the slot's task, which ends with that
/// run and is replaced.
@usableFromInline
final class WorkerEngine: Sendable {
  private struct Shared {
    var state: WorkerState
    var tasks: [Int: Task<Void, Never>] = [:]
    /// The slots' tasks that wait for a job.
    var parked: [(slot: Int, continuation: Continuation<ClaimedJob?, Never>)] = []
    var isOver = false
    var pump: Continuation<Void, Never>?
    /// True if something happened since the pump last decided.
    var isSignalled = false
    var timer: (time: Int64, task: Task<Void, Never>)?
    var listener: Int?
    var failure: QudoError?
  }

  /// The database that stores the jobs.
  let driver: any Driver
  /// The driver to call: the same one, or one that adds deadlines.
  private let verbs: any Driver
  /// Stores where final failures go; nil if the driver cannot.
  private let setRoutes: (@Sendable ([FailureRoute]) async throws(QudoError) -> Void)?
  /// This engine's share of the worker's concurrency; nil with a single database.
  private let permits: PermitHandle?
  let codecs: Codecs
  let handlers: [Kind: JobHandler]
  let plugins: Plugins
  let hooks: EngineHooks
  let clock: any QueueClock
  let logger: Logger
  /// The executor that ``run()`` must be called on.
  let thread = SerialThread("qudo.worker")
  /// The threads for handlers that block; nil if no handler does.
  private let threads: BlockingThreads?
  private let shared: Locked<Shared>
  private let hookQueue = HookQueue()
  /// Nil if the logs are not to be pruned, or the driver has none.
  private let pruner: LogPruner?
  /// Nil if nobody asks whether the engine answers.
  private let pulse: WorkerPulse?
  private let beats = Locked<Int?>(nil)
  /// The number of stuck slots at which the worker ends; nil for never.
  private let maxStuckSlots: Int?

  /// - Parameters:
  ///   - verbs: The driver to call instead of `driver`.
  ///   - permits: This engine's share of the worker's concurrency, if the worker has several engines.
  init<Hooks: HookSet>(
    _ worker: Worker<Hooks>, mode: WorkerState.Mode, _ driver: any Driver, verbs: (any Driver)? = nil,
    permits: PermitHandle? = nil
  ) {
    self.driver = driver
    self.verbs = verbs ?? driver
    self.permits = permits
    codecs = worker.queue.codecs
    handlers = worker.handlers
    plugins = worker.plugins
    hooks = worker.engineHooks
    clock = worker.options.clock
    logger = worker.options.logger
    threads = worker.threads
    var state = WorkerState(mode: mode, handlers: worker.handlers, options: worker.options)
    state.probeInterval = verbs == nil ? nil : worker.queue.databases.options.probeInterval.wholeMicroseconds
    state.reportsRuns = hooks.didSettle != nil
    state.canBeCancelled = driver.capabilities.contains(.control)
    setRoutes = (verbs as? DeadlineDriver)?.routing ?? (driver as? any ControlDriver)?.setFailureRoutes
    state.hasRoutesToSet = setRoutes != nil
    if driver.doorbell.findsAll {
      state.pollInterval = state.pollInterval.clampedTimes(WorkerOptions.pollsLeftOut)
    }
    pulse = worker.options.pulse
    maxStuckSlots = worker.options.maxStuckSlots
    pruner = mode == .once ? nil : Self.pruner(worker.options, driver, verbs)
    state.nextPrune = pruner?.firstTime ?? .max
    shared = Locked(Shared(state: state))
  }

  private static func pruner(_ options: WorkerOptions, _ driver: any Driver, _ verbs: (any Driver)?)
    -> LogPruner?
  {
    guard let logs = driver as? any LogDriver else { return nil }
    let deadlines = verbs as? DeadlineDriver
    return LogPruner(options, database: driver.name) { options throws(QudoError) in
      if let deadlines { try await deadlines.prune(options) } else { try await logs.prune(options) }
    }
  }

  /// Stops claiming and ends within the grace periods.
  func stop() {
    Interleaving.point()
    let now = clock.sinceBoot()
    shared.withLock { shared in
      shared.state.stop(now: now)
      // It may wait for a time at which the worker would have begun to listen: the pump sets another one.
      shared.timer?.task.cancel()
      shared.timer = nil
    }
    signal()
  }

  /// Ends the work because no available database has jobs left.
  func finish() {
    shared.withLock { $0.state.finish() }
    signal()
  }

  /// The summary so far, and the current error of the database if it is failing.
  var report: (summary: WorkSummary, failure: QudoError?) {
    shared.withLock { ($0.state.summary, $0.state.consecutiveErrors > 0 ? $0.failure : nil) }
  }

  // MARK: Pump

  func run() async -> Result<WorkSummary, QudoError> {
    if let pulse { beats.withLock { $0 = pulse.join { [weak self] in self?.signal() } } }
    let error = await pump()
    if let pulse, let engine = beats.withLock({ $0 }) { pulse.leave(engine) }
    await hookQueue.finish()
    await pruner?.finish()
    if let permits { permits.worker.wake(permits.leave(now: clock.sinceBoot())) }
    let (parked, timer, listener, summary) = shared.withLock { shared in
      defer { shared.parked = [] }
      shared.isOver = true
      return (shared.parked, shared.timer, shared.listener, shared.state.summary)
    }
    for slot in parked { slot.continuation.resume(returning: nil) }
    timer?.task.cancel()
    if let listener { driver.doorbell.stopListening(listener) }
    if let error { return .failure(error) }
    return .success(summary)
  }

  private func pump() async -> QudoError? {
    // Databases that were not open when the worker was created.
    do { try driver.check(handlers.lazy.map { ($0, $1.policy) }) } catch { return error }
    while true {
      await Interleaving.pause()
      let action = nextAction(now: clock.sinceBoot())
      do {
        switch action {
        case .settle(let settlements, let request): try await settle(settlements, request)
        case .setFailureRoutes: try await setFailureRoutes()
        case .renew(let leases, let length): try await renew(leases, for: length)
        case .reportStuck(let count): reportStuck(count)
        case .reportLost(let runs): tellHooks(runs, runs.map { _ in .leaseLost })
        case .checkForRemainingJobs: try await checkForRemainingJobs()
        case .checkForCancelledJobs: try await checkForCancelledJobs()
        case .pruneLogs: pruneLogs()
        case .listen: listen()
        case .stopListening: stopListening()
        case .wait(let time): await wait(until: time)
        case .finish:
          return shared.withLock { $0.state.isStuck } && permits == nil ? .stuck(maxStuckSlots) : nil
        }
      } catch {
        return error
      }
    }
  }

  private func nextAction(now: Int64) -> WorkerState.Action {
    let (action, cancelled, resumed, woken) = shared.withLock { shared in
      shared.isSignalled = false
      shared.state.waitsForHooks = hookQueue.isBehind
      // Read after the flag is cleared: a later ring sets the flag again, so the pump cannot miss it.
      let rings = driver.doorbell.rings
      // There may now be a permit for jobs that were claimed before.
      let resumed = permits == nil || shared.state.bufferedCount == 0 ? [] : dispatch(&shared, now: now)
      guard let permits else {
        let (action, slots) = shared.state.next(now: now, rings: rings)
        return (action, slots.compactMap { shared.tasks[$0] }, resumed, [Int]())
      }
      let (action, slots, woken) = permits.nextAction(&shared.state, now: now, rings: rings)
      return (action, slots.compactMap { shared.tasks[$0] }, resumed, woken)
    }
    // Only now: a question that comes later sets the signal, and this beat answers those before.
    if let pulse, let engine = beats.withLock({ $0 }) { pulse.beat(engine) }
    for (continuation, job) in resumed { continuation.resume(returning: job) }
    for task in cancelled { task.cancel() }
    permits?.worker.wake(woken)
    if maxStuckSlots != nil, let permits {
      permits.worker.note(permits.index, stuck: shared.withLock { $0.state.abandoned })
    }
    return action
  }

  private func settle(_ settlements: [Settlement], _ request: ClaimRequest?) async throws(QudoError) {
    let asked = clock.sinceBoot()
    do {
      let answer = try await verbs.settle(settlements, claiming: request)
      if let pulse, request != nil { pulse.looked() }
      if let didClaim = hooks.didClaim { for job in answer.claim?.jobs ?? [] { didClaim(job) } }
      let now = clock.sinceBoot()
      let (cancelled, resumed, woken) = shared.withLock { shared in
        shared.state.settled(settlements, answer.results)
        var cancelled: [Task<Void, Never>] = []
        if let request, let claim = answer.claim {
          shared.state.claimed(claim, by: request, asked: asked, now: now)
          cancelled = shared.state.cancel(claim.cancelling, now: now).compactMap { shared.tasks[$0] }
          permits?.answered(gotAll: claim.jobs.count >= request.limit, shared.state)
        }
        let resumed = dispatch(&shared, now: now)
        return (cancelled, resumed, permits?.releaseReservation(now: now) ?? [])
      }
      for task in cancelled { task.cancel() }
      for (continuation, job) in resumed { continuation.resume(returning: job) }
      permits?.worker.wake(woken)
      if let claim = answer.claim, !claim.givenUp.isEmpty || claim.recovered > 0 { report(claim) }
      report(settlements, answer.results)
    } catch {
      let left = request == nil || error.isPassing ? settlements : await settleAlone(settlements)
      if let permits {
        permits.worker.wake(shared.withLock { permits.failed($0.state, now: clock.sinceBoot()) })
      }
      try failure(error) { $0.failed(left, now: $1) }
    }
  }

  /// Settles without claiming, in case the claim failed at a damaged row and rolled back the transaction.
  ///
  /// - Returns: The settlements that are still not written.
  private func settleAlone(_ settlements: [Settlement]) async -> [Settlement] {
    guard !settlements.isEmpty, let answer = try? await verbs.settle(settlements, claiming: nil) else {
      return settlements
    }
    shared.withLock { $0.state.settledAlone(settlements, answer.results) }
    report(settlements, answer.results)
    return []
  }

  /// Hands jobs to the slots that wait, and opens slots for more.
  private func dispatch(
    _ shared: inout Shared, now: Int64
  ) -> [(Continuation<ClaimedJob?, Never>, ClaimedJob)] {
    var resumed: [(Continuation<ClaimedJob?, Never>, ClaimedJob)] = []
    while let slot = shared.state.openSlot() {
      guard mayBegin(shared.state, now), let job = shared.state.begin(slot, now: now) else {
        shared.state.closeSlot(slot)
        break
      }
      // A task does not inherit the executor of its creator.
      shared.tasks[slot] = Task { await self.runSlot(slot, first: job) }
    }
    while let (slot, continuation) = shared.parked.last, mayBegin(shared.state, now),
      let job = shared.state.begin(slot, now: now)
    {
      shared.parked.removeLast()
      resumed.append((continuation, job))
    }
    return resumed
  }

  /// Takes a permit for a run if one is needed, and returns whether the run may begin.
  private func mayBegin(_ state: WorkerState, _ now: Int64) -> Bool {
    guard let permits else { return true }
    return state.hasJobToBegin && permits.begin(now: now)
  }

  private func renew(_ leases: [Lease], for length: Duration) async throws(QudoError) {
    let asked = clock.sinceBoot()
    do {
      let answer = try await verbs.renew(leases, for: length)
      let (lost, tasks) = shared.withLock { shared in
        let (lost, slots) = shared.state.extended(leases, answer, by: length, asked: asked)
        return (lost, slots.compactMap { shared.tasks[$0] })
      }
      for task in tasks { task.cancel() }
      for job in lost { leaseLost(job) }
    } catch {
      try failure(error) { state, now in state.extensionFailed(now: now) }
    }
  }

  private func setFailureRoutes() async throws(QudoError) {
    do {
      try await setRoutes?(handlers.map { FailureRoute($0, to: $1.policy.onFinalFailure) })
      shared.withLock { shared in
        shared.state.worked()
        shared.state.hasRoutesToSet = false
      }
    } catch {
      try failure(error) { $0.failed([], now: $1) }
    }
  }

  private func checkForRemainingJobs() async throws(QudoError) {
    do {
      let counts = try await verbs.count(Array(handlers.keys))
      shared.withLock { $0.state.rest(counts) }
    } catch {
      try failure(error) { $0.failed([], now: $1) }
    }
  }

  /// Claims nothing, which tells of cancelled jobs.
  private func checkForCancelledJobs() async throws(QudoError) {
    do {
      let claim = try await verbs.claim(ClaimRequest([], limit: 0))
      let now = clock.sinceBoot()
      let tasks = shared.withLock { shared in
        shared.state.worked()
        shared.state.summary.count(claim.givenUp)
        return shared.state.cancel(claim.cancelling, now: now).compactMap { shared.tasks[$0] }
      }
      for task in tasks { task.cancel() }
      if !claim.givenUp.isEmpty || claim.recovered > 0 { report(claim) }
    } catch {
      try failure(error) { state, now in
        state.ringsChecked = nil
        return state.failed([], now: now)
      }
    }
  }

  private func pruneLogs() {
    pruner?.start(on: thread) { next in self.shared.withLock { $0.state.nextPrune = next } }
  }

  /// Throws a permanent error, or a temporary one after the outage timeout; logs it otherwise.
  private func failure(
    _ error: QudoError, _ note: @Sendable (inout WorkerState, Int64) -> Bool
  ) throws(QudoError) {
    let now = clock.sinceBoot()
    let givesUp = shared.withLock { shared in
      shared.failure = error
      return note(&shared.state, now)
    }
    // One of several databases is retried without limit, unless it was closed.
    guard error.isPassing || (permits != nil && error.code != .closed), !givesUp else { throw error }
    logger.warning(
      "database error, retrying",
      metadata: ["database": "\(driver.name)", "error": "\(error)", "code": "\(error.code)"])
  }

  private func report(_ settlements: [Settlement], _ results: [SettleResult]) {
    for (settlement, result) in zip(settlements, results) {
      if result == .cancelled {
        logger.notice("job cancelled", metadata: ["job": "\(driver.name)/\(settlement.lease.job)"])
      }
      guard result == .leaseLost, !settlement.mayBeCompletedExternally else { continue }
      logger.warning(
        "lease lost, outcome discarded", metadata: ["job": "\(driver.name)/\(settlement.lease.job)"])
    }
    tellHooks(settlements, results)
  }

  /// Has the hooks told of runs whose outcome the database has answered. It does not wait for them.
  private func tellHooks(_ settlements: [Settlement], _ results: [SettleResult]) {
    guard hooks.didEnqueue != nil || hooks.didSettle != nil else { return }
    let entries = zip(settlements, results).filter { settlement, _ in
      if hooks.didSettle != nil, settlement.run != nil { return true }
      guard hooks.didEnqueue != nil, case .completed(let jobs) = settlement.outcome else { return false }
      return !jobs.isEmpty
    }
    hookQueue.add(entries.map { ($0, $1) }, tell: { await self.tellHooks($0) }, caughtUp: { self.signal() })
  }

  private func tellHooks(_ entry: HookQueue.Entry) async {
    let (settlement, result) = entry
    if let didEnqueue = hooks.didEnqueue, case .completed(let jobs) = settlement.outcome,
      case .settled(let replaced) = result
    {
      for (job, result) in zip(jobs, replaced) {
        await didEnqueue(job, EnqueueResult(result, database: driver.name))
      }
    }
    if let didSettle = hooks.didSettle, let run = settlement.run {
      await didSettle(SettledRun(run, settlement, result, database: driver.name))
    }
  }

  /// Reports the jobs of workers that died or hung, and those that expired.
  private func report(_ claim: Claim) {
    if claim.recovered > 0 {
      logger.info(
        "jobs of expired leases recovered",
        metadata: ["database": "\(driver.name)", "jobs": "\(claim.recovered)"])
    }
    let expired = claim.givenUp.count { $0.reason == .expired }
    if expired > 0 {
      logger.notice(
        "waiting jobs expired", metadata: ["database": "\(driver.name)", "jobs": "\(expired)"])
    }
    for job in claim.givenUp {
      hooks.didGiveUp?(job, driver.name)
      guard job.reason != .expired else { continue }
      logger.error(
        "job given up: its lease expired \(job.expiredLeases) times",
        metadata: ["job": "\(driver.name)/\(job.id)", "kind": "\(job.kind)", "attempt": "\(job.attempt)"])
    }
  }

  private func reportStuck(_ count: Int) {
    logger.error(
      "slots stuck, worker ends", metadata: ["slots": "\(count)", "maximum": "\(maxStuckSlots ?? 0)"])
  }

  private func leaseLost(_ job: ClaimedJob) {
    logger.warning(
      "lease lost, job cancelled", metadata: ["job": "\(driver.name)/\(job.id)", "kind": "\(job.kind)"])
    hooks.leaseLost?(job)
  }

  // MARK: Waiting

  func signal() {
    let pump = shared.withLock { shared in
      shared.isSignalled = true
      defer { shared.pump = nil }
      return shared.pump
    }
    pump?.resume()
  }

  private func wait(until time: Int64) async {
    await withContinuation { continuation in
      let goesOn = shared.withLock { shared in
        if shared.isSignalled { return true }
        shared.pump = continuation
        setTimer(&shared, time)
        return false
      }
      if goesOn { continuation.resume() }
    }
  }

  /// Keeps an earlier timer: when it fires too early, the pump decides again and waits again.
  private func setTimer(_ shared: inout Shared, _ time: Int64) {
    if let timer = shared.timer {
      guard time < timer.time else { return }
      timer.task.cancel()
      shared.timer = nil
    }
    guard time < .max else { return }
    let task = Task(executorPreference: thread) { [clock] in
      await Interleaving.pause()
      do { try await clock.sleep(untilSinceBoot: time) } catch { return }  // Cancelled: another timer replaces it.
      self.shared.withLock { if $0.timer?.time == time { $0.timer = nil } }
      self.signal()
    }
    shared.timer = (time, task)
  }

  private func listen() {
    let id = driver.doorbell.listen { [weak self] in self?.signal() }
    Interleaving.point()
    shared.withLock { $0.listener = id }
  }

  private func stopListening() {
    let listener = shared.withLock { shared in
      defer { shared.listener = nil }
      return shared.listener
    }
    if let listener { driver.doorbell.stopListening(listener) }
  }

  // MARK: Slots

  private func runSlot(_ slot: Int, first: ClaimedJob) async {
    var next: ClaimedJob? = first
    await Interleaving.pause()
    var known: JobHandler?
    while let job = next {
      let started = clock.sinceBoot()
      if known?.kind != job.kind { known = handlers[job.kind] }
      guard let handler = known else { return }
      let run = Run(engine: self, handler: handler, slot: slot, started: started)
      let outcome: Settlement.Outcome
      if handler.policy.execution == .blocking, let threads {
        outcome = await threads.run { await hooks.perform(job, run) }
      } else {
        outcome = await hooks.perform(job, run)
      }
      next = await finishAndTakeNext(slot, outcome, started: started, recording: handler.policy.recordsStatus)
    }
  }

  /// Hands in an outcome and takes the next job; returns nil if the slot's task must end.
  private func finishAndTakeNext(_ slot: Int, _ outcome: Settlement.Outcome, started: Int64, recording: Bool)
    async -> ClaimedJob?
  {
    let now = clock.sinceBoot()
    let (job, waits, pump, woken) = shared.withLock {
      shared -> (ClaimedJob?, Bool, Continuation<Void, Never>?, [Int]) in
      let goesOn = shared.state.end(slot, outcome, took: now - started, now: now, recording: recording)
      if !goesOn { shared.tasks[slot] = nil }
      permits?.end(shared.state)
      let job = goesOn && mayBegin(shared.state, now) ? shared.state.begin(slot, now: now) : nil
      // If this engine does not use the permit, another database gets it.
      let woken = job == nil ? permits?.grantAll(now: now) ?? [] : []
      guard !goesOn || shared.state.hasNews(now) || (job == nil && permits != nil) else {
        return (job, job == nil, nil, woken)
      }
      shared.isSignalled = true
      defer { shared.pump = nil }
      return (job, goesOn && job == nil, shared.pump, woken)
    }
    permits?.worker.wake(woken)
    pump?.resume()
    guard waits else { return job }
    await Interleaving.pause()
    return await withContinuation { continuation in
      let now = clock.sinceBoot()
      let (job, isOver) = shared.withLock { shared -> (ClaimedJob?, Bool) in
        if mayBegin(shared.state, now), let job = shared.state.begin(slot, now: now) { return (job, false) }
        if !shared.isOver { shared.parked.append((slot, continuation)) }
        return (nil, shared.isOver)
      }
      if job != nil || isOver { continuation.resume(returning: job) }
    }
  }

  /// Notes that the application's own transaction, not yet committed, completes the job of a slot's run.
  func completedElsewhere(_ slot: Int) { shared.withLock { $0.state.completedElsewhere(slot) } }

  /// The newest lease of the job that a slot runs; nil if it no longer runs that job.
  func lease(_ slot: Int, of job: Int64) -> Lease? {
    shared.withLock { shared in
      guard shared.state.slots.indices.contains(slot), let held = shared.state.slots[slot].run?.held,
        held.job.id == job
      else { return nil }
      return held.lease
    }
  }

  /// The reason why a slot's run was cancelled; nil if it was not.
  func stopReason(_ slot: Int) -> WorkerState.Stop? { shared.withLock { $0.state.stop(of: slot) } }
}

extension QudoError {
  /// - Parameter most: ``WorkerOptions/maxStuckSlots``.
  static func stuck(_ most: Int?) -> QudoError {
    QudoError(
      .slotsStuck,
      "runs that ignore their cancellation hold \(most ?? 0) or more slots of the worker: restart the process"
    )
  }

  /// Whether the error is temporary, so that a retry may succeed.
  package var isPassing: Bool {
    switch code {
    case .busy, .unreachable, .diskFull, .ioError, .outcomeUnknown, .outOfMemory, .tooManyFiles, .database,
      .cancelled:
      true
    default: false
    }
  }
}
