/// Which jobs a worker wants.
public struct ClaimRequest: Sendable {
  /// One kind that the worker can perform.
  public struct KindDemand: Sendable {
    /// The kind.
    public var kind: Kind
    /// How long its claims hold unless extended.
    public var leaseDuration: Duration
    /// How many lost leases send a job to the failure log.
    public var maxExpiredLeases: Int
    /// How many jobs of this kind at most; nil leaves it to ``ClaimRequest/limit``.
    public var limit: Int?

    /// Each with its default.
    public init(_ kind: Kind, leaseDuration: Duration = .seconds(60), maxExpiredLeases: Int = 5, limit: Int? = nil) {
      self.kind = kind
      self.leaseDuration = leaseDuration
      self.maxExpiredLeases = maxExpiredLeases
      self.limit = limit
    }
  }
  /// The kinds, each once.
  public var demands: [KindDemand]
  /// How many jobs at most.
  public var limit: Int

  /// Kinds, and how many of their jobs at most.
  public init(_ demands: [KindDemand], limit: Int) {
    self.demands = demands
    self.limit = limit
  }
}

/// The right to settle one claimed job. Only the newest lease of a job is good; `token` fences the others off.
public struct Lease: Hashable, Sendable {
  /// The number of the job.
  public let job: Int64
  /// Another one with each claim of the job.
  public let token: Int64
  /// Where the database finds the lease: the number of the open driver that holds it, if the database tells them apart, and the
  /// lease's end by the database's clock. These are hints; after a renewal the lease as it was before is still good.
  public let holder: Int64
  /// See ``holder``.
  public let expiresAt: Int64

  /// For drivers.
  public init(job: Int64, token: Int64, holder: Int64, expiresAt: Int64) {
    self.job = job
    self.token = token
    self.holder = holder
    self.expiresAt = expiresAt
  }
}

/// A job in a worker's hands.
public struct ClaimedJob: Sendable {
  /// What to settle, extend or release it with.
  public let lease: Lease
  /// What sort of job it is.
  public let kind: Kind
  /// As stored; from the `deserialize` of the hooks on, as the run sees it.
  public var payload: Payload
  /// Higher runs first.
  public let priority: Int
  /// Nil for a job without one.
  public let uniqueKey: String?
  /// Starts at 1.
  public let attempt: Int
  /// When it was enqueued, by the database's clock.
  public let enqueuedAt: Timestamp
  /// Since when it might run: the due time of this attempt.
  public let dueAt: Timestamp
  /// What ``NewJob/meta`` was.
  public var metadata: JobMetadata

  /// Its number in its database.
  public var id: Int64 { lease.job }

  /// For drivers.
  public init(
    lease: Lease, kind: Kind, payload: Payload, priority: Int, uniqueKey: String?, attempt: Int, enqueuedAt: Timestamp,
    dueAt: Timestamp, metadata: JobMetadata = JobMetadata()
  ) {
    self.lease = lease
    self.kind = kind
    self.payload = payload
    self.priority = priority
    self.uniqueKey = uniqueKey
    self.attempt = attempt
    self.enqueuedAt = enqueuedAt
    self.dueAt = dueAt
    self.metadata = metadata
  }
}

/// The answer to a claim.
public struct Claim: Sendable {
  /// In the order in which they should run.
  public var jobs: [ClaimedJob]
  /// How long until the next delayed job is due, of whatever kind; zero if one is due already; nil without any.
  public var timeUntilNextDue: Duration?
  /// How long until the next lease ends, of whatever kind; nil without any.
  public var timeUntilNextLeaseExpiry: Duration?
  /// The jobs of whatever kind that this claim gave up, in the order in which their leases expired. Most often empty.
  public var givenUp: [GivenUpJob]
  /// The number of jobs whose lease had expired and that this claim made ready again, or took itself.
  public var recovered: Int

  /// For drivers.
  public init(
    jobs: [ClaimedJob] = [], timeUntilNextDue: Duration? = nil, timeUntilNextLeaseExpiry: Duration? = nil, givenUp: [GivenUpJob] = [], recovered: Int = 0
  ) {
    self.jobs = jobs
    self.timeUntilNextDue = timeUntilNextDue
    self.timeUntilNextLeaseExpiry = timeUntilNextLeaseExpiry
    self.givenUp = givenUp
    self.recovered = recovered
  }
}

/// A job that a claim gave up, because its lease expired as often as ``JobPolicy/maxExpiredLeases`` allows: its workers died or hung.
///
/// The job is gone, and the failure log has it with its payload as ``FailureReason/lost``, from where it can be replayed.
public struct GivenUpJob: Hashable, Sendable {
  /// The number that the job had in its database.
  public let id: Int64
  /// The kind of the job; not necessarily one that the claim asked for.
  public let kind: Kind
  /// The number of the run that did not end; starts at 1.
  public let attempt: Int
  /// How many of the job's leases expired.
  public let expiredLeases: Int
  /// The job's unique key, which is free again; nil for a job without one.
  public let uniqueKey: String?

  /// For drivers, and for tests of hooks.
  public init(id: Int64, kind: Kind, attempt: Int, expiredLeases: Int, uniqueKey: String? = nil) {
    self.id = id
    self.kind = kind
    self.attempt = attempt
    self.expiredLeases = expiredLeases
    self.uniqueKey = uniqueKey
  }
}
