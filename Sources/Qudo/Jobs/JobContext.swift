public import Logging

/// A run of a job: the facts about the job, and the requests that the run can make.
public final class JobContext: Sendable {
  /// The job as it was claimed.
  public let job: ClaimedJob
  /// The name of the database that the job is in.
  public let database: String
  private let run: Run
  private let replacements = Locked<[NewJob]>([])

  init(_ job: ClaimedJob, run: Run) {
    self.job = job
    self.run = run
    database = run.driver.name
  }

  var codecs: Codecs { run.engine.codecs }

  /// The job's id, the same in every run. It is unique within one history of one database: a database on another host may
  /// have the same name, and a database that is recreated or restored gives numbers again. Give other services
  /// ``idempotencyKey`` instead.
  public var id: JobID { JobID(database: database, number: job.id) }
  /// The key that makes this job's effect on another service idempotent, although the job may run more than once:
  ///
  ///     request.headers["Idempotency-Key"] = "\(context.idempotencyKey)"
  ///
  /// It is the same in every run of the job, across retries and restarts, and globally unique: it consists of the
  /// database's random ``Driver/generation``, the job's number and the time of its enqueue. A replayed job is another job,
  /// with another key. Each call computes it, in a few microseconds.
  public var idempotencyKey: IdempotencyKey {
    let generation = run.driver.generation
    let origin =
      generation.isEmpty ? database : generation.map { String($0, radix: 16) }.joined(separator: ".")
    return IdempotencyKey("\(origin)/\(job.id)/\(job.enqueuedAt.microseconds)")
  }

  /// The job's kind.
  public var kind: Kind { job.kind }
  /// The number of this run, from 1. A run whose lease expired does not count.
  public var attempt: Int { job.attempt }
  /// The job's priority when it was claimed.
  public var priority: Int { job.priority }
  /// The job's unique key, if it has one.
  public var uniqueKey: String? { job.uniqueKey }
  /// The time of the enqueue, by the database's clock.
  public var enqueuedAt: Timestamp { job.enqueuedAt }
  /// The time at which the run began, by the wall clock of the worker.
  public var startedAt: Timestamp { run.engine.clock.now().wall.advanced(by: .zero - run.duration()) }
  /// The bytes after the hooks' `deserialize`.
  public var payload: Payload { job.payload }

  /// The entries that travel with the payload.
  public var metadata: JobMetadata { job.metadata }

  /// Returns the worker's plugin of this type, if it has one. A job that requires one is a ``PluginJob``.
  public func plugin<P: Plugin>(_ type: P.Type) -> P? { run.engine.plugins[type] }

  /// The worker's logger with the job's id, kind and attempt.
  public var logger: Logger {
    var logger = run.engine.logger
    logger[metadataKey: "job"] = "\(id)"
    logger[metadataKey: "kind"] = "\(kind)"
    logger[metadataKey: "attempt"] = "\(attempt)"
    return logger
  }

  /// Whether the run should stop: the job was cancelled, its lease is lost, its time limit has passed, or the worker shuts down.
  public var isCancelled: Bool { Task.isCancelled }

  /// Ends the run and fails the job for good, without a retry.
  public func abort(_ message: String) throws -> Never { throw Abort(message) }

  /// Ends the run and delays the job, which runs again later.
  ///
  /// - Parameters:
  ///   - duration: how long the job is delayed.
  ///   - countsAttempt: whether this run counts towards the policy's attempts. Default: no.
  public func snooze(for duration: Duration, countsAttempt: Bool = false) throws -> Never {
    throw Snooze(for: duration, countsAttempt: countsAttempt)
  }

