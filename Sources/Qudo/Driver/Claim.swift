/// The kinds and the number of jobs that a worker asks for.
public struct ClaimRequest: Sendable {
  /// A kind that the worker can run, with the terms of its leases.
  public struct KindDemand: Sendable {
    /// The kind to claim.
    public var kind: Kind
    /// The time until the lease expires unless it is renewed.
    public var leaseDuration: Duration
    /// The number of expired leases after which a job is given up.
    public var maxExpiredLeases: Int
    /// The maximum number of jobs of this kind; nil for no limit but ``ClaimRequest/limit``.
    public var limit: Int?
    /// The maximum number of running jobs of this kind, of all workers and including this claim; nil for no limit.
    ///
    /// The driver counts the running jobs in the transaction of the claim, and no other claim with a maximum for the kind
    /// counts meanwhile. So no such claim exceeds it, and a worker that dies leaves nothing behind that counts. If as many jobs
    /// or more are running already, the claim takes none of the kind. It needs ``Capabilities/maxRunning``.
    public var maxRunning: Int?
    /// The maximum rate at which jobs of this kind begin, claimed by all workers; nil for no limit.
    ///
    /// The claim takes a token from the kind's bucket for each of its jobs, in its transaction. If there are fewer tokens
    /// than jobs, ``Claim/timeUntilNextDue`` tells when the next one is available. It needs ``Capabilities/rateLimits``.
    public var rate: RateLimit?

    /// Creates a demand with the default lease of 60 s and at most 5 expired leases.
    public init(
      _ kind: Kind, leaseDuration: Duration = .seconds(60), maxExpiredLeases: Int = 5, limit: Int? = nil,
      maxRunning: Int? = nil, rate: RateLimit? = nil
    ) {
      self.kind = kind
      self.leaseDuration = leaseDuration
      self.maxExpiredLeases = maxExpiredLeases
      self.limit = limit
      self.maxRunning = maxRunning
      self.rate = rate
    }
  }
  /// The kinds to claim, each once.
  public var demands: [KindDemand]
  /// The maximum number of jobs, of all kinds together.
  public var limit: Int

  /// Creates a request for at most `limit` jobs of the kinds.
  public init(_ demands: [KindDemand], limit: Int) {
    self.demands = demands
    self.limit = limit
  }
}

/// The right to settle a claimed job. Only the newest lease of a job is valid, as its `token` shows.
public struct Lease: Hashable, Sendable {
  /// The number of the job in its database.
  public let job: Int64
  /// A number that differs for each claim of the job.
  public let token: Int64
  /// The number of the open driver that holds the lease, if the database distinguishes them.
  ///
  /// With ``expiresAt`` it helps the database to find the lease. Both are hints: after a renewal, the lease
  /// as it was before is still valid.
  public let holder: Int64
  /// The time when the lease expires, by the database's clock; a hint, see ``holder``.
  public let expiresAt: Int64

  /// Creates a lease; for drivers.
  public init(job: Int64, token: Int64, holder: Int64, expiresAt: Int64) {
    self.job = job
    self.token = token
    self.holder = holder
    self.expiresAt = expiresAt
  }
}

/// A job under a lease that a worker holds.
public struct ClaimedJob: Sendable {
  /// The lease to settle, renew or release the job with.
  public let lease: Lease
  /// The kind, which selects the handler.
  public let kind: Kind
  /// The payload: as stored until the hooks' ``HookSet/deserialize(_:)``, then as the run sees it.
  public var payload: Payload
  /// The priority; a higher one runs first.
  public let priority: Int
  /// The unique key; nil for a job without one.
  public let uniqueKey: String?
  /// The number of this attempt, starting at 1.
  public let attempt: Int
  /// The time of the enqueue, by the database's clock.
  public let enqueuedAt: Timestamp
  /// The due time of this attempt.
  public let dueAt: Timestamp
  /// The metadata from ``NewJob/metadata``.
  public var metadata: JobMetadata

  /// The number of the job in its database.
  public var id: Int64 { lease.job }

  /// Creates a claimed job; for drivers.
  public init(
    lease: Lease, kind: Kind, payload: Payload, priority: Int, uniqueKey: String?, attempt: Int,
    enqueuedAt: Timestamp,
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

/// The jobs that a claim returned, and when to claim again.
public struct Claim: Sendable {
  /// The claimed jobs, in the order in which they should run.
  public var jobs: [ClaimedJob]
  /// The time until the next job may become claimable by itself: zero if it may already, nil if there is no such time.
  ///
  /// It is the time until the first of these: a delayed job of any kind is due; a job of any kind reaches its expiry, where
  /// those of running jobs may count or not; a pause ends; or the rate of a kind lets a job begin, if this claim took all
  /// that it allowed.
  public var timeUntilNextDue: Duration?
  /// The time until the next lease of any kind expires; nil if there is none.
  public var timeUntilNextLeaseExpiry: Duration?
  /// The jobs of any kind that this claim gave up: those that their workers lost, in the order in which their leases
  /// expired, and then those that expired while they waited, in the order of their ids. Usually empty.
  public var givenUp: [GivenUpJob]
  /// The number of jobs with an expired lease that this claim recovered: made ready again, or claimed itself.
  public var recovered: Int
  /// The cancelled jobs whose leases the claiming driver holds: their runs are to be cancelled. Usually empty.
  public var cancelling: [Int64]

  /// Creates the answer to a claim; for drivers.
  public init(
    jobs: [ClaimedJob] = [], timeUntilNextDue: Duration? = nil, timeUntilNextLeaseExpiry: Duration? = nil,
    givenUp: [GivenUpJob] = [], recovered: Int = 0, cancelling: [Int64] = []
  ) {
    self.jobs = jobs
    self.timeUntilNextDue = timeUntilNextDue
    self.timeUntilNextLeaseExpiry = timeUntilNextLeaseExpiry
    self.givenUp = givenUp
    self.recovered = recovered
    self.cancelling = cancelling
  }
}

/// A job that a claim gave up: because its workers died or hung and too many of its leases expired
/// (``JobPolicy/maxExpiredLeases``), or because it still waited at its ``Expiry``.
///
/// The job is deleted. You can replay it from the failure log.
public struct GivenUpJob: Hashable, Sendable {
  /// The number that the job had in its database.
  public let id: Int64
  /// The kind, which is not necessarily one that the claim asked for.
  public let kind: Kind
  /// The reason, as the failure log has it: ``FailureReason/lost`` or ``FailureReason/expired``.
  public let reason: FailureReason
  /// The number of the attempt that did not end or, for an expired job, did not begin; starting at 1.
  public let attempt: Int
  /// The number of the job's leases that expired.
  public let expiredLeases: Int
  /// The unique key, which is free again; nil for a job without one.
  public let uniqueKey: String?

  /// Creates a job that was given up; for drivers and tests of hooks.
  public init(
    id: Int64, kind: Kind, reason: FailureReason = .lost, attempt: Int, expiredLeases: Int,
    uniqueKey: String? = nil
  ) {
    self.id = id
    self.kind = kind
    self.reason = reason
    self.attempt = attempt
    self.expiredLeases = expiredLeases
    self.uniqueKey = uniqueKey
  }
}
