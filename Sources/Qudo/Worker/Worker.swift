internal import Logging

/// Claims jobs, runs several at once, renews their leases, and settles each.
///
///     let worker = try Worker(queue, [JobHandler(SendMail.self)], concurrency: 4)
///     try await worker.work()
public struct Worker<Hooks: HookSet>: Sendable {
  /// Where its jobs come from.
  public let queue: Queue<Hooks>
  /// How it works.
  public let options: WorkerOptions
  package let handlers: [Kind: JobHandler]
  /// The kinds that it performs.
  package var kinds: [Kind] { Array(handlers.keys) }
  let plugins: Plugins
  let engineHooks: EngineHooks
  /// For handlers that block; nil if there are none.
  let threads: BlockingThreads?

  /// - Parameters:
  ///   - queue: where the jobs come from.
  ///   - handlers: the kinds to perform, each once.
  ///   - plugins: what the jobs can use, at most one of a type. Started before the first job, in this order.
  ///   - options: how it works.
  /// - Throws: ``QudoError/Code/invalidArgument`` without a handler, for two of one kind or two plugins of one type, for a
  ///   plugin that a handler needs and that is not there, and for a policy or an option that makes no sense.
  @inlinable
  public init(
    _ queue: Queue<Hooks>, handlers: [JobHandler], plugins: [any Plugin] = [], options: WorkerOptions = WorkerOptions()
  ) throws(QudoError) {
    try self.init(queue, handlers: handlers, plugins, options, EngineHooks(queue.hooks))
  }

