public import Qudo

/// A queue that runs jobs when they are enqueued, for tests of an application that only knows an ``/Qudo/Enqueuer``. No
/// worker is needed beside it.
///
///     let queue = try Queue(MemoryDriver()).inline([JobHandler(SendMail.self)], plugins: [mailbox])
///     try await SignUp(queue: queue).signUp("ada@example.org")
///     #expect(mailbox.sent == ["ada@example.org"])
///
/// Each job goes the whole way: hooks, codec, driver, claim, policy, plugins, outcome. `enqueue` returns when no job of these
/// handlers' kinds is ready any more; what a job enqueues, or is replaced by, runs after it, before `enqueue` returns. What
/// is to wait stays in the database: delayed jobs, snoozed ones, retries with a delay. ``drain(_:limit:)`` runs them. Retries
/// without a delay run at once.
///
/// Plugins are started before the first job of an enqueue and stopped after the last. Of two tasks that enqueue at the same
/// time, the second one's jobs run after the first one's; a job must not wait for a detached task that enqueues.
public struct InlineQueue<Hooks: HookSet>: Enqueuer {
  /// What becomes of the errors of jobs.
  public enum Failures: Sendable {
    /// ``InlineQueue/enqueue(_:)`` throws ``FailedJobs`` when a job was given up. It was enqueued all the same.
    case thrown
    /// They are in ``InlineQueue/failures`` and in the failure log only, and the code that enqueues hears nothing, as it
    /// would with a worker elsewhere.
    case recorded
  }

  /// The queue itself, whose jobs can be looked at: `queue.queue.expectEnqueued(…)`.
  public let queue: Queue<Hooks>
  private let worker: Worker<_PairHook<Hooks, FailureRecorder>>
  private let recorder: FailureRecorder
  private let mode: Failures
  private let limit: Int
  private let turn = InlineTurn()

  /// - Parameters:
  ///   - queue: where the jobs go.
  ///   - handlers: the kinds to perform, each once. Jobs of other kinds stay where they are.
  ///   - plugins: what the jobs can use, at most one of a type.
  ///   - failures: what becomes of the errors of jobs. Default: they are thrown.
  ///   - clock: what time limits and durations go by. Default: the machine's.
  ///   - limit: how many runs one enqueue may cause at most, so that jobs which come again and again are found out.
  ///     Default 10,000.
  /// - Throws: as ``/Qudo/Worker/init(_:handlers:plugins:options:)-(_,[JobHandler],_,_)``.
  public init(
    _ queue: Queue<Hooks>, _ handlers: [JobHandler], plugins: [any Plugin] = [], failures: Failures = .thrown,
    clock: any QueueClock = SystemClock(), limit: Int = 10_000
  ) throws(QudoError) {
    var options = WorkerOptions()
    options.clock = clock
    let recorder = FailureRecorder()
    let recorded = Queue(queue.databases, codecs: queue.codecs) { _PairHook(queue.hooks, recorder) }
    worker = try Worker(recorded, handlers: handlers, plugins: plugins, options: options)
    self.queue = queue
    self.recorder = recorder
    self.limit = limit
    mode = failures
  }

  /// Those of the queue itself.
  public var codecs: Codecs { queue.codecs }

  /// All failed runs so far, those among them that are or were tried again.
  public var failures: [FailedRun] { recorder.runs.withLock { $0 } }

  /// Stores jobs as ``/Qudo/Queue/enqueue(_:)``, then runs what is ready.
  ///
  /// - Throws: as that; what ``run()`` throws.
  @discardableResult
  public func enqueue(_ jobs: [NewJob]) async throws -> [EnqueueResult] {
    let results = try await queue.enqueue(jobs)
    try await run()
    return results
  }

  /// Stores jobs as ``/Qudo/Queue/enqueue(_:in:)-([NewJob],_)``. They do not run before the application's transaction is committed: call
  /// ``run()`` after it, or enqueue another job without a connection.
  ///
  /// - Throws: as that.
  @discardableResult
  public func enqueue(_ jobs: [NewJob], in connection: OpaquePointer?) throws -> [EnqueueResult] {
    try queue.enqueue(jobs, in: connection)
  }

  /// Runs what is ready, for instance after a clock was moved. In a job it does nothing: its turn has not come.
  ///
  /// - Returns: how many runs there were.
  /// - Throws: ``FailedJobs`` unless failures are recorded only, ``DrainFailure`` when there is no end to it,
  ///   ``/Qudo/QudoError`` when the database has trouble or a plugin does not start.
  @discardableResult
  public func run() async throws -> Int {
    try await inTurn {
      try await worker.stepwise { [limit] step in
        var runs = 0
        while try await step() {
          runs += 1
          if runs >= limit { throw DrainFailure(runs: runs, limit: limit) }
        }
        return runs
      }
    }
  }

  /// Runs what is ready and what waits, each at its own time; see `Worker.drain(_:limit:)`.
  ///
  /// - Parameters:
  ///   - clock: the one that the driver goes by.
  ///   - limit: how many runs, and moves of the clock, at most. Default 10,000.
  /// - Returns: how many runs there were.
  /// - Throws: as ``run()``.
  @discardableResult
  public func drain(_ clock: ManualClock, limit: Int = 10_000) async throws -> Int {
    try await inTurn { try await worker.drain(clock, limit: limit) }
  }

  private func inTurn(_ body: () async throws -> Int) async throws -> Int {
    guard !InlineTurn.mine.contains(ObjectIdentifier(turn)) else { return 0 }
    await turn.take()
    defer { turn.giveBack() }
    let before = failures.count
    let runs = try await InlineTurn.$mine.withValue(InlineTurn.mine.union([ObjectIdentifier(turn)])) {
      try await body()
    }
    let givenUp = failures.dropFirst(before).filter(\.isFinal)
    guard mode == .recorded || givenUp.isEmpty else { throw FailedJobs(failures: givenUp) }
    return runs
  }
}

extension Queue {
  /// A queue that runs jobs when they are enqueued, for tests: see ``InlineQueue``.
  ///
  /// - Parameters:
  ///   - handlers: the kinds to perform, each once. Jobs of other kinds stay where they are.
  ///   - plugins: what the jobs can use, at most one of a type.
  ///   - failures: what becomes of the errors of jobs. Default: they are thrown.
  ///   - clock: what time limits and durations go by. Default: the machine's.
  /// - Throws: as ``/Qudo/Worker/init(_:handlers:plugins:options:)-(_,[JobHandler],_,_)``.
  public func inline(
    _ handlers: [JobHandler], plugins: [any Plugin] = [], failures: InlineQueue<Hooks>.Failures = .thrown,
    clock: any QueueClock = SystemClock()
  ) throws(QudoError) -> InlineQueue<Hooks> {
    try InlineQueue(self, handlers, plugins: plugins, failures: failures, clock: clock)
  }
}
