public import Qudo

extension SQLiteDriver {
  /// Statements that enqueue jobs, for another copy of SQLite or a library that hands out no connection: to be executed
  /// in this order in one transaction of the caller's, best begun with `BEGIN IMMEDIATE`, which is rolled back if one of
  /// them fails. They open no file and may be executed in another process; the file's schema must be there, made by a
  /// ``SQLiteDriver`` or ``schemaSQL``. They need SQLite 3.15 or newer.
  ///
  /// What becomes of a job is not answered. Where another live job has its unique key, `reject` is an error,
  /// SQLITE_CONSTRAINT_UNIQUE, of the statement that would write it; `keep` writes nothing for it; `overwrite`
  /// overwrites a job that waits, and is that error where it runs.
  ///
  /// Beware: no process may have the file open in two copies of SQLite. See <doc:YourTransaction>.
  ///
  /// - Parameters:
  ///   - jobs: what is to be done.
  ///   - limits: what is refused. Give those of the file's drivers.
  ///   - receipts: how long an idempotency key keeps an enqueue from being done again. Default 24 hours.
  ///   - clock: when the enqueue is, and what delays count from. Default: the machine's.
  /// - Throws: `QudoError.Code.invalidArgument` for a job that is refused.
  public static func statements(
    for jobs: [NewJob], limits: Limits = Limits(), receipts: Duration = .seconds(86_400), clock: any QueueClock = SystemClock()
  ) throws(QudoError) -> [SQLStatement] {
    for job in jobs { try limits.check(job) }
    return EnqueueScript(jobs, now: clock.now().wall, receiptLifetime: receipts).statements
  }
}

extension Queue {
  /// Statements that enqueue jobs, as ``SQLiteDriver/statements(for:limits:receipts:clock:)``, with the limits of the queue's
  /// driver and the clock that it has if it is one of this module's. `willEnqueue` and `serialize` of the queue's hooks
  /// are called, `didEnqueue` is not.
  ///
  /// Where the file is not to be opened in this process, let the driver be an ``SQLiteEnqueueStatements``.
  ///
  /// - Throws: `QudoError.Code.invalidArgument` for a job that is refused, or the error of a hook.
  public func statements(for jobs: [NewJob]) throws -> [SQLStatement] {
    let drivers = databases.opened
    guard let driver = drivers.first, drivers.count == 1 else {
      throw QudoError(.invalidArgument, "the queue has several databases: make a queue of the file that the statements are for")
    }
    let clock: any QueueClock =
      (driver as? SQLiteDriver)?.clock ?? (driver as? SQLiteEnqueueStatements)?.clock ?? SystemClock()
    let receipts = (driver as? SQLiteDriver)?.receipts ?? .seconds(86_400)
    return try SQLiteDriver.statements(for: try hooks.prepare(jobs), limits: driver.limits, receipts: receipts, clock: clock)
  }

  /// Statements that enqueue one job.
  ///
  /// - Parameters:
  ///   - job: what is to be done; encoded with the queue's codec.
  ///   - unique: at most one live job per kind and key. Default: none.
  ///   - priority: higher runs first. Default 0.
  ///   - due: when it may first run. Default: now.
  ///   - idempotencyKey: names the enqueue, so that repeating it has no further effect. Default: none.
  /// - Throws: as `statements(for:)` of several, and what the codec throws.
  public func statements<J: Job>(
    for job: J, unique: UniqueKey? = nil, priority: Int = 0, due: Due = .now, idempotencyKey: IdempotencyKey? = nil
  ) throws -> [SQLStatement] {
    let options = EnqueueOptions(unique: unique, priority: priority, due: due, idempotencyKey: idempotencyKey)
    return try statements(for: job, options: options)
  }

  /// Statements that enqueue one job.
  ///
  /// - Parameters:
  ///   - job: the job; the queue's primary codec encodes it.
  ///   - options: how it is enqueued.
  /// - Throws: as `statements(for:)` of several, and what the codec throws.
  public func statements<J: Job>(for job: J, options: EnqueueOptions) throws -> [SQLStatement] {
    try statements(for: [NewJob(job, options: options, codecs: codecs)])
  }
}
