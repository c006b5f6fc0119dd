/// A driver whose jobs can be controlled: cancelled, changed, recovered, paused and resumed, by any process that has the
/// database open.
public protocol ControlDriver: LogDriver {
  /// Cancels jobs, in one transaction.
  ///
  /// A waiting job leaves at once: a row of the failure log with the reason ``FailureReason/cancelled`` keeps its
  /// payload, and can be replayed. A running job is marked. Its worker, in any process, learns of it from the
  /// next claim or renewal, and cancels the run. If the run still completes, the job completed; any other outcome,
  /// and a lease that expires, moves the job to the failure log.
  ///
  /// - Parameters:
  ///   - jobs: The numbers of the jobs.
  ///   - reason: The message for the failure log; nil for "cancelled".
  /// - Returns: The results, in the order of the jobs.
  func cancel(_ jobs: [Int64], reason: String?) async throws(QudoError) -> [CancelResult]

  /// Cancels the jobs that a query selects, in one transaction.
  ///
  /// - Parameters:
  ///   - query: Which jobs, and how many at most. Continue with ``JobQuery/after`` set to the last job of the answer.
  ///   - reason: The message for the failure log; nil for "cancelled".
  /// - Returns: The jobs, in the order of their ids. Fewer than the query's limit means that there are no more.
  func cancel(matching query: JobQuery, reason: String?) async throws(QudoError) -> [CancelledJob]

  /// Changes waiting jobs, in one transaction. A running job is left as it is.
  ///
  /// A job keeps its id, its unique key, its attempts and the time of its enqueue. Its new place in the order of claims
  /// follows from its new priority and due time; a due time of ``Due/now`` puts it behind the jobs of its priority that are
  /// ready.
  ///
  /// - Parameters:
  ///   - jobs: The numbers of the jobs.
  ///   - change: What to change.
  /// - Returns: The results, in the order of the jobs.
  /// - Throws: ``QudoError``; ``QudoError/Code/invalidArgument`` for an empty change, or one beyond the limits.
  func change(_ jobs: [Int64], _ change: JobChange) async throws(QudoError) -> [ChangeResult]

  /// Changes the waiting jobs that a query selects, in one transaction.
  ///
  /// - Returns: The jobs, in the order of their ids. Fewer than the query's limit means that there are no more.
  /// - Throws: As ``change(_:_:)``.
  func change(matching query: JobQuery, _ change: JobChange) async throws(QudoError) -> [ChangedJob]

  /// Frees running jobs by force, in one transaction. They are ready again, as if they had never been claimed: no attempt
  /// and no expired lease is counted. If a job was about to be cancelled, it goes to the failure log instead.
  ///
  /// The lease of the run no longer holds: its outcome is refused, and its worker cancels it when it next renews the lease.
  /// Until then the job may run twice at the same time.
  ///
  /// - Parameter jobs: The numbers of the jobs.
  /// - Returns: The results, in the order of the jobs.
  func recover(_ jobs: [Int64]) async throws(QudoError) -> [RecoverResult]

  /// Frees the running jobs that a query selects by force, in one transaction. Waiting jobs are not selected.
  ///
  /// - Returns: The jobs, in the order of their ids. Fewer than the query's limit means that there are no more.
  func recover(matching query: JobQuery) async throws(QudoError) -> [RecoveredJob]

  /// Sets where the final failures of kinds go: see ``JobPolicy/onFinalFailure``. It holds for all processes until it is
  /// set again. The other kinds keep theirs.
  ///
  /// - Throws: ``QudoError``; ``QudoError/Code/invalidArgument`` for a route from a kind to itself.
  func setFailureRoutes(_ routes: [FailureRoute]) async throws(QudoError)

  /// Returns the kinds that have a route, in the order of their names.
  func failureRoutes() async throws(QudoError) -> [FailureRoute]

  /// Pauses kinds: their jobs are not claimed until the pause ends. Running jobs continue; jobs can be enqueued. A
  /// kind that is paused already gets the new end and reason.
  ///
  /// - Parameters:
  ///   - kinds: The kinds; nil for everything, including kinds that do not exist yet.
  ///   - end: When the pause ends by itself; nil for never.
  ///   - reason: A note for those who look at it.
  /// - Throws: ``QudoError``; ``QudoError/Code/invalidArgument`` if the end is not in the future.
  func pause(_ kinds: [Kind]?, until end: Due?, reason: String?) async throws(QudoError)

  /// Ends pauses.
  ///
  /// - Parameter kinds: The kinds; nil for all pauses, that of everything included. A kind stays paused while
  ///   everything is.
  /// - Returns: The pauses that were ended.
  func resume(_ kinds: [Kind]?) async throws(QudoError) -> [Pause]

  /// Returns the pauses that have not ended: that of everything first, then by kind.
  func pauses() async throws(QudoError) -> [Pause]

