internal import Logging

/// Calls one database of a worker: asks the ``Scheduler`` for an action, performs it, and asks again.
@usableFromInline
final class Pump: Sendable {
  let engine: WorkerEngine
  /// The place of its source in the scheduler.
  let index: Int
  /// The database that stores the jobs.
  @usableFromInline let driver: any Driver
  /// The driver to call: the same one, or one that adds deadlines.
  let verbs: any Driver
  /// Stores where final failures go; nil if the driver cannot.
  let setRoutes: (@Sendable ([FailureRoute]) async throws(QudoError) -> Void)?
  /// With several databases, or one that is monitored: the pump retries all but a closed one.
  let isMonitored: Bool
  /// The executor that ``run()`` must be called on.
  let thread = SerialThread("qudo.worker")
  let hookQueue = HookQueue()
  /// Nil if the logs are not to be pruned, or the driver has none.
  let pruner: LogPruner?
  private let beats = Locked<Int?>(nil)

  /// - Parameter verbs: The driver to call instead of `driver`, which adds deadlines.
  init(_ engine: WorkerEngine, _ index: Int, _ driver: any Driver, verbs: DeadlineDriver? = nil) {
    self.engine = engine
    self.index = index
    self.driver = driver
    self.verbs = verbs ?? driver
    isMonitored = verbs != nil
    setRoutes = verbs?.routing ?? (driver as? any ControlDriver)?.setFailureRoutes
    pruner = engine.mode == .once ? nil : Self.pruner(engine.options, driver, verbs)
  }

  private static func pruner(_ options: WorkerOptions, _ driver: any Driver, _ verbs: DeadlineDriver?)
    -> LogPruner?
  {
    guard let logs = driver as? any LogDriver else { return nil }
    return LogPruner(options, database: driver.name) { options throws(QudoError) in
      if let verbs { try await verbs.prune(options) } else { try await logs.prune(options) }
    }
  }

  /// The facts about the driver that the scheduler needs.
  var settings: Source.Settings {
    let interval = engine.options.pollInterval.wholeMicroseconds
    return Source.Settings(
      canBeCancelled: driver.capabilities.contains(.control), hasRoutesToSet: setRoutes != nil,
      pollInterval: driver.doorbell.findsAll ? interval.clampedTimes(WorkerOptions.pollsLeftOut) : interval,
      nextPrune: pruner?.firstTime ?? .max)
  }

  // MARK: Actions

  /// Calls the database until the work ends.
  ///
  /// - Returns: The error that ended it early.
  func run() async -> QudoError? {
    if let pulse { beats.withLock { $0 = pulse.join { [weak self] in self?.signal() } } }
    let error = await perform()
    if let pulse, let engine = beats.withLock({ $0 }) { pulse.leave(engine) }
    await hookQueue.finish()
    await pruner?.finish()
    let now = clock.sinceBoot()
    let listener = engine.decide { [index] shared, after -> Int? in
      shared.scheduler.close(
        index, now: now, rings: { [pumps = shared.pumps] in WorkerEngine.rings(pumps, $0) })
      // Others may use what it leaves.
      self.engine.dispatch(&shared, &after, now: now)
      if let timer = shared.pumps[index].timer { after.cancel(timer.task) }
      return shared.pumps[index].listener
    }
    if let listener { driver.doorbell.stopListening(listener) }
    return error
  }

  private func perform() async -> QudoError? {
    // Databases that were not open when the worker was created.
    do { try driver.check(handlers.lazy.map { ($0, $1.policy) }) } catch { return error }
    while true {
      await Interleaving.pause()
      do {
        switch nextAction(now: clock.sinceBoot()) {
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
        case .finish: return nil
        }
      } catch {
        return error
      }
    }
  }

  private func nextAction(now: Int64) -> Scheduler.Action {
    let action = engine.decide { shared, after -> Scheduler.Action in
      shared.scheduler.sources[index].waitsForHooks = hookQueue.isBehind
      let (action, cancelled) = shared.scheduler.next(
        index, now: now, rings: { [pumps = shared.pumps] in WorkerEngine.rings(pumps, $0) })
      for slot in cancelled { if let task = shared.tasks[slot] { after.cancel(task) } }
      // Jobs that were claimed before may now begin, of other sources, too.
      engine.dispatch(&shared, &after, now: now)
      return action
    }
    // Only now: a question that comes later sets the signal, and this beat answers those before.
    if let pulse, let engine = beats.withLock({ $0 }) { pulse.beat(engine) }
    return action
  }

  // MARK: Waiting

  /// Lets the pump decide again.
  func signal() { engine.signal(index) }

  private func wait(until time: Int64) async {
    await withContinuation { continuation in
      let goesOn = engine.shared.withLock { shared in
        if shared.scheduler.sources[index].isSignalled { return true }
        shared.pumps[index].continuation = continuation
        setTimer(&shared.pumps[index], time)
        return false
      }
      if goesOn { continuation.resume() }
    }
  }

  /// Keeps an earlier timer: when it fires too early, the pump decides again and waits again.
  private func setTimer(_ state: inout WorkerEngine.PumpState, _ time: Int64) {
    if let timer = state.timer {
      guard time < timer.time else { return }
      timer.task.cancel()
      state.timer = nil
    }
    guard time < .max else { return }
    let task = Task(executorPreference: thread) { [clock] in
      await Interleaving.pause()
      do { try await clock.sleep(untilSinceBoot: time) } catch { return }  // Cancelled: another timer replaces it.
      self.engine.decide { shared, _ in
        if shared.pumps[self.index].timer?.time == time { shared.pumps[self.index].timer = nil }
        shared.scheduler.signal(self.index)
      }
    }
    state.timer = (time, task)
  }

  private func listen() {
    let id = driver.doorbell.listen { [weak self] in self?.signal() }
    Interleaving.point()
    engine.shared.withLock { $0.pumps[index].listener = id }
  }

  private func stopListening() {
    let listener = engine.shared.withLock { shared in
      defer { shared.pumps[index].listener = nil }
      return shared.pumps[index].listener
    }
    if let listener { driver.doorbell.stopListening(listener) }
  }
}

extension Pump {
  var clock: any QueueClock { engine.clock }
  var logger: Logger { engine.logger }
  var hooks: EngineHooks { engine.hooks }
  var handlers: [Kind: JobHandler] { engine.handlers }
  var pulse: WorkerPulse? { engine.options.pulse }
}
