/// The state of a live job.
public enum JobState: String, Sendable, CaseIterable, Codable {
  /// The job is due and waits for a worker. A job with an expired lease is ready, too.
  case ready
  /// The job waits until it is due.
  case delayed
  /// A worker has claimed the job, and its lease has not expired.
  case running
  /// The job waits until another job of its ``ConcurrencyKey`` has left the queue, or until the stop of its key ends.
  case held
}

/// A live job as the database has it.
public struct StoredJob: Hashable, Sendable, Codable {
  /// The job's number in its database: ``JobID/number``.
  public var id: Int64
  /// The job's kind.
  public var kind: Kind
  /// The state at the time of the listing, by the database's clock.
  public var state: JobState
  /// The payload as stored: encoded, and after the hooks' `serialize`.
  public var payload: Payload
  /// The job's unique key, if it has one.
  public var uniqueKey: String?
  /// The ``ConcurrencyKey/key`` of the job, if it has one.
  public var concurrencyKey: String?
  /// The ``NewJob/group`` of the job, if it has one.
  public var group: String?
  /// Jobs with a higher priority run first.
  public var priority: Int
  /// The number of the job's current or next run, from 1.
  public var attempt: Int
  /// The time of the enqueue. Retries do not change it.
  public var enqueuedAt: Timestamp
  /// The time from which the job's next run may begin.
  public var dueAt: Timestamp
  /// The time at which the job expires if it still waits; nil for never.
  public var expiresAt: Timestamp?
  /// The number of leases of the job that expired since it was enqueued or last retried: its workers died or hung.
  public var expiredLeases: Int
  /// The time at which a worker claimed the running job. Nil for a job that is not running, and if the database does not record it.
  public var startedAt: Timestamp?
  /// The process that holds the running job, in its own process namespace. Nil for a job that is not running, and if the
  /// database does not record it.
  public var processID: Int64?
  /// The time at which the lease of a running job expires, estimated in wall time. Nil for a job that is not running.
  public var leaseExpiresAt: Timestamp?
  /// The entries that travel with the payload.
  public var metadata: JobMetadata

  /// Creates a record, in a driver.
  public init(
    id: Int64, kind: Kind, state: JobState, payload: Payload, uniqueKey: String?, priority: Int, attempt: Int,
    enqueuedAt: Timestamp, dueAt: Timestamp, leaseExpiresAt: Timestamp?,
    metadata: JobMetadata = JobMetadata(),
    expiresAt: Timestamp? = nil, expiredLeases: Int = 0, startedAt: Timestamp? = nil, processID: Int64? = nil,
    concurrencyKey: String? = nil, group: String? = nil
  ) {
    self.id = id
    self.kind = kind
    self.state = state
    self.payload = payload
    self.uniqueKey = uniqueKey
    self.concurrencyKey = concurrencyKey
    self.group = group
    self.priority = priority
    self.attempt = attempt
    self.enqueuedAt = enqueuedAt
    self.dueAt = dueAt
    self.expiresAt = expiresAt
    self.expiredLeases = expiredLeases
    self.startedAt = startedAt
    self.processID = processID
    self.leaseExpiresAt = leaseExpiresAt
    self.metadata = metadata
  }
}

/// The number of jobs of one kind, by state.
public struct JobCount: Hashable, Sendable, Codable {
  /// The kind that is counted.
  public let kind: Kind
  /// The number of jobs that are due and wait for a worker, including those with an expired lease.
  public var ready: Int
  /// The number of jobs that wait until they are due.
  public var delayed: Int
  /// The number of jobs that workers have claimed.
  public var running: Int
  /// How many jobs wait for others of their ``ConcurrencyKey``.
  public var held: Int
  /// Whether the kind, or everything, is paused.
  public var isPaused: Bool

  /// Creates counts; a state that is not given has none.
  public init(
    _ kind: Kind, ready: Int = 0, delayed: Int = 0, running: Int = 0, held: Int = 0, isPaused: Bool = false
  ) {
    self.kind = kind
    self.ready = ready
    self.delayed = delayed
    self.running = running
    self.held = held
    self.isPaused = isPaused
  }
}