  /// Returns the final failures that stop concurrency keys, in the order of their ids. It reads an index, and as many rows as it returns, if
  /// the kinds are nil.
  ///
  /// - Parameters:
  ///   - kinds: The kinds; nil for all.
  ///   - failure: Only failures with higher ids: 0, or the last one of the page before.
  ///   - limit: The maximum number of rows.
  func keyStops(_ kinds: [Kind]?, after failure: Int64, limit: Int) async throws(QudoError) -> [KeyStop]

  /// Returns concurrency keys that are in use: those that jobs have, and those that are stopped. The keys of a kind are adjacent, sorted by
  /// their bytes; kinds come in any order. It looks into an index once for each kind, and reads as many keys as it returns, and their jobs.
  ///
  /// - Throws: ``QudoError``; ``QudoError/Code/invalidArgument`` if the driver lacks ``Capabilities/concurrencyKeys``, and
  ///   ``QudoError/Code/corrupt`` for a malformed rate.
  func concurrencyKeys(_ query: ConcurrencyKeyQuery) async throws(QudoError) -> [ConcurrencyKeyStatus]

  /// Ends the stops of concurrency keys, in one transaction: held jobs are admitted up to the limit. The failures that stopped the keys
  /// stay as they are.
  ///
  /// - Parameters:
  ///   - keys: The keys. Those that are not stopped are left as they are.
  ///   - kind: The kind of the keys.
  /// - Returns: The stops that were ended, in the order of the failures.
  /// - Throws: ``QudoError``; ``QudoError/Code/invalidArgument`` if the driver lacks ``Capabilities/keyStops``, and for a key or kind beyond
  ///   the limits.
  func resume(keys: [String], of kind: Kind) async throws(QudoError) -> [KeyStop]

  /// Lets no job of a kind with a rate begin for a time, and empties its bucket: after that time one job may begin, and then the
  /// others at their rate. A longer throttle that is in force stays. Only claims with a ``ClaimRequest/KindDemand/rate`` obey it.
  ///
  /// - Parameters:
  ///   - kind: The kind.
  ///   - rate: The rate of the kind.
  ///   - duration: Above 0, at most ten years.
  /// - Throws: ``QudoError``; ``QudoError/Code/invalidArgument`` if the driver lacks ``Capabilities/rateLimits``, for a duration out
  ///   of range and for a rate that lets no job begin.
  func throttle(_ kind: Kind, _ rate: RateLimit, for duration: Duration) async throws(QudoError)

  /// Lets no job of a concurrency key with a rate begin for a time, and empties the key's bucket: after that time one job may begin, and
  /// then the others at their rate. A longer throttle that is in force stays.
  ///
  /// - Parameters:
  ///   - job: A job of the key, by its number.
  ///   - duration: Above 0, at most ten years.
  /// - Returns: False if the job has no key with a rate, or is gone: then nothing changed.
  /// - Throws: ``QudoError``; ``QudoError/Code/invalidArgument`` for a duration out of range.
  func throttle(keyOf job: Int64, for duration: Duration) async throws(QudoError) -> Bool
}

extension ControlDriver {
  /// Refuses: a driver with ``Capabilities/rateLimits`` has its own.
  public func throttle(_ kind: Kind, _ rate: RateLimit, for duration: Duration) async throws(QudoError) {
    throw QudoError(
      .invalidArgument, "the driver of \(name) cannot throttle \(kind): use one that can, or pause the kind")
  }

  /// Returns false: a driver with ``Capabilities/keyRates`` has its own.
  public func throttle(keyOf job: Int64, for duration: Duration) async throws(QudoError) -> Bool { false }

  /// Returns none: a driver with ``Capabilities/keyStops`` has its own.
  public func keyStops(_ kinds: [Kind]?, after failure: Int64, limit: Int) async throws(QudoError)
    -> [KeyStop]
  { [] }

  /// Refuses: a driver with ``Capabilities/concurrencyKeys`` has its own.
  public func concurrencyKeys(_ query: ConcurrencyKeyQuery) async throws(QudoError) -> [ConcurrencyKeyStatus]
  {
    throw QudoError(
      .invalidArgument, "the driver of \(name) has no concurrency keys: use one that has")
  }

  /// Refuses: a driver with ``Capabilities/keyStops`` has its own.
  public func resume(keys: [String], of kind: Kind) async throws(QudoError) -> [KeyStop] {
    throw QudoError(
      .invalidArgument, "the driver of \(name) stops no concurrency keys: use one that does")
  }

