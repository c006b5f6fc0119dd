/// What a database must be able to do, verb by verb.
///
/// Each verb works on a batch, is one atomic transaction, and reports per job: a stale lease or a unique conflict
/// fails its own item and spoils no other. An error that is thrown fails all, and then nothing was written, unless
/// its code is ``QudoError/Code/outcomeUnknown``.
public protocol Driver: Sendable {
  /// The database's stable name. A job is named by it and the job's id.
  var name: String { get }

  /// Stores jobs. The results are in the order of the jobs.
  func insert(_ jobs: [NewJob]) async throws(QudoError) -> [InsertResult]

  /// Takes jobs exclusively until their leases end: highest priority first, then earliest due, then oldest.
  func claim(_ request: ClaimRequest) async throws(QudoError) -> Claim

  /// Writes outcomes and, if asked, claims the next jobs in the same transaction.
  func settle(_ settlements: [Settlement], claiming next: ClaimRequest?) async throws(QudoError) -> (results: [SettleResult], claim: Claim?)

  /// Makes leases end `duration` from now. A `nil` in the results is a lease that is lost.
  func extend(_ leases: [Lease], by duration: Duration) async throws(QudoError) -> [Lease?]

  /// How many jobs of each kind are in each state.
  func count() async throws(QudoError) -> [JobCount]
}

/// Which jobs a worker wants.
public struct ClaimRequest: Sendable {
  /// One kind that the worker can perform.
  public struct Ability: Sendable {
    public var kind: Kind
    /// How long its claims hold unless extended.
    public var lease: Duration
    /// How many lost leases send a job to the failure log.
    public var lostLimit: Int

    public init(_ kind: Kind, lease: Duration = .seconds(60), lostLimit: Int = 5) {
      self.kind = kind
      self.lease = lease
      self.lostLimit = lostLimit
    }
  }
  public var abilities: [Ability]
  /// How many jobs at most.
  public var limit: Int

  public init(_ abilities: [Ability], limit: Int) {
    self.abilities = abilities
    self.limit = limit
  }
}

/// The right to settle one claimed job. Only the newest lease of a job is good; `token` fences the others off.
public struct Lease: Hashable, Sendable {
  public let job: Int64
  public let token: Int64
  /// Where the database finds the lease: the boot it belongs to and its end by that boot's clock.
  public let boot: Int64
  public let ends: Int64

  public init(job: Int64, token: Int64, boot: Int64, ends: Int64) {
    self.job = job
    self.token = token
    self.boot = boot
    self.ends = ends
  }
}

/// A job in a worker's hands.
public struct ClaimedJob: Sendable {
  public let lease: Lease
  public let kind: Kind
  public let payload: Payload
  public let priority: Int
  public let uniqueKey: String?
  /// Starts at 1.
  public let attempt: Int
  public let enqueued: Timestamp
  public let due: Timestamp

  public var id: Int64 { lease.job }

  public init(
    lease: Lease, kind: Kind, payload: Payload, priority: Int, uniqueKey: String?, attempt: Int, enqueued: Timestamp,
    due: Timestamp
  ) {
    self.lease = lease
    self.kind = kind
    self.payload = payload
    self.priority = priority
    self.uniqueKey = uniqueKey
    self.attempt = attempt
    self.enqueued = enqueued
    self.due = due
  }
}

/// The answer to a claim.
public struct Claim: Sendable {
  /// In the order in which they should run.
  public var jobs: [ClaimedJob]
  /// How long until the next delayed job is due, if there is one.
  public var nextDue: Duration?
  /// How long until the next lease ends, if there is one.
  public var nextLeaseEnd: Duration?

  public init(jobs: [ClaimedJob], nextDue: Duration?, nextLeaseEnd: Duration?) {
    self.jobs = jobs
    self.nextDue = nextDue
    self.nextLeaseEnd = nextLeaseEnd
  }
}

/// What became of one run, decided; the driver only writes it down.
public struct Settlement: Sendable {
  public enum Outcome: Sendable {
    /// The job goes; the replacements come, in the same transaction.
    case completed(replacements: [NewJob] = [])
    /// A failed run is logged, and the job waits for its next attempt.
    case retry(after: Duration, message: String)
    /// The job waits; no attempt is counted.
    case snoozed(Duration)
    /// The last failed run is logged with the payload, and the job goes.
    case failed(message: String)
    /// The job goes back as if it had never been claimed.
    case released
  }
  public var lease: Lease
  public var outcome: Outcome

  public init(_ lease: Lease, _ outcome: Outcome) {
    self.lease = lease
    self.outcome = outcome
  }
}

public enum SettleResult: Hashable, Sendable {
  /// Written. What became of each replacement is in their order.
  case settled(replacements: [InsertResult] = [])
  /// Another claim has the job, or it is gone. Nothing was changed.
  case leaseLost
}

/// How many jobs of a kind are in each state.
public struct JobCount: Hashable, Sendable {
  public let kind: Kind
  public var ready = 0
  public var delayed = 0
  public var running = 0

  public init(_ kind: Kind) { self.kind = kind }
}
