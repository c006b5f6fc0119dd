internal import Logging

/// A worker for several databases: one engine for each open database, and retries for the others.
final class MultiDatabaseWorker: Sendable {
  private struct Shared {
    var engines: [Int: WorkerEngine] = [:]
    var progress: [Int: WorkerState.DatabaseProgress] = [:]
    /// The waits before the next attempt to open a database.
    var naps: [Int: Task<Void, Never>] = [:]
    var isStopping = false
    var isOver = false
    /// The slots of each engine that are held by runs that ignore their cancellation. Empty without a maximum.
    var stuck: [Int: Int] = [:]
    var isStuck = false
  }
  /// The result for one database, and its error if it is failing at the end.
  typealias Outcome = (summary: WorkSummary, failure: QudoError?)

  /// The executor for ``run()``. Each engine has its own, so that a hanging database delays only itself.
  let thread = SerialThread("qudo.workers")
  let budget: Locked<ConcurrencyBudget>
  private let members: [DatabaseMember]
  private let mode: WorkerState.Mode
  private let clock: any QueueClock
  private let options: WorkerOptions
  private let deadline: Int64
  private let retry: Int64
  private let shared = Locked(Shared())
  private let makeEngine: @Sendable (DatabaseMember, any Driver, PermitHandle) -> WorkerEngine

  init<Hooks: HookSet>(_ worker: Worker<Hooks>, mode: WorkerState.Mode) {
    let databases = worker.queue.databases
    members = databases.members
    clock = worker.options.clock
    options = worker.options
    deadline = databases.options.callTimeout.wholeMicroseconds
    retry = databases.options.probeInterval.wholeMicroseconds
    self.mode = mode
    budget = Locked(
      ConcurrencyBudget(
        total: worker.options.concurrency, limits: worker.handlers.compactMapValues(\.policy.maxHeld)))
    makeEngine = { member, driver, permits in
      WorkerEngine(
        worker, mode: mode, driver, verbs: DeadlineDriver(member: member, base: driver), permits: permits)
    }
  }

  // MARK: All databases

  func run() async -> Result<WorkSummary, QudoError> {
    let outcomes = await withTaskGroup(of: (Int, Outcome).self) { group in
      for member in members { group.addTask { (member.index, await self.serve(member)) } }
      var outcomes: [Int: Outcome] = [:]
      for await (index, outcome) in group { outcomes[index] = outcome }
      return outcomes
    }
    if shared.withLock({ $0.isStuck }) { return .failure(.stuck(options.maxStuckSlots)) }
    return Self.sum(members.map { ($0.name, outcomes[$0.index] ?? (WorkSummary(), nil)) })
  }

  /// Notes how many slots of an engine are held by runs that ignore their cancellation, and ends the work if all engines
  /// together have too many.
  func note(_ index: Int, stuck count: Int) {
    guard let most = options.maxStuckSlots else { return }
    let ended = shared.withLock {
      shared -> (total: Int, engines: [WorkerEngine], naps: [Task<Void, Never>])? in
      shared.stuck[index] = count
      let total = shared.stuck.values.reduce(0, +)
      guard total >= most, !shared.isStopping, !shared.isOver else { return nil }
      (shared.isStuck, shared.isStopping) = (true, true)
      return (total, Array(shared.engines.values), Array(shared.naps.values))
    }
    guard let ended else { return }
    options.logger.error(
      "slots stuck, worker ends", metadata: ["slots": "\(ended.total)", "maximum": "\(most)"])
    for engine in ended.engines { engine.stop() }
    for nap in ended.naps { nap.cancel() }
  }

  /// Adds up the results; fails only if all databases failed.
  static func sum(_ outcomes: [(database: String, outcome: Outcome)]) -> Result<WorkSummary, QudoError> {
    var summary = WorkSummary()
    var failures: [AllDatabasesUnavailable.Failure] = []
    for (database, outcome) in outcomes {
      summary.add(outcome.summary)
      guard let failure = outcome.failure else { continue }
      failures.append(.init(database: database, error: failure))
      summary.unreachable.append(database)
    }
    return failures.count < outcomes.count
      ? .success(summary) : .failure(AllDatabasesUnavailable(failures: failures).error)
  }

  func stop() {
    let (engines, naps) = shared.withLock { shared in
      shared.isStopping = true
      return (Array(shared.engines.values), Array(shared.naps.values))
    }
    for engine in engines { engine.stop() }
    for nap in naps { nap.cancel() }
  }

  /// Lets these engines decide again.
  func wake(_ indices: [Int]) {
    guard !indices.isEmpty else { return }
    for engine in shared.withLock({ shared in indices.compactMap { shared.engines[$0] } }) { engine.signal() }
  }

