public import Qudo

extension SQLiteDriver {
  /// Returns statements that enqueue jobs, for another copy of SQLite or a library that does not hand out its connection.
  ///
  /// Execute them in this order in one transaction, which should begin with `BEGIN IMMEDIATE`. If one of them fails, roll back. They may
  /// be executed in another process. A ``SQLiteDriver`` or ``schemaSQL`` must have created the tables. SQLite 3.15 or newer runs them.
  ///
  /// The statements return no results. If another live job holds a unique key, `reject` fails with SQLITE_CONSTRAINT_UNIQUE, `keep`
  /// writes nothing for the job, and `overwrite` overwrites a waiting job and fails for a running one.
  ///
  /// - Warning: No process may have the file open in two copies of SQLite. See <doc:YourTransaction>.
  ///
  /// - Parameters:
  ///   - jobs: the jobs.
  ///   - limits: what is refused. Give those of the file's drivers.
  ///   - idempotencyKeyLifetime: how long an idempotency key prevents a second enqueue. Default: 24 hours.
  ///   - clock: the clock of the enqueue and of delays. Default: the machine's.
  /// - Throws: `QudoError.Code.invalidArgument` for a job that is refused.
  public static func statements(
    for jobs: [NewJob], limits: Limits = Limits(), idempotencyKeyLifetime: Duration = .seconds(86_400),
    clock: any QueueClock = SystemClock()
  ) throws(QudoError) -> [SQLStatement] {
    for job in jobs { try limits.check(job) }
    return EnqueueScript(jobs, now: clock.now().wall, receiptLifetime: idempotencyKeyLifetime).statements
  }
}

extension Queue {
  /// Returns statements that enqueue jobs, as ``SQLiteDriver/statements(for:limits:idempotencyKeyLifetime:clock:)`` does, with the limits and the clock
  /// of the queue's driver. Of the queue's hooks, `willEnqueue` and `serialize` are called; `didEnqueue` is not.
  ///
  /// If this process must not open the file, use ``SQLiteEnqueueStatements`` instead.
  ///
  /// - Throws: `QudoError.Code.invalidArgument` for a job that is refused, or the error of a hook.
  public func statements(for jobs: [NewJob]) throws -> [SQLStatement] {
    let drivers = databases.opened
    guard let driver = drivers.first, drivers.count == 1 else {
      throw QudoError(
        .invalidArgument,
        "the queue has several databases: make a queue of the file that the statements are for")
    }
    let clock: any QueueClock = (driver as? SQLiteDriver)?.clock ?? SystemClock()
    let lifetime = (driver as? SQLiteDriver)?.receipts ?? .seconds(86_400)
    return try SQLiteDriver.statements(
      for: try hooks.prepare(jobs), limits: driver.limits, idempotencyKeyLifetime: lifetime, clock: clock)
  }

  /// Returns statements that enqueue one job.
  ///
  /// - Parameters:
  ///   - job: the job; the queue's primary codec encodes it.
  ///   - unique: at most one live job per kind and key. Default: none.
  ///   - priority: jobs with a higher priority run first. Default: 0.
  ///   - due: when the job may first run. Default: now.
  ///   - idempotencyKey: names the enqueue, so that repeating it has no further effect. Default: none.
  /// - Throws: as `statements(for:)` of several, and what the codec throws.
  public func statements<J: Job>(
    for job: J, unique: UniqueKey? = nil, priority: Int = 0, due: Due = .now,
    idempotencyKey: IdempotencyKey? = nil
  ) throws -> [SQLStatement] {
    let options = EnqueueOptions(unique: unique, priority: priority, due: due, idempotencyKey: idempotencyKey)
    return try statements(for: job, options: options)
  }

  /// Returns statements that enqueue one job.
  ///
  /// - Parameters:
  ///   - job: the job; the queue's primary codec encodes it.
  ///   - options: how it is enqueued.
  /// - Throws: as `statements(for:)` of several, and what the codec throws.
  public func statements<J: Job>(for job: J, options: EnqueueOptions) throws -> [SQLStatement] {
    try statements(for: [NewJob(job, options: options, codecs: codecs)])
  }
}
