public import Qudo

/// Makes statements that enqueue jobs, for another copy of SQLite or a library that does not expose its connection.
/// It opens no file itself.
///
///     let enqueue = SQLiteEnqueueStatements()
///     for statement in try enqueue.statements(for: SendMail(to: "ada@example.org")) {
///       try library.execute(statement.sql, statement.values)
///     }
///
/// Execute the statements in this order in one transaction, which should begin with `BEGIN IMMEDIATE`. If one of them
/// fails, roll back. They may be executed in another process. A ``SQLiteDriver`` or ``SQLiteDriver/schemaSQL`` must have
/// created the tables. SQLite 3.15 or newer runs them.
///
/// The statements return no results. If another live job holds a unique key, `reject` fails with
/// SQLITE_CONSTRAINT_UNIQUE, `keep` writes nothing for the job, and `overwrite` overwrites a waiting job and fails for a
/// running one, and for one that has a concurrency key. A job with such a key cannot be enqueued with `overwrite`; so a follow-up
/// cannot, and a debounced job can. If the unique key rests, `keep` writes nothing, and the others fail with SQLITE_CONSTRAINT_NOTNULL. A `Queue` of an open ``SQLiteDriver`` has the same method.
///
/// - Warning: No process may have the file open in two copies of SQLite. See <doc:YourTransaction>.
public struct SQLiteEnqueueStatements<Hooks: HookSet>: Sendable {
  /// The codecs; the primary one encodes the jobs.
  public let codecs: Codecs
  /// The limits of a job; the statements refuse jobs beyond them.
  public let limits: Limits
  /// The time for which an idempotency key prevents a second enqueue.
  public let idempotencyKeyLifetime: Duration
  private let clock: any QueueClock
  private let hooks: Hooks

  /// - Parameters:
  ///   - codecs: what jobs are encoded with. Default: JSON.
  ///   - limits: what is refused. Give those of the file's drivers.
  ///   - idempotencyKeyLifetime: how long an idempotency key prevents a second enqueue. Default: 24 hours.
  ///   - clock: the clock of enqueues and delays. Default: the machine's.
  ///   - hooks: the hooks, of which `willEnqueue` and `serialize` are called.
  public init(
    codecs: Codecs = Codecs(), limits: Limits = Limits(), idempotencyKeyLifetime: Duration = .seconds(86_400),
    clock: any QueueClock = SystemClock(), @HookBuilder hooks: () -> Hooks
  ) {
    self.codecs = codecs
    self.limits = limits
    self.idempotencyKeyLifetime = idempotencyKeyLifetime
    self.clock = clock
    self.hooks = hooks()
  }

  /// Creates a maker of statements without hooks.
  ///
  /// - Parameters:
  ///   - codecs: what jobs are encoded with. Default: JSON.
  ///   - limits: what is refused. Give those of the file's drivers.
  ///   - idempotencyKeyLifetime: how long an idempotency key prevents a second enqueue. Default: 24 hours.
  ///   - clock: the clock of enqueues and delays. Default: the machine's.
  public init(
    codecs: Codecs = Codecs(), limits: Limits = Limits(), idempotencyKeyLifetime: Duration = .seconds(86_400),
    clock: any QueueClock = SystemClock()
  ) where Hooks == NoHooks {
    self.init(codecs: codecs, limits: limits, idempotencyKeyLifetime: idempotencyKeyLifetime, clock: clock) {}
  }

  /// Returns the statements that enqueue jobs, in the order in which to execute them.
  ///
  /// - Parameter jobs: the jobs.
  /// - Throws: `QudoError.Code.invalidArgument` for a job that is refused, or the error of a hook.
  public func statements(for jobs: [NewJob]) throws -> [SQLStatement] {
    try EnqueueScript.statements(
      for: try hooks.prepare(jobs), limits, lifetime: idempotencyKeyLifetime, clock)
  }

  /// Returns the statements that enqueue one job.
  ///
  /// - Parameters:
  ///   - job: the job; the primary codec encodes it.
  ///   - options: how it is enqueued. Default: `EnqueueOptions` with its defaults.
  /// - Throws: as `statements(for:)` of several, and what the codec throws.
  public func statements<J: Job>(for job: J, options: EnqueueOptions = EnqueueOptions()) throws
    -> [SQLStatement]
  {
    try statements(for: [NewJob(job, options: options, codecs: codecs)])
  }
}
