/// Where jobs are enqueued, and what a ``Worker`` takes them from.
///
///     let queue = Queue(try SQLiteDriver(path: "jobs.db"))
///     try await queue.enqueue(SendMail(to: "ada@example.org"))
///
/// It is a value, cheap to copy, and generic to the end: `Queue<NoHooks>` where there are no hooks. Who does not want
/// to name the type keeps it as `any Enqueuer`.
public struct Queue<Hooks: HookSet>: Sendable {
  /// Where the jobs are.
  public let databases: Databases
  /// What jobs are encoded and decoded with.
  public let codecs: Codecs
  /// The hooks, composed into one.
  public let hooks: Hooks
  /// How long an enqueue into one of several databases may take; nil where there is one that is not watched.
  var deadline: Duration?
  /// The only one, whose calls have nothing in between; where there are several it is not called.
  private let driver: any Driver

  /// - Parameters:
  ///   - databases: where the jobs go.
  ///   - codecs: JSON by default.
  ///   - hooks: one below the other, in the order in which they hear of an enqueue.
  public init(_ databases: Databases, codecs: Codecs = Codecs(), @HookBuilder hooks: () -> Hooks) {
    self.databases = databases
    self.codecs = codecs
    self.hooks = hooks()
    driver = databases.only ?? ClosedDriver()
    deadline = databases.only == nil ? databases.options.callTimeout : nil
  }

  /// A queue of several databases without hooks.
  public init(_ databases: Databases, codecs: Codecs = Codecs()) where Hooks == NoHooks {
    self.init(databases, codecs: codecs) {}
  }

  /// - Parameters:
  ///   - driver: the database.
  ///   - codecs: JSON by default.
  ///   - hooks: one below the other, in the order in which they hear of an enqueue.
  public init(_ driver: any Driver, codecs: Codecs = Codecs(), @HookBuilder hooks: () -> Hooks) {
    self.init(Databases(driver), codecs: codecs, hooks: hooks)
  }

  /// A queue without hooks.
  public init(_ driver: any Driver, codecs: Codecs = Codecs()) where Hooks == NoHooks {
    self.init(Databases(driver), codecs: codecs) {}
  }

  /// Waits for what was handed in and lets go of the databases; later calls throw ``QudoError/Code/closed``.
  public func close() async { await databases.close() }
}

/// What can enqueue: a whole queue without the type of its hooks.
public protocol Enqueuer: Sendable {
  /// What jobs are encoded with.
  var codecs: Codecs { get }

  /// Stores jobs, all in one transaction. The results are in their order; a unique conflict is a result, not an error.
  ///
  /// - Throws: ``QudoError``, and then nothing was written unless its code is ``QudoError/Code/outcomeUnknown``; or the
  ///   error of a hook that refused a job, and then nothing was written.
  @discardableResult
  func enqueue(_ jobs: [NewJob]) async throws -> [EnqueueResult]
}

extension Queue: Enqueuer {
  @inlinable
  @discardableResult
  public func enqueue(_ jobs: [NewJob]) async throws -> [EnqueueResult] {
    guard !Hooks.points.isDisjoint(with: [.willEnqueue, .serialize, .didEnqueue]) else { return try await insert(jobs) }
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

  /// The same queue, whose enqueues take at most so long, whatever the databases do, instead of ``DatabaseOptions/callTimeout``.
  ///
  ///     try await queue.within(.seconds(2)).enqueue(SendMail(to: "ada@example.org"))
  ///
  /// An enqueue that was on its way when the time was up throws ``QudoError/Code/outcomeUnknown``.
  ///
  /// - Throws: ``QudoError/Code/invalidArgument`` for less than 1 ms.
  public func withTimeout(_ deadline: Duration) throws(QudoError) -> Queue {
    guard deadline >= .milliseconds(1) else { throw QudoError(.invalidArgument, "the deadline of an enqueue is under 1 ms") }
    let watched = try databases.watched
    var queue = Queue(watched, codecs: codecs) { hooks }
    queue.deadline = deadline
    return queue
  }
}

extension Enqueuer {
  /// Stores one job. A unique conflict is a result, not an error.
  ///
  /// - Throws: as ``Enqueuer/enqueue(_:)-([NewJob])``.
  @discardableResult
  public func enqueue(_ job: NewJob) async throws -> EnqueueResult {
    let results = try await enqueue([job])
    guard let result = results.first else { throw QudoError(.database, "an enqueued job got no answer") }
    return result
  }

  /// Stores one job.
  ///
  /// - Parameters:
  ///   - job: what is to be done; encoded with the queue's codec.
  ///   - unique: at most one live job per kind and key. Default: none.
  ///   - priority: higher runs first. Default 0.
  ///   - due: when it may first run. Default: now.
  ///   - idempotencyKey: what the enqueue can be repeated under without being done twice. Default: none.
  /// - Throws: as ``Enqueuer/enqueue(_:)-([NewJob])``, and what the codec throws.
  @discardableResult
  public func enqueue<J: Job>(
    _ job: J, unique: UniqueKey? = nil, priority: Int = 0, due: Due = .now, idempotencyKey: IdempotencyKey? = nil
  ) async throws -> EnqueueResult {
    try await enqueue(NewJob(
      J.kind, payload: try codecs.encode(job, of: J.kind), unique: unique, priority: priority, due: due, idempotencyKey: idempotencyKey))
  }

  /// Stores jobs of one type, all in one transaction.
  @discardableResult
  public func enqueue<J: Job>(contentsOf jobs: [J], priority: Int = 0, due: Due = .now) async throws -> [EnqueueResult] {
    try await enqueue(try jobs.map { NewJob(J.kind, payload: try codecs.encode($0, of: J.kind), priority: priority, due: due) })
  }
}

/// What became of one enqueued job.
public enum EnqueueResult: Hashable, Sendable {
  /// A new job with this id.
  case inserted(JobID)
  /// The job that had the unique key was kept, as asked; or the job of an enqueue under the same idempotency key, which
  /// may be gone.
  case existing(JobID)
  /// The job that had the unique key was waiting and was overwritten, as asked.
  case overwritten(JobID)
  /// Another live job has the unique key; nothing was written for this one.
  case conflict(JobID)

  package init(_ result: InsertResult, database: String) {
    switch result {
    case .inserted(let id): self = .inserted(JobID(database: database, number: id))
    case .existing(let id): self = .existing(JobID(database: database, number: id))
    case .overwritten(let id): self = .overwritten(JobID(database: database, number: id))
    case .conflict(let id): self = .conflict(JobID(database: database, number: id))
    }
  }

  /// The job that is there now: the new one, or the one that has the unique key.
  public var id: JobID {
    switch self {
    case .inserted(let id), .existing(let id), .overwritten(let id), .conflict(let id): id
    }
  }
}