  /// - Parameters:
  ///   - queue: where the jobs come from.
  ///   - handlers: the kinds to perform, each once.
  ///   - plugins: what the jobs can use, at most one of a type.
  ///   - concurrency: how many jobs run at once.
  /// - Throws: as ``init(_:handlers:plugins:options:)``.
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
    _ queue: Queue<Hooks>, handlers: [JobHandler], _ plugins: [any Plugin], _ options: WorkerOptions, _ hooks: EngineHooks
  ) throws(QudoError) {
    guard !handlers.isEmpty else { throw QudoError(.invalidArgument, "the worker has no handlers: give it a kind to perform") }
    try options.check()
    self.plugins = try Plugins(plugins)
    var byKind: [Kind: JobHandler] = [:]
    for handler in handlers {
      try Limits.check("kind", handler.kind.name, atMost: Limits.kindBytes)
      try handler.policy.check(handler.kind)
      try self.plugins.check(handler)
      guard byKind.updateValue(handler, forKey: handler.kind) == nil else {
        throw QudoError(.invalidArgument, "two handlers have the kind \(handler.kind)")
      }
    }
    self.queue = queue
    self.handlers = byKind
    self.options = options
    engineHooks = hooks
    threads = handlers.contains { $0.policy.execution == .blocking } ? BlockingThreads() : nil
  }

  /// Works until the task is cancelled. Then no job is claimed any more; the running ones may end within
  /// ``WorkerOptions/shutdownGracePeriod``, are cancelled after it, and those that do not complete are given back at once.
  ///
  /// Trouble of the database is logged and waited out. Of several databases, the others are worked on meanwhile.
  ///
  /// - Throws: ``QudoError`` when the database cannot be used any more: damaged, read-only, closed; and when a plugin does
  ///   not start. Of several databases, only when all were closed.
  @discardableResult
  public func work() async throws(QudoError) -> WorkSummary {
    try await run(.forever)
  }

  /// Works until no job of its kinds is ready, delayed or running anywhere, or until the task is cancelled.
  ///
  /// - Parameter skipDelayed: leave jobs that are not due when nothing else is left.
  /// Of several databases, one that cannot be used for longer than ``WorkerOptions/outageTimeout`` is not waited for when nothing
  /// is left in the others; ``WorkSummary/unreachable`` names it.
  ///
  /// - Throws: ``QudoError`` when the database cannot be used for longer than ``WorkerOptions/outageTimeout``; of several
  ///   databases, when none can.
  @discardableResult
  public func workUntilEmpty(skipDelayed: Bool = false) async throws(QudoError) -> WorkSummary {
    try await run(.untilEmpty(skipDelayed: skipDelayed))
  }

  /// Runs one job, if one is ready.
  ///
  /// - Returns: whether there was one.
  /// - Throws: as ``workUntilEmpty(skipDelayed:)``.
  public func workOnce() async throws(QudoError) -> Bool {
    let summary = try await run(.once)
    return !summary.isNothing
  }

  /// Runs a job that nobody claimed, again and again, for measurements of what is round a run.
  package func rehearse(_ job: ClaimedJob, _ times: Int) async {
    guard let handler = handlers[job.kind], let driver = queue.databases.only else { return }
    let engine = WorkerEngine(self, mode: .once, driver)
    for _ in 0..<times { _ = await engineHooks.perform(job, Run(engine: engine, handler: handler, slot: 0, started: 0)) }
  }

  private func run(_ mode: WorkerState.Mode) async throws(QudoError) -> WorkSummary {
    try await plugins.around(context) { await runEngine(mode) }.get()
  }

  private var context: WorkerContext {
    WorkerContext(queue: queue, databases: queue.databases, kinds: Array(handlers.keys), logger: options.logger, clock: options.clock)
  }

  private func runEngine(_ mode: WorkerState.Mode) async -> Result<WorkSummary, QudoError> {
    guard let driver = queue.databases.only else { return await runCompany(mode) }
    let engine = WorkerEngine(self, mode: mode, driver)
    // The engine's own calls must not be cancelled: a finished job is settled all the same.
    let work = Task(executorPreference: engine.thread) { await engine.run() }
    return await withTaskCancellationHandler { await work.value } onCancel: { engine.stop() }
  }

  private func runCompany(_ mode: WorkerState.Mode) async -> Result<WorkSummary, QudoError> {
    if mode == .once { return await runOnce() }
    let worker = MultiDatabaseWorker(self, mode: mode)
    let work = Task(executorPreference: worker.thread) { await worker.run() }
    return await withTaskCancellationHandler { await work.value } onCancel: { worker.stop() }
  }

  /// One database after the other, until one has a job.
  private func runOnce() async -> Result<WorkSummary, QudoError> {
    var outcomes: [(String, MultiDatabaseWorker.Outcome)] = []
    var random = SystemRandomNumberGenerator()
    let databases = queue.databases
    var route = EnqueueRoute(databases.members.count, databases.options.order, using: &random)
    while let index = route.next(databases.options.clock.sinceBoot(), { databases.members[$0].health }), !Task.isCancelled {
      let member = databases.members[index]
      let outcome: MultiDatabaseWorker.Outcome
      do throws(QudoError) {
        let driver = try await member.ready(until: databases.end(databases.options.callTimeout))
        let engine = WorkerEngine(self, mode: .once, driver, verbs: DeadlineDriver(member: member, base: driver))
        let work = Task(executorPreference: engine.thread) { await engine.run() }
        _ = await withTaskCancellationHandler { await work.value } onCancel: { engine.stop() }
        outcome = engine.report
      } catch {
        outcome = (WorkSummary(), error)
      }
      outcomes.append((member.name, outcome))
      if !outcome.summary.isNothing { return .success(outcome.summary) }
    }
    return outcomes.isEmpty ? .success(WorkSummary()) : MultiDatabaseWorker.sum(outcomes)
  }

  /// Runs one job each time that `body` asks for it, if one is ready, all between one start and one stop of the plugins.
  package func stepwise<Success: Sendable>(
    _ body: @escaping @Sendable (_ step: @Sendable () async throws(QudoError) -> Bool) async throws -> Success
  ) async throws -> Success {
    try await plugins.around(context) { () async -> Result<Result<Success, any Error>, QudoError> in
      do {
        return .success(.success(try await body { () async throws(QudoError) in try await runEngine(.once).get().isNothing == false }))
      } catch {
        return .success(.failure(error))
      }
    }.get().get()
  }
}