  /// Ends the stops of the given keys, or of all keys of the kind, in transactions of 1,000.
  package func resume(keys: [String]?, of kind: Kind) async throws(QudoError) -> [KeyStop] {
    if let keys { return try await resume(keys: keys, of: kind) }
    var ended: [KeyStop] = []
    while true {
      let page = try await keyStops([kind], after: 0, limit: 1000)
      guard !page.isEmpty else { return ended }
      ended += try await resume(keys: page.map(\.key), of: kind)
    }
  }

  /// Checks the arguments of a resume of keys.
  package func checkResume(_ keys: [String], of kind: Kind) throws(QudoError) {
    try Limits.check("kind", kind.name, atMost: Limits.kindBytes)
    for key in keys { try Limits.check("concurrency key", key, atMost: Limits.concurrencyKeyBytes) }
  }

  /// Checks the arguments of a throttle.
  package func checkThrottle(_ kind: Kind, _ rate: RateLimit, for duration: Duration) throws(QudoError) {
    try Limits.check("kind", kind.name, atMost: Limits.kindBytes)
    try rate.check(kind)
    try checkThrottle(kind.name, for: duration)
  }

  /// Checks the argument of a throttle.
  ///
  /// - Parameter owner: What is throttled, for the error.
  package func checkThrottle(_ owner: String = "a concurrency key", for duration: Duration) throws(QudoError)
  {
    guard duration > .zero, duration <= .seconds(10 * 366 * 86_400) else {
      throw QudoError(
        .invalidArgument,
        "the time for which to throttle \(owner) is not between 0 and ten years: give another one")
    }
  }
}

/// The result of cancelling one job.
public enum CancelResult: String, Hashable, Sendable, Codable {
  /// The job waited. It is in the failure log now.
  case cancelled
  /// The job is running. Its worker learns of the cancel, and the job's outcome shows whether it still completed.
  case cancelling
  /// There is no such job: it has completed or failed, or never existed.
  case notFound
}

/// A job that a bulk verb cancelled.
public struct CancelledJob: Hashable, Sendable, Codable {
  /// The job's number in its database.
  public var id: Int64
  /// What happened: ``CancelResult/cancelled``, ``CancelResult/cancelling``, or ``CancelResult/notFound`` for a job that no
  /// longer matched the query when its turn came.
  public var result: CancelResult

  /// Creates the answer for one job; for drivers.
  public init(id: Int64, result: CancelResult) { (self.id, self.result) = (id, result) }
}

/// A change of waiting jobs. What is nil stays as it is.
public struct JobChange: Hashable, Sendable {
  /// The new priority.
  public var priority: Int?
  /// The time at which the job may run: ``Due/now`` to run it as soon as a worker is free. A time in the past puts it before jobs of its
  /// priority that became due later.
  public var due: Due?
  /// The new payload, exactly as the database stores it: already encoded, and already passed through the hooks' `serialize`.
  public var payload: Payload?
  /// The new metadata. It replaces all of the old metadata, including entries that hooks added.
  public var metadata: JobMetadata?
  /// The time at which the job expires if it still waits; ``Expiry/never`` for no expiry.
  public var expires: Expiry?

  /// Creates a change.
  public init(
    priority: Int? = nil, due: Due? = nil, payload: Payload? = nil, metadata: JobMetadata? = nil,
    expires: Expiry? = nil
  ) {
    self.priority = priority
    self.due = due
    self.payload = payload
    self.metadata = metadata
    self.expires = expires
  }

  /// Whether the change has no new value.
  public var isEmpty: Bool {
    priority == nil && due == nil && payload == nil && metadata == nil && expires == nil
  }
}

extension NewJob {
  /// Returns the job with the new values of a change.
  package func changed(by change: JobChange) -> NewJob {
    var job = self
    job.priority = change.priority ?? priority
    job.due = change.due ?? due
    job.payload = change.payload ?? payload
    job.metadata = change.metadata ?? metadata
    job.expires = change.expires ?? expires
    return job
  }

  /// Returns the job with the new values of a replay.
  ///
  /// - Parameter unique: nil for the job's own.
  package func replayed(_ change: JobChange, _ unique: UniqueKey?) -> NewJob {
    var job = changed(by: change)
    if let unique { job.unique = UniqueKey(unique.key, scope: unique.scope) }
    return job
  }
}

/// The result of changing one job.
public enum ChangeResult: String, Hashable, Sendable, Codable {
  /// The job waits, and has the new values.
  case changed
  /// The job runs, and was left as it is.
  case running
  /// There is no such job: it has completed or failed, or never existed.
  case notFound
}

/// A job that a bulk change found.
public struct ChangedJob: Hashable, Sendable, Codable {
  /// The job's number in its database.
  public var id: Int64
  /// What happened: ``ChangeResult/changed``, ``ChangeResult/running``, or ``ChangeResult/notFound`` for a job that no
  /// longer matched the query when its turn came, and for one that was to be cancelled and whose lease had expired: it
  /// ended.
  public var result: ChangeResult