  /// Lets no other job of this kind begin for a time, in all workers of this job's database that state a rate for the kind, and
  /// empties the kind's bucket. If the job's concurrency key has a rate (``ConcurrencyKey/rate``), it does this to the key instead: the
  /// jobs of other keys begin as before.
  ///
  /// Use it when the service that the jobs call asks for a pause, and let this job run again afterwards:
  ///
  ///     try await context.throttle(for: .seconds(30))
  ///     try context.snooze(for: .seconds(30))
  ///
  /// After the time one job may begin, and then the others at their rate. Running jobs continue.
  ///
  /// - Parameter duration: At most ten years; 0 or less changes nothing. A longer throttle that is in force stays.
  /// - Throws: ``QudoError``; ``QudoError/Code/invalidArgument`` if neither the job's key nor the kind's policy has a rate.
  public func throttle(for duration: Duration) async throws(QudoError) {
    if duration > .zero, run.driver.capabilities.isSuperset(of: [.control, .keyRates]),
      try await run.driver.control().throttle(keyOf: job.id, for: duration)
    {
      return
    }
    guard let rate = run.handler.policy.rate else {
      throw QudoError(
        .invalidArgument, "\(kind) has no rate to throttle: give its policy one, or pause the kind")
    }
    guard duration > .zero else { return }
    try await run.driver.control().throttle(kind, rate, for: duration)
  }

  /// Enqueues jobs in the transaction that completes this job, all or none. They are stored when the run returns; if it throws, they
  /// are dropped.
  ///
  /// They may carry this job's unique key. If a job conflicts with another live job, that one is kept.
  public func enqueueOnCompletion(_ jobs: [NewJob]) { replacements.withLock { $0 += jobs } }

  /// Enqueues a job in the transaction that completes this job: see ``enqueueOnCompletion(_:)``.
  ///
  /// - Parameters:
  ///   - job: the job; the queue's primary codec encodes it.
  ///   - options: how it is enqueued. Default: ``EnqueueOptions`` with its defaults.
  /// - Throws: what the codec throws.
  public func enqueueOnCompletion<J: Job>(_ job: J, options: EnqueueOptions = EnqueueOptions()) throws {
    enqueueOnCompletion([try NewJob(job, options: options, codecs: codecs)])
  }

  /// Replaces this job with others: the Perl Qudo's name for ``enqueueOnCompletion(_:)``.
  public func replace(with jobs: [NewJob]) { enqueueOnCompletion(jobs) }

  /// Replaces this job with another: the Perl Qudo's name for ``enqueueOnCompletion(_:options:)``.
  ///
  /// - Parameters:
  ///   - job: the job; the queue's primary codec encodes it.
  ///   - unique: at most one live job per kind and key. Default: none.
  ///   - priority: jobs with a higher priority run first. Default: 0.
  ///   - due: when the job may first run. Default: now.
  ///   - expires: when the job expires if it still waits. Default: never.
  ///   - idempotencyKey: names the enqueue, so that repeating it has no further effect. Default: none.
  /// - Throws: what the codec throws.
  public func replace<J: Job>(
    with job: J, unique: UniqueKey? = nil, priority: Int = 0, due: Due = .now, expires: Expiry = .never,
    idempotencyKey: IdempotencyKey? = nil
  ) throws {
    let options = EnqueueOptions(
      unique: unique, priority: priority, due: due, expires: expires, idempotencyKey: idempotencyKey)
    try enqueueOnCompletion(job, options: options)
  }

  @usableFromInline
  func takeReplacements() -> [NewJob] { replacements.withLock { $0 } }

  // MARK: For drivers

  /// The database that the job is in.
  package var driver: any Driver { run.driver }

  /// The job's lease as it is now: ``job`` has it as it was claimed, and a renewal may have moved it since.
  package var lease: Lease { run.engine.lease(run.slot, of: job.id) ?? job.lease }

  /// Whether the run is to have a row in the status log.
  package var recordsStatus: Bool { run.handler.policy.recordsStatus }

  /// The duration of the run so far.
  package var duration: Duration { run.duration() }

  /// The jobs that are to be enqueued in the transaction that completes this one, as they are to be stored.
  package func preparedReplacements() throws -> [NewJob] { try run.engine.hooks.prepare(takeReplacements()) }

  /// Tells the hooks that these were enqueued in a transaction of the application's.
  package func replacementsJoined(_ jobs: [NewJob], _ results: [InsertResult]) {
    guard let heard = run.engine.hooks.didEnqueueInTransaction else { return }
    for (job, result) in zip(jobs, results) { heard(job, EnqueueResult(result, database: database)) }
  }

  /// Says that the job was completed in a transaction of the application's, which need not be committed yet: if it turns
  /// out to be gone when the run has ended, the run was completed.
  package func completedElsewhere() { run.engine.completedElsewhere(run.slot) }
}
