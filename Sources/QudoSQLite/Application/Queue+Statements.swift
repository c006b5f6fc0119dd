public import Qudo

extension Queue {
  /// Returns statements that enqueue jobs, as ``SQLiteEnqueueStatements`` does, with the codecs
  /// of the queue, and the limits and the clock of its driver. Of the queue's hooks, `willEnqueue` and `serialize` are called; `didEnqueue` is not.
  ///
  /// If this process must not open the file, use ``SQLiteEnqueueStatements`` instead.
  ///
  /// - Throws: `QudoError.Code.invalidArgument` for a job that is refused, or the error of a hook.
  public func statements(for jobs: [NewJob]) throws -> [SQLStatement] {
    let drivers = databases.opened
    guard let driver = drivers.first, drivers.count == 1 else {
      throw QudoError(
        .invalidArgument,
        "the queue has several databases: make a queue from the file that the statements are for")
    }
    let clock: any QueueClock = (driver as? SQLiteDriver)?.clock ?? SystemClock()
    let lifetime = (driver as? SQLiteDriver)?.receipts ?? .seconds(86_400)
    return try EnqueueScript.statements(
      for: try hooks.prepare(jobs), driver.limits, lifetime: lifetime, clock)
  }

  /// Returns statements that enqueue one job.
  ///
  /// - Parameters:
  ///   - job: the job; the queue's primary codec encodes it.
  ///   - unique: at most one live job per kind and key. Default: none.
  ///   - priority: jobs with a higher priority run first. Default: 0.
  ///   - due: when the job may first run. Default: now.
  ///   - expires: when the job expires if it still waits. Default: never.
  ///   - idempotencyKey: names the enqueue, so that repeating it has no further effect. Default: none.
  /// - Throws: as `statements(for:)` of several, and what the codec throws.
  public func statements<J: Job>(
    for job: J, unique: UniqueKey? = nil, priority: Int = 0, due: Due = .now, expires: Expiry = .never,
    idempotencyKey: IdempotencyKey? = nil
  ) throws -> [SQLStatement] {
    let options = EnqueueOptions(
      unique: unique, priority: priority, due: due, expires: expires, idempotencyKey: idempotencyKey)
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