  /// Creates the answer for one job; for drivers.
  public init(id: Int64, result: ChangeResult) { (self.id, self.result) = (id, result) }
}

/// The result of recovering one job by force.
public enum RecoverResult: String, Hashable, Sendable, Codable {
  /// The job ran, and is ready again.
  case recovered
  /// The job ran and was to be cancelled: it is in the failure log now.
  case cancelled
  /// The job waits, and was left as it is.
  case notRunning
  /// There is no such job: it has completed or failed, or never existed.
  case notFound
}

/// A job that a bulk recovery found.
public struct RecoveredJob: Hashable, Sendable, Codable {
  /// The job's number in its database.
  public var id: Int64
  /// What happened: ``RecoverResult/recovered``, ``RecoverResult/cancelled``, or ``RecoverResult/notFound`` for a job that
  /// no longer matched the query when its turn came.
  public var result: RecoverResult

  /// Creates the answer for one job; for drivers.
  public init(id: Int64, result: RecoverResult) { (self.id, self.result) = (id, result) }
}

/// A pause of a kind, or of everything.
public struct Pause: Hashable, Sendable, Codable {
  /// The paused kind; nil for everything.
  public var kind: Kind?
  /// The start of the pause, by the database's clock.
  public var pausedAt: Timestamp
  /// The time at which the pause ends by itself; nil for never.
  public var endsAt: Timestamp?
  /// The note of who paused it.
  public var reason: String?

  /// Creates a pause; for drivers.
  public init(_ kind: Kind?, pausedAt: Timestamp, endsAt: Timestamp? = nil, reason: String? = nil) {
    self.kind = kind
    self.pausedAt = pausedAt
    self.endsAt = endsAt
    self.reason = reason
  }
}

/// A final failure that stops a concurrency key: see ``ConcurrencyKey/AfterFailure/stop``.
///
/// A key with a limit above 1 may have several: it continues when none is left.
public struct KeyStop: Hashable, Sendable, Codable {
  /// The kind of the key.
  public var kind: Kind
  /// The key.
  public var key: String
  /// The number of the failure in the failure log: ``FailureRecord/id``. The log may have pruned it.
  public var failure: Int64
  /// The number of the job that failed.
  public var job: Int64
  /// The time of the failure, by the database's clock.
  public var stoppedAt: Timestamp

  /// Creates a stop; for drivers.
  public init(_ kind: Kind, key: String, failure: Int64, job: Int64, stoppedAt: Timestamp) {
    self.kind = kind
    self.key = key
    self.failure = failure
    self.job = job
    self.stoppedAt = stoppedAt
  }
}

extension Driver {
  /// - Throws: ``QudoError/Code/invalidArgument`` if the driver has no control verbs.
  package func control() throws(QudoError) -> any ControlDriver {
    guard let control = self as? any ControlDriver else {
      throw QudoError(
        .invalidArgument,
        "the driver of \(name) cannot cancel, change or pause jobs, or act on their final failures: use one that can"
      )
    }
    return control
  }
}

extension ControlDriver {
  /// Checks the arguments of a pause.
  package func checkPause(_ kinds: [Kind]?, until end: Due?, reason: String?, now: Timestamp)
    throws(QudoError)
  {
    for kind in kinds ?? [] { try Limits.check("kind", kind.name, atMost: Limits.kindBytes) }
    try check(reason: reason)
    switch end {
    case nil: return
    case .after(let duration) where duration > .zero: return
    case .at(let time) where time > now:
      guard time <= .latest else {
        throw QudoError(
          .invalidArgument, "the end of the pause is after the year 9999: give none, or an earlier one")
      }
    default:
      throw QudoError(
        .invalidArgument, "the end of the pause is not in the future: give a later one, or none")
    }
  }

  /// Checks a change of jobs.
  package func check(_ change: JobChange) throws(QudoError) {
    guard !change.isEmpty else {
      throw QudoError(.invalidArgument, "the change has no new value: give one")
    }
    try limits.check(
      NewJob(
        "any", payload: change.payload ?? Payload([]), priority: change.priority ?? 0,
        due: change.due ?? .now, expires: change.expires ?? .never,
        metadata: change.metadata ?? JobMetadata()))
  }

  /// Returns the query for the running jobs among those that a query selects.
  package func running(_ query: JobQuery) -> JobQuery {
    var query = query
    query.states = query.states?.intersection([.running]) ?? [.running]
    return query
  }

  /// Checks the reason of a verb.
  package func check(reason: String?) throws(QudoError) {
    if let reason { try Limits.check("reason", reason, atMost: 1024) }
  }
}

extension Settlement.Outcome {
  /// Whether the job completed. Any other outcome of a cancelled job moves it to the failure log.
  package var completes: Bool { if case .completed = self { true } else { false } }
}
