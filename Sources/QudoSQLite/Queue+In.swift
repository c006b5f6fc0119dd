public import Qudo

extension Queue {
  /// Stores jobs as a part of the application's own transaction, on the application's own connection: they are there
  /// when it commits, and were never there when it rolls back. All of them or none; a unique conflict is a result, not
  /// an error. If no transaction is open, one is made and committed.
  ///
  ///     try queue.enqueue(SendMail(to: "ada@example.org"), in: connection)
  ///
  /// `willEnqueue` and `serialize` of the queue's hooks are called, then `didEnqueueInTransaction` in place of `didEnqueue`: whether the
  /// application commits, Qudo does not know. What a power cut may take is what
  /// the connection's settings say. See <doc:YourTransaction>.
  ///
  /// - Parameters:
  ///   - jobs: what is to be done.
  ///   - connection: a `sqlite3 *` of the SQLite library that Qudo is linked with, whose `main` database is the file of
  ///     the queue's ``SQLiteDriver``. Nobody else may use it during the call.
  /// - Returns: the results, in the order of the jobs. A job whose transaction is rolled back leaves its id to another.
  /// - Throws: `QudoError`, and then nothing of the jobs is in the transaction: `invalidArgument` for a job that is
  ///   refused, another driver, another file, or nil; `busy` when somebody else writes and the connection's busy handler
  ///   gave up, or when the transaction has read before somebody else wrote. After `diskFull`, `ioError` and
  ///   `outOfMemory` SQLite may have rolled back the whole transaction. Or the error of a hook that refused a job.
  @discardableResult
  public func enqueue(_ jobs: [NewJob], in connection: OpaquePointer?) throws -> [EnqueueResult] {
    let drivers = databases.opened.compactMap { $0 as? SQLiteDriver }
    guard let driver = drivers.first, drivers.count == 1 else {
      throw QudoError(
        .invalidArgument,
        drivers.isEmpty
          ? "the queue's driver is not a SQLiteDriver, or is not open: only that can join a SQLite transaction"
          : "the queue has several SQLite files: make a queue of the one whose transaction it is")
    }
    let prepared = try hooks.prepare(jobs)
    let results = try driver.insert(prepared, in: connection)
    let named = results.map { EnqueueResult($0, database: driver.name) }
    if Hooks.points.contains(.didEnqueueInTransaction) {
      for (job, result) in zip(prepared, named) { hooks.didEnqueueInTransaction(job, result: result) }
    }
    return named
  }

  /// Stores one job as a part of the application's own transaction.
  ///
  /// - Throws: as `enqueue(_:in:)` of several.
  @discardableResult
  public func enqueue(_ job: NewJob, in connection: OpaquePointer?) throws -> EnqueueResult {
    guard let result = try enqueue([job], in: connection).first else {
      throw QudoError(.database, "an enqueued job got no answer")
    }
    return result
  }

  /// Stores one job as a part of the application's own transaction.
  ///
  /// - Parameters:
  ///   - job: what is to be done; encoded with the queue's codec.
  ///   - unique: at most one live job per kind and key. Default: none.
  ///   - priority: higher runs first. Default 0.
  ///   - due: when it may first run, by the clock of the queue's driver. Default: now.
  ///   - connection: the application's `sqlite3 *`.
  /// - Throws: as `enqueue(_:in:)` of several, and what the codec throws.
  @discardableResult
  public func enqueue<J: Job>(
    _ job: J, unique: UniqueKey? = nil, priority: Int = 0, due: Due = .now, in connection: OpaquePointer?
  ) throws -> EnqueueResult {
    try enqueue(
      NewJob(J.kind, payload: try codecs.encode(job, of: J.kind), unique: unique, priority: priority, due: due), in: connection)
  }

  /// Stores jobs of one type as a part of the application's own transaction.
  ///
  /// - Throws: as `enqueue(_:in:)` of several, and what the codec throws.
  @discardableResult
  public func enqueue<J: Job>(
    contentsOf jobs: [J], priority: Int = 0, due: Due = .now, in connection: OpaquePointer?
  ) throws -> [EnqueueResult] {
    let jobs = try jobs.map { NewJob(J.kind, payload: try codecs.encode($0, of: J.kind), priority: priority, due: due) }
    return try enqueue(jobs, in: connection)
  }
}

extension SQLiteDriver {
  /// ``insert(_:)`` as a part of the application's own transaction; as `Queue.enqueue(_:in:)`, without hooks.
  @discardableResult
  public func insert(_ jobs: [NewJob], in connection: OpaquePointer?) throws(QudoError) -> [InsertResult] {
    for job in jobs { try limits.check(job) }
    return try join(connection) { transaction throws(QudoError) in try transaction.insert(jobs) }
  }
}
