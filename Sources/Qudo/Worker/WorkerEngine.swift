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
  struct Shared {
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
  let verbs: any Driver
  /// Stores where final failures go; nil if the driver cannot.
  let setRoutes: (@Sendable ([FailureRoute]) async throws(QudoError) -> Void)?
  /// This engine's share of the worker's concurrency; nil with a single database.
  let permits: PermitHandle?
  let codecs: Codecs
  let handlers: [Kind: JobHandler]
  let plugins: Plugins
  let hooks: EngineHooks
  let clock: any QueueClock
  let logger: Logger
  /// The executor that ``run()`` must be called on.
  let thread = SerialThread("qudo.worker")
  /// The threads for handlers that block; nil if no handler does.
  let threads: BlockingThreads?
  let shared: Locked<Shared>
  let hookQueue = HookQueue()
  /// Nil if the logs are not to be pruned, or the driver has none.
  let pruner: LogPruner?
  /// Nil if nobody asks whether the engine answers.
  let pulse: WorkerPulse?
  private let beats = Locked<Int?>(nil)
  /// The number of stuck slots at which the worker ends; nil for never.
  let maxStuckSlots: Int?

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
    if verbs != nil {
      state.fleet = FleetShare(
        probeInterval: worker.queue.databases.options.probeInterval.wholeMicroseconds)
    }
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
    shared.withLock { ($0.state.summary, $0.state.backoff.isFailing ? $0.failure : nil) }
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
      let resumed = permits == nil || shared.state.buffer.isEmpty ? [] : dispatch(&shared, now: now)
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
      permits.worker.note(permits.index, stuck: shared.withLock { $0.state.slots.abandoned })
    }
    return action
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
}
