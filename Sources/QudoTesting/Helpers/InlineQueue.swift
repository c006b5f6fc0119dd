public import Qudo

/// A queue that runs jobs when they are enqueued, for tests of code that uses an ``/Qudo/Enqueuer``. It needs
/// no worker.
///
///     let queue = try Queue(MemoryDriver()).inline([JobHandler(SendMail.self)], plugins: [mailbox])
///     try await SignUp(queue: queue).signUp("ada@example.org")
///     #expect(mailbox.sent == ["ada@example.org"])
///
/// Each job passes through all stages: hooks, codec, driver, claim, policy, plugins and outcome. `enqueue`
/// returns once no job of these handlers' kinds is ready. Jobs that a job enqueues, or is replaced by, run
/// after it and before `enqueue` returns. Retries without a delay run at once. Delayed and snoozed jobs and
/// retries with a delay stay in the database; ``drain(_:limit:)`` runs them.
///
/// Plugins start before the first job of an enqueue and stop after the last. If two tasks enqueue at the same
/// time, the jobs of the second run after those of the first. A job must not wait for a detached task that
/// enqueues.
public struct InlineQueue<Hooks: HookSet>: Enqueuer {
  /// The treatment of jobs' errors.
  public enum Failures: Sendable {
    /// ``InlineQueue/enqueue(_:)`` throws ``FailedJobs`` if a job was given up. The job was enqueued
    /// nevertheless.
    case thrown
    /// Errors appear only in ``InlineQueue/failures`` and in the failure log. As with a worker in another
    /// process, the code that enqueues does not see them.
    case recorded
  }

  /// The underlying queue, for checks such as `queue.queue.expectEnqueued(…)`.
  public let queue: Queue<Hooks>
  private let worker: Worker<_PairHook<Hooks, FailureRecorder>>
  private let recorder: FailureRecorder
  private let mode: Failures
  private let limit: Int
  private let turn = InlineTurn()

  /// - Parameters:
  ///   - queue: the queue that stores the jobs.
  ///   - handlers: the handlers, one per kind. Jobs of other kinds stay in the database.
  ///   - plugins: the plugins for the jobs, at most one per type.
  ///   - failures: the treatment of jobs' errors. Default: `enqueue` throws them.
  ///   - clock: the clock for time limits and durations. Default: the machine's clock.
  ///   - limit: the maximum number of runs per enqueue, to detect jobs that never end. Default 10,000.
  /// - Throws: the errors of ``/Qudo/Worker/init(_:handlers:plugins:options:)-(_,[JobHandler],_,_)``.
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

  /// The codecs of the underlying queue.
  public var codecs: Codecs { queue.codecs }

  /// All failed runs so far, including those that are or were retried.
  public var failures: [FailedRun] { recorder.runs.withLock { $0 } }

  /// Stores jobs like ``/Qudo/Queue/enqueue(_:)``, then runs the ready jobs.
  ///
  /// - Throws: the errors of that call and of ``run()``.
  @discardableResult
  public func enqueue(_ jobs: [NewJob]) async throws -> [EnqueueResult] {
    let results = try await queue.enqueue(jobs)
    try await run()
    return results
  }

  /// Stores jobs like ``/Qudo/Queue/enqueue(_:in:)-([NewJob],_)``. They cannot run before the application
  /// commits its transaction. After the commit, call ``run()`` or enqueue another job without a connection.
  ///
  /// - Throws: the errors of that call.
  @discardableResult
  public func enqueue(_ jobs: [NewJob], in connection: OpaquePointer?) throws -> [EnqueueResult] {
    try queue.enqueue(jobs, in: connection)
  }

  /// Runs the ready jobs, for example after a test has advanced the clock. Called in a job, it does nothing;
  /// those jobs run after the current one.
  ///
  /// - Returns: the number of runs.
  /// - Throws: ``FailedJobs`` unless failures are only recorded; ``DrainFailure`` if the limit is reached;
  ///   ``/Qudo/QudoError`` if the database fails or a plugin does not start.
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

  /// Runs all jobs, delayed ones at their due times; see `Worker.drain(_:limit:)`.
  ///
  /// - Parameters:
  ///   - clock: the driver's clock.
  ///   - limit: the maximum number of runs and clock advances. Default 10,000.
  /// - Returns: the number of runs.
  /// - Throws: the errors of ``run()``.
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
  /// Returns a queue that runs jobs when they are enqueued, for tests; see ``InlineQueue``.
  ///
  /// - Parameters:
  ///   - handlers: the handlers, one per kind. Jobs of other kinds stay in the database.
  ///   - plugins: the plugins for the jobs, at most one per type.
  ///   - failures: the treatment of jobs' errors. Default: `enqueue` throws them.
  ///   - clock: the clock for time limits and durations. Default: the machine's clock.
  /// - Throws: the errors of ``/Qudo/Worker/init(_:handlers:plugins:options:)-(_,[JobHandler],_,_)``.
  public func inline(
    _ handlers: [JobHandler], plugins: [any Plugin] = [], failures: InlineQueue<Hooks>.Failures = .thrown,
    clock: any QueueClock = SystemClock()
  ) throws(QudoError) -> InlineQueue<Hooks> {
    try InlineQueue(self, handlers, plugins: plugins, failures: failures, clock: clock)
  }
}
