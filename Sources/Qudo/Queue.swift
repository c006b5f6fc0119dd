/// A queue of jobs: enqueues them, lists them, and hands them to a ``Worker``.
///
///     let queue = Queue(try SQLiteDriver(path: "jobs.db"))
///     try await queue.enqueue(SendMail(to: "ada@example.org"))
///
/// A queue is a value that is cheap to copy. Its type names its hooks: `Queue<NoHooks>` has none. Code that only enqueues can store
/// `any Enqueuer` instead.
public struct Queue<Hooks: HookSet>: Sendable {
  /// The databases that hold the jobs.
  package let databases: Databases
  /// The codecs that jobs are encoded and decoded with.
  public let codecs: Codecs
  /// The hooks, composed into one.
  @usableFromInline package let hooks: Hooks
  /// The timeout of an enqueue into one of several databases. Nil for a single database that is not monitored.
  var deadline: Duration?
  /// The only database, which is called directly. With several databases it is never called.
  private let driver: any Driver

  /// - Parameters:
  ///   - databases: the databases that hold the jobs.
  ///   - codecs: what jobs are encoded and decoded with. Default: JSON.
  ///   - hooks: the hooks, in the order in which an enqueue calls them.
  public init(_ databases: Databases, codecs: Codecs = Codecs(), @HookBuilder hooks: () -> Hooks) {
    self.databases = databases
    self.codecs = codecs
    self.hooks = hooks()
    driver = databases.only ?? ClosedDriver()
    deadline = databases.only == nil ? databases.options.callTimeout : nil
  }

  /// Creates a queue of several databases, without hooks.
  public init(_ databases: Databases, codecs: Codecs = Codecs()) where Hooks == NoHooks {
    self.init(databases, codecs: codecs) {}
  }

  /// - Parameters:
  ///   - driver: the database.
  ///   - codecs: what jobs are encoded and decoded with. Default: JSON.
  ///   - hooks: the hooks, in the order in which an enqueue calls them.
  public init(_ driver: any Driver, codecs: Codecs = Codecs(), @HookBuilder hooks: () -> Hooks) {
    self.init(Databases(driver), codecs: codecs, hooks: hooks)
  }

  /// Creates a queue without hooks.
  public init(_ driver: any Driver, codecs: Codecs = Codecs()) where Hooks == NoHooks {
    self.init(Databases(driver), codecs: codecs) {}
  }

  /// Completes the calls that were made before and closes the databases. Later calls throw ``QudoError/Code/closed``.
  public func close() async { await databases.close() }
}

/// A type that enqueues jobs: a ``Queue`` without its hooks' type, or a stand-in for one in tests.
public protocol Enqueuer: Sendable {
  /// The codecs that jobs are encoded with.
  var codecs: Codecs { get }

  /// Stores jobs in one transaction. A unique conflict is a result, not an error.
  ///
  /// - Returns: the results, in the order of the jobs.
  /// - Throws: ``QudoError``; unless its code is ``QudoError/Code/outcomeUnknown``, nothing was written. Or the error of a hook that
  ///   refused a job; then nothing was written.
  @discardableResult
  func enqueue(_ jobs: [NewJob]) async throws -> [EnqueueResult]

  /// Stores jobs as part of the application's own database transaction. A unique conflict is a result, not an error.
  ///
  /// - Parameters:
  ///   - jobs: the jobs.
  ///   - connection: the application's `sqlite3 *`, which has the queue's file open.
  /// - Returns: the results, in the order of the jobs.
  /// - Throws: as ``Queue/enqueue(_:in:)-([NewJob],_)``.
  @discardableResult
  func enqueue(_ jobs: [NewJob], in connection: OpaquePointer?) throws -> [EnqueueResult]
}

extension Queue: Enqueuer {
  @inlinable
  @discardableResult
  public func enqueue(_ jobs: [NewJob]) async throws -> [EnqueueResult] {
    guard !Hooks.points.isDisjoint(with: [.willEnqueue, .serialize, .didEnqueue]) else {
      return try await insert(jobs)
    }
    let jobs = try hooks.prepare(jobs)
    let results = try await insert(jobs)
    if Hooks.points.contains(.didEnqueue) {
      for (job, result) in zip(jobs, results) { await hooks.didEnqueue(job, result: result) }
    }
    return results
  }

  @usableFromInline
  func insert(_ jobs: [NewJob]) async throws -> [EnqueueResult] {
    if let deadline { return try await databases.insert(jobs, within: deadline) }
    let name = driver.name
    return try await driver.insert(jobs).map { EnqueueResult($0, database: name) }
  }

  /// Returns the same queue with a timeout for its enqueues, in place of ``DatabaseOptions/callTimeout``.
  ///
  ///     try await queue.withTimeout(.seconds(2)).enqueue(SendMail(to: "ada@example.org"))
  ///
  /// If the timeout passes while a database works on an enqueue, the enqueue throws ``QudoError/Code/outcomeUnknown``.
  ///
  /// - Parameter timeout: how long an enqueue may take, at least 1 ms.
  /// - Throws: ``QudoError/Code/invalidArgument`` for less than 1 ms.
  public func withTimeout(_ timeout: Duration) throws(QudoError) -> Queue {
    guard timeout >= .milliseconds(1) else {
      throw QudoError(.invalidArgument, "the timeout of an enqueue is under 1 ms: give at least 1 ms")
    }
    let watched = try databases.watched
    var queue = Queue(watched, codecs: codecs) { hooks }
    queue.deadline = timeout
    return queue
  }
}

/// The result of enqueueing one job.
public enum EnqueueResult: Hashable, Sendable {
  /// The job was stored and has this id.
  case inserted(JobID)
  /// The job with this id already holds the unique key, and ``UniqueKey/Conflict/keep`` kept it; or the key has rested
  /// since that job completed (``UniqueKey/throttle``); or an earlier enqueue with the same idempotency key stored it, and
  /// the job may be finished.
  case existing(JobID)
  /// The waiting job with this id held the unique key, and ``UniqueKey/Conflict/overwrite`` overwrote it.
  case overwritten(JobID)
  /// The live job with this id holds the unique key, or the key has rested since that job completed
  /// (``UniqueKey/throttle``). Nothing was written.
  case conflict(JobID)

  package init(_ result: InsertResult, database: String) {
    switch result {
    case .inserted(let id): self = .inserted(JobID(database: database, number: id))
    case .existing(let id): self = .existing(JobID(database: database, number: id))
    case .overwritten(let id): self = .overwritten(JobID(database: database, number: id))
    case .conflict(let id): self = .conflict(JobID(database: database, number: id))
    }
  }

  /// The id of the new job, or of the job that holds the unique key.
  public var id: JobID {
    switch self {
    case .inserted(let id), .existing(let id), .overwritten(let id), .conflict(let id): id
    }
  }
}
