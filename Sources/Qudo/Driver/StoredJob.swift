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
  public var id: Int64
  public var kind: Kind
  public var state: JobState
  public var payload: Payload
  public var uniqueKey: String?
  public var priority: Int
  /// The number of its next or present run; starts at 1.
  public var attempt: Int
  public var enqueued: Timestamp
  public var due: Timestamp
  /// By wall time, as far as that can be told; only while it runs.
  public var leaseEnds: Timestamp?
  public var meta: Meta

  public init(
    id: Int64, kind: Kind, state: JobState, payload: Payload, uniqueKey: String?, priority: Int, attempt: Int,
    enqueued: Timestamp, due: Timestamp, leaseEnds: Timestamp?, meta: Meta = Meta()
  ) {
    self.id = id
    self.kind = kind
    self.state = state
    self.payload = payload
    self.uniqueKey = uniqueKey
    self.priority = priority
    self.attempt = attempt
    self.enqueued = enqueued
    self.due = due
    self.leaseEnds = leaseEnds
    self.meta = meta
  }
}

/// Which live jobs to list: those that fit all that is given.
public struct JobQuery: Sendable {
  /// These ids; any for nil.
  public var ids: [Int64]?
  /// These kinds; any for nil.
  public var kinds: [Kind]?
  /// These states; any for nil.
  public var states: Set<JobState>?
  /// Ids above this one: the last of the page before.
  public var after: Int64 = 0
  /// How many at most. Default 100.
  public var limit = 100

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
  public let kind: Kind
  public var ready: Int
  public var delayed: Int
  public var running: Int

  public init(_ kind: Kind, ready: Int = 0, delayed: Int = 0, running: Int = 0) {
    self.kind = kind
    self.ready = ready
    self.delayed = delayed
    self.running = running
  }
}
