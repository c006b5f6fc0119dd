internal import Logging

/// Claims jobs, runs several at a time, renews their leases, and settles them.
///
/// For example, a worker that runs four jobs at a time:
///
///     let worker = try Worker(queue, handlers: [JobHandler(SendMail.self)], concurrency: 4)
///     try await worker.work()
///
/// See the example `Tests/Examples/Sources/QuickStart`.
public struct Worker<Hooks: HookSet>: Sendable {
  /// The queue whose jobs the worker runs.
  public let queue: Queue<Hooks>
  /// The settings that the worker was created with.
  public let options: WorkerOptions
  package let handlers: [Kind: JobHandler]
  /// The kinds that the worker has a handler for.
  package var kinds: [Kind] { Array(handlers.keys) }
  let plugins: Plugins
  let engineHooks: EngineHooks
  /// The threads for handlers that block; nil if no handler does.
  let threads: BlockingThreads?

  /// Creates a worker with all its options.
  ///
  /// - Parameters:
  ///   - queue: The queue whose jobs the worker runs.
  ///   - handlers: The handlers, at most one per kind.
  ///   - plugins: The services that jobs can use, at most one per type; they start in this order.
  ///   - options: The worker's settings.
  /// - Throws: ``QudoError/Code/invalidArgument`` if there is no handler, if two handlers have one kind or
  ///   two plugins one type, if a plugin that a handler requires is missing, or if a setting is out of range.
  @inlinable
  public init(
    _ queue: Queue<Hooks>, handlers: [JobHandler], plugins: [any Plugin] = [],
    options: WorkerOptions = WorkerOptions()
  ) throws(QudoError) {
    try self.init(queue, handlers: handlers, plugins, options, EngineHooks(queue.hooks))
  }

  /// Creates a worker with default options that runs `concurrency` jobs at a time.
  ///
  /// - Parameters:
  ///   - queue: The queue whose jobs the worker runs.
  ///   - handlers: The handlers, at most one per kind.
  ///   - plugins: The services that jobs can use, at most one per type.
  ///   - concurrency: The maximum number of jobs that run at the same time.
  /// - Throws: The same errors as ``init(_:handlers:plugins:options:)-(_,[JobHandler],_,_)``.
  @inlinable
  public init(
    _ queue: Queue<Hooks>, handlers: [JobHandler], plugins: [any Plugin] = [], concurrency: Int
  ) throws(QudoError) {
    var options = WorkerOptions()
    options.concurrency = concurrency
    try self.init(queue, handlers: handlers, plugins: plugins, options: options)
  }

  @usableFromInline
  init(
    _ queue: Queue<Hooks>, handlers: [JobHandler], _ plugins: [any Plugin], _ options: WorkerOptions,
    _ hooks: EngineHooks
  ) throws(QudoError) {
    guard !handlers.isEmpty else {
      throw QudoError(.invalidArgument, "the worker has no handlers: give it at least one")
    }
    try options.check()
    self.plugins = try Plugins(plugins)
    var byKind: [Kind: JobHandler] = [:]
    for handler in handlers {
      try Limits.check("kind", handler.kind.name, atMost: Limits.kindBytes)
      try handler.policy.check(handler.kind)
      try self.plugins.check(handler)
      guard byKind.updateValue(handler, forKey: handler.kind) == nil else {
        throw QudoError(
          .invalidArgument, "two handlers have the kind \(handler.kind): give one handler per kind")
      }
    }
    if handlers.contains(where: { $0.policy.onFinalFailure != nil }) {
      for driver in queue.databases.opened { _ = try driver.control() }
    }
    for driver in queue.databases.opened { try driver.check(handlers.lazy.map { ($0.kind, $0.policy) }) }
    self.queue = queue
    self.handlers = byKind
    self.options = options
    engineHooks = hooks
    threads = handlers.contains { $0.policy.execution == .blocking } ? BlockingThreads() : nil
  }

  /// Runs jobs until the task is cancelled, then shuts down gracefully.
  ///
  /// On cancellation the worker stops claiming. Running jobs may finish within
  /// ``WorkerOptions/shutdownGracePeriod``; then the worker cancels them. Jobs that do not complete are
  /// released at once, so that another worker can claim them.
  ///
  /// The worker logs temporary database errors and retries. With several databases, it continues with the
  /// others meanwhile.
  ///
  /// - Throws: ``QudoError`` if a plugin fails to start, or if the database is permanently unusable: damaged,
  ///   read-only or closed. With several databases, the worker continues until all of them are closed.
  @discardableResult
  public func work() async throws(QudoError) -> WorkSummary {
    try await run(.forever)
  }

