public import Logging

/// What a run knows of its job, and can say besides returning or throwing.
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
    database = run.engine.driver.name
  }

  var codecs: Codecs { run.engine.codecs }

  /// The job's name, the same in every run. It is unique within one history of one database: another host's database may have the
  /// same name, and a database that is made anew or restored gives numbers again. For other services use ``idempotencyKey``.
  public var id: JobID { JobID(database: database, number: job.id) }
  /// What another service should know this job by, so that it does the job's effect once although the job may run more than once:
  ///
  ///     request.headers["Idempotency-Key"] = "\(context.idempotencyKey)"
  ///
  /// It is the same in every run of the job, over retries and restarts, and no other job in the world has it: it is made of the
  /// database's random ``Driver/generation``, the job's number and the time of its enqueue. A failed job that is replayed is another
  /// job, with another key. Computed at each call, in some microseconds.
  public var idempotencyKey: IdempotencyKey {
    let generation = run.engine.driver.generation
    let origin = generation.isEmpty ? database : generation.map { String($0, radix: 16) }.joined(separator: ".")
    return IdempotencyKey("\(origin)/\(job.id)/\(job.enqueuedAt.microseconds)")
  }

  /// What sort of job it is.
  public var kind: Kind { job.kind }
  /// Starts at 1.
  public var attempt: Int { job.attempt }
  /// As it was enqueued with.
  public var priority: Int { job.priority }
  /// Nil for a job without one.
  public var uniqueKey: String? { job.uniqueKey }
  /// When it was enqueued, by the database's clock.
  public var enqueuedAt: Timestamp { job.enqueuedAt }
  /// When the run began, by the wall clock of the worker.
  public var startedAt: Timestamp { run.engine.clock.now().wall.advanced(by: .zero - run.duration()) }
  /// The bytes after the hooks' `deserialize`.
  public var payload: Payload { job.payload }

  /// What travels beside the payload.
  public var metadata: JobMetadata { job.metadata }

  /// The worker's plugin of this type, if it has one. A job that cannot do without one is a ``PluginJob``, whose worker is
  /// not made without it.
  public func plugin<P: Plugin>(_ type: P.Type) -> P? { run.engine.plugins[type] }

  /// The worker's logger with the job's id, kind and attempt.
  public var logger: Logger {
    var logger = run.engine.logger
    logger[metadataKey: "job"] = "\(id)"
    logger[metadataKey: "kind"] = "\(kind)"
    logger[metadataKey: "attempt"] = "\(attempt)"
    return logger
  }

  /// Whether the run should stop: its lease is lost, its time is up, or the worker shuts down.
  public var isCancelled: Bool { Task.isCancelled }

  /// Ends the run: the job failed for good.
  public func abort(_ message: String) throws -> Never { throw Abort(message) }

  /// Ends the run: the job waits and comes again.
  public func snooze(for duration: Duration, countsAttempt: Bool = false) throws -> Never {
    throw Snooze(for: duration, countsAttempt: countsAttempt)
  }

  /// When the run returns, these jobs are enqueued in the transaction that completes this one, all or none. They may
  /// carry its unique key. One that conflicts with another live job keeps that one.
  public func replace(with jobs: [NewJob]) { replacements.withLock { $0 += jobs } }

  /// As ``replace(with:)-([NewJob])``.
  ///
  /// - Throws: what the codec throws.
  public func replace<J: Job>(
    with job: J, unique: UniqueKey? = nil, priority: Int = 0, due: Due = .now
  ) throws {
    replace(with: [NewJob(J.kind, payload: try codecs.encode(job, of: J.kind), unique: unique, priority: priority, due: due)])
  }

  @usableFromInline
  func takeReplacements() -> [NewJob] { replacements.withLock { $0 } }

  // MARK: For drivers

  /// The database that the job is in.
  package var driver: any Driver { run.engine.driver }

  /// The job's lease as it is now: ``job`` has it as it was claimed, and a renewal may have moved it since.
  package var lease: Lease { run.engine.lease(run.slot, of: job.id) ?? job.lease }

  /// Whether the run is to have a row in the status log.
  package var recordsStatus: Bool { run.handler.policy.recordsStatus }

  /// How long the run has taken.
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

/// A job's name: the database's stable name and the job's number in it.
public struct JobID: Hashable, Sendable, CustomStringConvertible {
  /// The database's stable name: ``Driver/name``.
  public let database: String
  /// Its number there, which no other job ever gets.
  public let number: Int64

  /// A database's name and a job's number in it.
  public init(database: String, number: Int64) {
    self.database = database
    self.number = number
  }

  public var description: String { "\(database)/\(number)" }
}