  // MARK: One database

  private func serve(_ member: DatabaseMember) async -> Outcome {
    switch await open(member) {
    case .failure(let error): return (WorkSummary(), error)
    case .success(nil): return (WorkSummary(), nil)
    case .success(let driver?):
      let engine = makeEngine(member, driver, PermitHandle(worker: self, index: member.index))
      budget.withLock { $0.join(member.index) }
      let isStopping = shared.withLock { shared in
        shared.engines[member.index] = engine
        shared.progress[member.index] = .busy
        return shared.isStopping
      }
      await Interleaving.pause()
      if isStopping { engine.stop() }
      _ = await withTaskExecutorPreference(engine.thread) { await engine.run() }
      shared.withLock { $0.engines[member.index] = nil }
      return engine.report
    }
  }

  /// Tries until the database is open; returns nil if the work ends before.
  private func open(_ member: DatabaseMember) async -> Result<(any Driver)?, QudoError> {
    var failingSince: Int64?
    var pause: Int64 = 50_000
    while true {
      guard !isEnding else { return .success(nil) }
      let begun = clock.sinceBoot()
      let result = await opening(member, until: begun.clampedPlus(deadline))
      let failure: QudoError
      switch result {
      case .success(let driver): return .success(driver)
      case nil: return .success(nil)
      case .failure(let error): failure = error
      }
      guard failure.code != .closed else { return .failure(failure) }
      let now = clock.sinceBoot()
      let since = failingSince ?? begun
      failingSince = since
      let outageEnd = since.clampedPlus(options.outageTimeout.wholeMicroseconds)
      note(member.index, now >= outageEnd ? .unavailable : .busy)
      if shared.withLock({ $0.isOver }) { return .failure(failure) }
      await nap(member.index, until: min(now + min(pause, retry), now >= outageEnd ? .max : outageEnd))
      if shared.withLock({ $0.isOver }) { return .failure(failure) }
      pause = min(pause * 2, retry)
    }
  }

  /// Tries once; returns nil if the work ends before there is an answer.
  private func opening(_ member: DatabaseMember, until time: Int64) async -> Result<any Driver, QudoError>? {
    let wait = Task(executorPreference: thread) { [clock] in _ = try? await clock.sleep(untilSinceBoot: time)
    }
    keep(wait, member.index)
    let opening = Task(executorPreference: thread) { () async -> Result<any Driver, QudoError> in
      await Interleaving.pause()
      defer { wait.cancel() }
      do throws(QudoError) { return .success(try await member.ready(until: time)) } catch {
        return .failure(error)
      }
    }
    await wait.value
    return isEnding ? nil : await opening.value
  }

  private func nap(_ index: Int, until time: Int64) async {
    let nap = Task(executorPreference: thread) { [clock] in _ = try? await clock.sleep(untilSinceBoot: time) }
    keep(nap, index)
    await nap.value
  }

  private func keep(_ nap: Task<Void, Never>, _ index: Int) {
    let isEnding = shared.withLock { shared in
      shared.naps[index] = nap
      return shared.isStopping || shared.isOver
    }
    if isEnding { nap.cancel() }
  }

  private var isEnding: Bool { shared.withLock { $0.isStopping } }

  // MARK: Until empty

  /// Notes the progress in one database, and ends the work if all available databases are empty.
  func note(_ index: Int, _ progress: WorkerState.DatabaseProgress) {
    guard case .untilEmpty = mode else { return }
    let (engines, naps) = shared.withLock { shared -> ([WorkerEngine], [Task<Void, Never>]) in
      shared.progress[index] = progress
      guard !shared.isOver,
        members.allSatisfy({ Self.isDone(shared.progress[$0.index], shared.engines[$0.index]) })
      else { return ([], []) }
      shared.isOver = true
      return (Array(shared.engines.values), Array(shared.naps.values))
    }
    guard !engines.isEmpty || !naps.isEmpty else { return }
    // On another thread, because the engine that reports this holds its lock.
    Task(executorPreference: thread) {
      await Interleaving.pause()
      for engine in engines { engine.finish() }
      for nap in naps { nap.cancel() }
    }
  }

  private static func isDone(_ progress: WorkerState.DatabaseProgress?, _ engine: WorkerEngine?) -> Bool {
    switch progress {
    case nil, .busy: false
    case .unavailable: true
    // A job of another database that enqueued here has rung the doorbell.
    case .empty(let rings): engine?.driver.doorbell.rings == rings
    }
  }
}