  /// Runs jobs until none of the worker's kinds is ready, delayed or running anywhere, or the task is
  /// cancelled.
  ///
  /// With several databases, once the others are empty, the worker does not wait for a database that has been
  /// unavailable for longer than ``WorkerOptions/outageTimeout``. ``WorkSummary/unreachable`` names it.
  ///
  /// It waits for jobs that a ``JobPolicy/rate`` holds up, with `skipDelayed` too.
  ///
  /// - Parameter skipDelayed: Whether to return when only jobs that are not yet due are left.
  /// - Throws: ``QudoError`` if the database is unavailable for longer than ``WorkerOptions/outageTimeout``.
  ///   With several databases, only if all of them are.
  @discardableResult
  public func workUntilEmpty(skipDelayed: Bool = false) async throws(QudoError) -> WorkSummary {
    try await run(.untilEmpty(skipDelayed: skipDelayed))
  }

  /// Runs one job, if one is ready and no limit of its kind holds it up.
  ///
  /// - Returns: Whether a job ran.
  /// - Throws: The same errors as ``workUntilEmpty(skipDelayed:)``.
  public func workOnce() async throws(QudoError) -> Bool {
    let summary = try await run(.once)
    return !summary.isNothing
  }

  /// Runs one unclaimed job repeatedly, to measure the overhead of a run.
  package func rehearse(_ job: ClaimedJob, _ times: Int) async {
    guard let handler = handlers[job.kind], let driver = queue.databases.only else { return }
    let pump = Pump(WorkerEngine(self, mode: .once, .single(driver)), 0, driver)
    for _ in 0..<times {
      _ = await engineHooks.perform(job, Run(pump: pump, handler: handler, slot: 0, started: 0))
    }
  }

  private func run(_ mode: Scheduler.Mode) async throws(QudoError) -> WorkSummary {
    try await plugins.around(context) { await runEngine(mode) }.get()
  }

  private var context: WorkerContext {
    WorkerContext(
      queue: queue, databases: queue.databases, kinds: Array(handlers.keys), logger: options.logger,
      clock: options.clock)
  }

  private func runEngine(_ mode: Scheduler.Mode) async -> Result<WorkSummary, QudoError> {
    if let driver = queue.databases.only { return await run(WorkerEngine(self, mode: mode, .single(driver))) }
    if mode == .once { return await runOnce() }
    return await run(WorkerEngine(self, mode: mode, .members(queue.databases.members)))
  }

  private func run(_ engine: WorkerEngine) async -> Result<WorkSummary, QudoError> {
    // The engine's calls must not be cancelled: a finished job is settled even then.
    let work = Task(executorPreference: engine.thread) { await engine.run() }
    return await withTaskCancellationHandler {
      await work.value
    } onCancel: {
      engine.stop()
    }
  }

  /// Tries the databases one after the other until one has a job.
  private func runOnce() async -> Result<WorkSummary, QudoError> {
    var outcomes: [(String, WorkerEngine.Outcome)] = []
    var random = SystemRandomNumberGenerator()
    let databases = queue.databases
    var route = EnqueueRoute(databases.members.count, databases.options.order, using: &random)
    while let index = route.next(databases.options.clock.sinceBoot(), { databases.members[$0].health }),
      !Task.isCancelled
    {
      let member = databases.members[index]
      let outcome: WorkerEngine.Outcome
      do throws(QudoError) {
        let driver = try await member.ready(until: databases.end(databases.options.callTimeout))
        let engine = WorkerEngine(self, mode: .once, .monitored(member, driver))
        _ = await run(engine)
        outcome = engine.report(0)
      } catch {
        outcome = (WorkSummary(), error)
      }
      outcomes.append((member.name, outcome))
      if !outcome.summary.isNothing { return .success(outcome.summary) }
    }
    return outcomes.isEmpty ? .success(WorkSummary()) : WorkerEngine.sum(outcomes)
  }

  /// Starts the plugins, lets `body` run ready jobs one step at a time, then stops the plugins.
  package func stepwise<Success: Sendable>(
    _ body: @escaping @Sendable (_ step: @Sendable () async throws(QudoError) -> Bool) async throws -> Success
  ) async throws -> Success {
    try await plugins.around(context) { () async -> Result<Result<Success, any Error>, QudoError> in
      do {
        return .success(
          .success(
            try await body { () async throws(QudoError) in try await runEngine(.once).get().isNothing == false
            }))
      } catch {
        return .success(.failure(error))
      }
    }.get().get()
  }
}
