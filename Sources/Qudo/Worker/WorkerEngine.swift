internal import Logging

/// Runs a ``Scheduler``: one ``Pump`` per database calls it, and one task per slot runs jobs.
///
/// The pumps and their timers run on their own threads. So jobs that occupy Swift's pool delay no renewal, time limit or
/// settlement, and a database that hangs delays only its own pump. The slots' tasks run on the pool; handlers whose policy says so
/// run on blocking threads.
///
/// Each step locks, decides, unlocks and then acts: ``decide(_:)`` returns what the step decided, and does what follows for the
/// other tasks. There is one lock, and nothing is called under it that takes another one. A slot's task runs one job after the
/// other, so that a short job does not cost a task. To cancel a run, the engine cancels the slot's task, which ends with that run
/// and is replaced.
@usableFromInline
final class WorkerEngine: Sendable {
  /// The engine's own state of a source, next to the scheduler's.
  struct PumpState {
    /// Nil before its database is open, and after the pump has ended.
    var pump: Pump?
    /// The pump, while it waits.
    var continuation: Continuation<Void, Never>?
    var timer: (time: Int64, task: Task<Void, Never>)?
    var listener: Int?
    /// The last error of the database.
    var failure: QudoError?
    /// The wait before the next attempt to open the database.
    var nap: Task<Void, Never>?
  }

  struct Shared {
    var scheduler: Scheduler
    var pumps: [PumpState]
    /// The slots' tasks.
    var tasks: [Int: Task<Void, Never>] = [:]
    /// The slots' tasks that wait for a job.
    var parked: [(slot: Int, continuation: Continuation<Scheduler.Assignment?, Never>)] = []
    /// True when all pumps have ended.
    var isOver = false
  }

  /// The work that a step leaves until the lock is released.
  struct AfterUnlock: Sendable {
    private enum Effect {
      case begin(Continuation<Scheduler.Assignment?, Never>, Scheduler.Assignment)
      case resume(Continuation<Void, Never>)
      case cancel(Task<Void, Never>)
    }
    /// Most steps wake one pump or none.
    private var pump: Continuation<Void, Never>?
    private var others: [Effect] = []

    mutating func resume(_ pump: Continuation<Void, Never>) {
      if self.pump == nil { self.pump = pump } else { others.append(.resume(pump)) }
    }
    mutating func begin(
      _ job: Scheduler.Assignment, in slot: Continuation<Scheduler.Assignment?, Never>
    ) {
      others.append(.begin(slot, job))
    }
    mutating func cancel(_ task: Task<Void, Never>) { others.append(.cancel(task)) }

    func perform() {
      pump?.resume()
      for effect in others {
        switch effect {
        case .begin(let slot, let job): slot.resume(returning: job)
        case .resume(let pump): pump.resume()
        case .cancel(let task): task.cancel()
        }
      }
    }
  }

  let codecs: Codecs
  let handlers: [Kind: JobHandler]
  let plugins: Plugins
  let hooks: EngineHooks
  let clock: any QueueClock
  let logger: Logger
  /// The threads for handlers that block; nil if no handler does.
  let threads: BlockingThreads?
  let options: WorkerOptions
  let mode: Scheduler.Mode
  let shared: Locked<Shared>
  let backends: Backends
  /// The executor for ``run()``. Each pump has its own.
  let thread = SerialThread("qudo.workers")

  init<Hooks: HookSet>(_ worker: Worker<Hooks>, mode: Scheduler.Mode, _ backends: Backends) {
    codecs = worker.queue.codecs
    handlers = worker.handlers
    plugins = worker.plugins
    hooks = worker.engineHooks
    clock = worker.options.clock
    logger = worker.options.logger
    threads = worker.threads
    options = worker.options
    self.mode = mode
    self.backends = backends
    var rules = WorkerRules(mode: mode, handlers: worker.handlers, options: worker.options)
    rules.reportsRuns = hooks.didSettle != nil
    let interval = backends.isMonitored ? worker.queue.databases.options.probeInterval.wholeMicroseconds : nil
    shared = Locked(
      Shared(
        scheduler: Scheduler(rules, sources: backends.count, probeInterval: interval),
        pumps: Array(repeating: PumpState(), count: backends.count)))
  }

  /// Stops claiming and ends within the grace periods.
  func stop() {
    Interleaving.point()
    let now = clock.sinceBoot()
    decide { shared, _ in
      shared.scheduler.stop(now: now)
      for index in shared.pumps.indices {
        // It may wait for a time at which the pump would have begun to listen: the pump sets another one.
        shared.pumps[index].timer?.task.cancel()
        shared.pumps[index].timer = nil
      }
    }
  }

  /// Lets a source's pump decide again.
  func signal(_ source: Int) { decide { shared, _ in shared.scheduler.signal(source) } }

  // MARK: Steps

  /// Takes a step under the lock. When it is released, resumes the slots' tasks that got jobs and the pumps that
  /// were signalled, and cancels tasks.
  ///
  /// - Parameter step: Returns its result. It can add tasks to be cancelled.
  #if QUDO_INTERLEAVINGS
  func decide<Result: Sendable>(
    file: StaticString = #fileID, line: UInt = #line, _ step: (inout Shared, inout AfterUnlock) -> Result
  ) -> Result {
    let (result, after) = shared.withLock(file: file, line: line) { $0.decide(step) }
    after.perform()
    return result
  }
  #else
  func decide<Result: Sendable>(_ step: (inout Shared, inout AfterUnlock) -> Result) -> Result {
    let (result, after) = shared.withLock { $0.decide(step) }
    after.perform()
    return result
  }
  #endif

  /// Hands jobs to the slots that wait, and opens slots for more.
  func dispatch(_ shared: inout Shared, _ after: inout AfterUnlock, now: Int64) {
    while let slot = shared.scheduler.openSlot() {
      guard let job = shared.scheduler.begin(slot, now: now) else {
        shared.scheduler.closeSlot(slot)
        break
      }
      // A task does not inherit the executor of its creator.
      shared.tasks[slot] = Task { await self.runSlot(slot, first: job) }
    }
    while let (slot, continuation) = shared.parked.last, let job = shared.scheduler.begin(slot, now: now) {
      shared.parked.removeLast()
      after.begin(job, in: continuation)
    }
  }

  /// Returns the number of rings of a source's doorbell.
  ///
  /// Read under the lock, after a signal is cleared: a later ring sets the signal again, so that the pump cannot miss it.
  static func rings(_ pumps: [PumpState], _ source: Int) -> UInt64 {
    pumps[source].pump?.driver.doorbell.rings ?? 0
  }
}

extension WorkerEngine.Shared {
  fileprivate mutating func decide<Result>(
    _ step: (inout WorkerEngine.Shared, inout WorkerEngine.AfterUnlock) -> Result
  ) -> (Result, WorkerEngine.AfterUnlock) {
    var after = WorkerEngine.AfterUnlock()
    let result = step(&self, &after)
    takeSignalled(&after)
    return (result, after)
  }

  /// Takes the pumps that were signalled and wait.
  fileprivate mutating func takeSignalled(_ after: inout WorkerEngine.AfterUnlock) {
    while let source = scheduler.takeSignalled() {
      if let continuation = pumps[source].continuation {
        pumps[source].continuation = nil
        after.resume(continuation)
      }
      // The work ends: no database is opened any more.
      if scheduler.phase != .working, let nap = pumps[source].nap { after.cancel(nap) }
    }
  }
}
