/// Where a live job is on its way.
public enum JobState: String, Sendable, CaseIterable {
  /// Waits to be claimed, and is due. So is a job whose lease ended.
  case ready
  /// Waits to be due.
  case delayed
  /// Claimed, under a lease that has not ended.
  case running
}

/// A live job as it stands in the database.
public struct StoredJob: Hashable, Sendable {
  /// Its number in its database.
  public var id: Int64
  /// What sort of job it is.
  public var kind: Kind
  /// As the database's clock has it at this moment.
  public var state: JobState
  /// As stored: encoded, and as the hooks' `serialize` left it.
  public var payload: Payload
  /// Nil for a job without one.
  public var uniqueKey: String?
  /// Higher runs first.
  public var priority: Int
  /// The number of its next or present run; starts at 1.
  public var attempt: Int
  /// When it was enqueued; no retry changes it.
  public var enqueuedAt: Timestamp
  /// When its next attempt may begin, or since when it might.
  public var dueAt: Timestamp
  /// By wall time, as far as that can be told; only while it runs.
  public var leaseExpiresAt: Timestamp?
  /// What travels beside the payload.
  public var metadata: JobMetadata

  /// For drivers.
  public init(
    id: Int64, kind: Kind, state: JobState, payload: Payload, uniqueKey: String?, priority: Int, attempt: Int,
    enqueuedAt: Timestamp, dueAt: Timestamp, leaseExpiresAt: Timestamp?, metadata: JobMetadata = JobMetadata()
  ) {
    self.id = id
    self.kind = kind
    self.state = state
    self.payload = payload
    self.uniqueKey = uniqueKey
    self.priority = priority
    self.attempt = attempt
    self.enqueuedAt = enqueuedAt
    self.dueAt = dueAt
    self.leaseExpiresAt = leaseExpiresAt
    self.metadata = metadata
  }
}

/// Which live jobs to list: those that fit all that is given.
public struct JobQuery: Sendable {
  /// These ids; any for nil.
  public var ids: [Int64]?
  /// These kinds; any for nil.
  public var kinds: [Kind]?
  /// These states; any for nil. Each page is of its own moment: a job that changes its state between two pages may be in both, or
  /// in neither.
  public var states: Set<JobState>?
  /// Ids above this one: the last of the page before.
  public var after: Int64 = 0
  /// How many at most. Default 100.
  public var limit = 100

  /// Each with its default.
  public init(ids: [Int64]? = nil, kinds: [Kind]? = nil, states: Set<JobState>? = nil, after: Int64 = 0, limit: Int = 100) {
    self.ids = ids
    self.kinds = kinds
    self.states = states
    self.after = after
    self.limit = limit
  }
}

/// How many jobs of a kind are in each state.
public struct JobCount: Hashable, Sendable {
  /// The kind.
  public let kind: Kind
  /// Wait and are due; so do jobs whose lease ended.
  public var ready: Int
  /// Wait to be due.
  public var delayed: Int
  /// Are claimed.
  public var running: Int

  /// None in any state unless said.
  public init(_ kind: Kind, ready: Int = 0, delayed: Int = 0, running: Int = 0) {
    self.kind = kind
    self.ready = ready
    self.delayed = delayed
    self.running = running
  }
}
