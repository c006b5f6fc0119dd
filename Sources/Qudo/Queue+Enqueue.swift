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

  /// Encodes and stores one job.
  ///
  /// - Parameters:
  ///   - job: the job; the queue's primary codec encodes it.
  ///   - unique: at most one live job per kind and key. Default: none.
  ///   - priority: jobs with a higher priority run first. Default: 0.
  ///   - due: when the job may first run. Default: now.
  ///   - expires: when the job expires if it still waits. Default: never.
  ///   - idempotencyKey: names the enqueue, so that repeating it has no further effect. Default: none.
  /// - Throws: as ``Enqueuer/enqueue(_:)-([NewJob])``, and what the codec throws.
  @discardableResult
  public func enqueue<J: Job>(
    _ job: J, unique: UniqueKey? = nil, priority: Int = 0, due: Due = .now, expires: Expiry = .never,
    idempotencyKey: IdempotencyKey? = nil
  ) async throws -> EnqueueResult {
    try await enqueue(
      job,
      options: EnqueueOptions(
        unique: unique, priority: priority, due: due, expires: expires, idempotencyKey: idempotencyKey))
  }

  /// Encodes and stores one job.
  ///
  /// - Parameters:
  ///   - job: the job; the queue's primary codec encodes it.
  ///   - options: how it is enqueued.
  /// - Throws: as ``Enqueuer/enqueue(_:)-([NewJob])``, and what the codec throws.
  @discardableResult
  public func enqueue<J: Job>(_ job: J, options: EnqueueOptions) async throws -> EnqueueResult {
    try await enqueue(NewJob(job, options: options, codecs: codecs))
  }

  /// Encodes and stores jobs of one type in one transaction.
  ///
  ///     try await queue.enqueue([SendMail(to: "ada@example.org"), SendMail(to: "alan@example.org")])
  ///
  /// - Parameters:
  ///   - jobs: the jobs; the queue's primary codec encodes them.
  ///   - options: how each of them is enqueued. One idempotency key names the whole batch: repeat it with the same jobs in the same
  ///     order. Default: ``EnqueueOptions`` with its defaults.
  /// - Returns: the results, in the order of the jobs.
  /// - Throws: as ``Enqueuer/enqueue(_:)-([NewJob])``, and what the codec throws; ``QudoError/Code/invalidArgument`` for several jobs
  ///   with one unique key.
  @discardableResult
  public func enqueue<J: Job>(_ jobs: [J], options: EnqueueOptions = EnqueueOptions()) async throws
    -> [EnqueueResult]
  {
    try await enqueue(try codecs.encode(jobs, options))
  }

  /// Encodes and stores jobs of one type in one transaction.
  ///
  /// - Parameters:
  ///   - jobs: the jobs; the queue's primary codec encodes them.
  ///   - priority: jobs with a higher priority run first. Default: 0.
  ///   - due: when the jobs may first run. Default: now.
  /// - Returns: the results, in the order of the jobs.
  /// - Throws: as ``Enqueuer/enqueue(_:)-([NewJob])``, and what the codec throws.
  @discardableResult
  public func enqueue<J: Job>(contentsOf jobs: [J], priority: Int = 0, due: Due = .now) async throws
    -> [EnqueueResult]
  {
    try await enqueue(jobs, options: EnqueueOptions(priority: priority, due: due))
  }
}
