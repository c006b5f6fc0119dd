extension Queue {
  /// Stores jobs as part of the application's own transaction, on the application's own connection: they appear when it commits, and
  /// never existed if it rolls back. If no transaction is open, the call makes one and commits it. A unique conflict is a result, not
  /// an error.
  ///
  ///     try queue.enqueue(SendMail(to: "ada@example.org"), in: connection)
  ///
  /// The queue's hooks are called with `willEnqueue`, `serialize` and, in place of `didEnqueue`, `didEnqueueInTransaction`: the queue
  /// cannot know whether the application commits. The settings of the connection decide what a power cut may take. See the article
  /// "The application's own transaction" of QudoSQLite.
  ///
  /// - Parameters:
  ///   - jobs: the jobs.
  ///   - connection: a `sqlite3 *` of the SQLite library that Qudo is linked with, whose `main` database is the file of the queue's
  ///     `SQLiteDriver`. No other thread may use it during the call.
  /// - Returns: the results, in the order of the jobs. If the transaction is rolled back, other jobs may get the same ids.
  /// - Throws: ``QudoError``; then the transaction contains none of the jobs. ``QudoError/Code/invalidArgument`` for a job that is
  ///   refused, another driver, another file, or nil; ``QudoError/Code/busy`` if another writer outlasted the connection's busy handler,
  ///   or if the transaction read before another connection wrote. After `diskFull`, `ioError` and `outOfMemory` SQLite may have rolled
  ///   back the whole transaction. Or the error of a hook that refused a job.
  @discardableResult
  public func enqueue(_ jobs: [NewJob], in connection: OpaquePointer?) throws -> [EnqueueResult] {
    let drivers = databases.opened.compactMap { $0 as? any TransactionalDriver }
    guard let driver = drivers.first, drivers.count == 1 else {
      throw QudoError(
        .invalidArgument,
        drivers.isEmpty
          ? "the queue's driver is not a SQLiteDriver, or is not open: only that can join a SQLite transaction"
          : "the queue has several SQLite files: make a queue from the one whose transaction it is")
    }
    let prepared = try hooks.prepare(jobs)
    let results = try driver.insert(prepared, in: connection)
    let named = results.map { EnqueueResult($0, database: driver.name) }
    if Hooks.points.contains(.didEnqueueInTransaction) {
      for (job, result) in zip(prepared, named) { hooks.didEnqueueInTransaction(job, result: result) }
    }
    return named
  }
}

extension Enqueuer {
  /// Stores one job as part of the application's own transaction.
  ///
  /// - Throws: as ``Queue/enqueue(_:in:)-([NewJob],_)``.
  @discardableResult
  public func enqueue(_ job: NewJob, in connection: OpaquePointer?) throws -> EnqueueResult {
    guard let result = try enqueue([job], in: connection).first else {
      throw QudoError(.database, "an enqueued job got no answer")
    }
    return result
  }

  /// Encodes and stores one job as part of the application's own transaction.
  ///
  /// - Parameters:
  ///   - job: the job; the queue's primary codec encodes it.
  ///   - unique: at most one live job per kind and key. Default: none.
  ///   - priority: jobs with a higher priority run first. Default: 0.
  ///   - due: when the job may first run, by the clock of the queue's driver. Default: now.
  ///   - expires: when the job expires if it still waits. Default: never.
  ///   - idempotencyKey: names the enqueue, so that repeating it has no further effect. Default: none.
  ///   - connection: the application's `sqlite3 *`.
  /// - Throws: as ``Queue/enqueue(_:in:)-([NewJob],_)``, and what the codec throws.
  @discardableResult
  public func enqueue<J: Job>(
    _ job: J, unique: UniqueKey? = nil, priority: Int = 0, due: Due = .now, expires: Expiry = .never,
    idempotencyKey: IdempotencyKey? = nil,
    in connection: OpaquePointer?
  ) throws -> EnqueueResult {
    let options = EnqueueOptions(
      unique: unique, priority: priority, due: due, expires: expires, idempotencyKey: idempotencyKey)
    return try enqueue(job, options: options, in: connection)
  }

  /// Encodes and stores one job as part of the application's own transaction.
  ///
  /// - Parameters:
  ///   - job: the job; the queue's primary codec encodes it.
  ///   - options: how it is enqueued.
  ///   - connection: the application's `sqlite3 *`.
  /// - Throws: as ``Queue/enqueue(_:in:)-([NewJob],_)``, and what the codec throws.
  @discardableResult
  public func enqueue<J: Job>(_ job: J, options: EnqueueOptions, in connection: OpaquePointer?) throws
    -> EnqueueResult
  {
    try enqueue(NewJob(job, options: options, codecs: codecs), in: connection)
  }

  /// Encodes and stores jobs of one type as part of the application's own transaction.
  ///
  /// - Parameters:
  ///   - jobs: the jobs; the queue's primary codec encodes them.
  ///   - options: how each of them is enqueued, as in ``Enqueuer/enqueue(_:options:)-([J],_)``.
  ///   - connection: the application's `sqlite3 *`.
  /// - Throws: as ``Queue/enqueue(_:in:)-([NewJob],_)``, and what the codec throws.
  @discardableResult
  public func enqueue<J: Job>(
    _ jobs: [J], options: EnqueueOptions = EnqueueOptions(), in connection: OpaquePointer?
  ) throws -> [EnqueueResult] {
    try enqueue(try codecs.encode(jobs, options), in: connection)
  }

  /// Encodes and stores jobs of one type as part of the application's own transaction.
  ///
  /// - Parameters:
  ///   - jobs: the jobs; the queue's primary codec encodes them.
  ///   - priority: jobs with a higher priority run first. Default: 0.
  ///   - due: when the jobs may first run, by the clock of the queue's driver. Default: now.
  ///   - connection: the application's `sqlite3 *`.
  /// - Throws: as ``Queue/enqueue(_:in:)-([NewJob],_)``, and what the codec throws.
  @discardableResult
  public func enqueue<J: Job>(
    contentsOf jobs: [J], priority: Int = 0, due: Due = .now, in connection: OpaquePointer?
  ) throws -> [EnqueueResult] {
    try enqueue(jobs, options: EnqueueOptions(priority: priority, due: due), in: connection)
  }
}
