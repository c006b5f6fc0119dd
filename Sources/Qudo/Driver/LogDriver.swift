/// A driver with the two logs: what failed, and what became of finished runs.
///
/// Neither is ever shortened but by ``prune(_:)``.
public protocol LogDriver: Driver {
  /// The failure log.
  func failures(_ query: LogQuery) async throws(QudoError) -> [FailureRecord]

  /// The status log: the runs of kinds that ask for it.
  func statuses(_ query: LogQuery) async throws(QudoError) -> [StatusRecord]

  /// Enqueues failed jobs again, with their payload, priority and unique key, due now, as first attempts. Each can be
  /// replayed once. The results are in the order of the ids, all in one transaction.
  func replay(_ failures: [Int64]) async throws(QudoError) -> [ReplayResult]

  /// Deletes the oldest rows of both logs that fit, at most `limit` of each, so that it holds up others for a moment only.
  ///
  /// - Returns: how many rows were deleted; repeat until it is 0.
  func prune(_ prune: PruneOptions) async throws(QudoError) -> Int
}

/// Which rows of a log to list.
public struct LogQuery: Sendable {
  /// These kinds; any for nil.
  public var kinds: [Kind]?
  /// Newest first, or oldest first. Default: newest first.
  public var oldestFirst = false
  /// How many at most. Default 10.
  public var limit = 10
  /// How many to pass over. Default 0. Its cost grows with it, and rows that come meanwhile shift the pages: see ``after``.
  public var offset = 0
  /// These rows; any for nil.
  public var ids: [Int64]?
  /// Rows that come after this one in the order of the list: the ``FailureRecord/id`` or ``StatusRecord/id`` of the last row of the
  /// page before. Newest first these have lower ids, oldest first higher ones. The row itself need not be there any more. Default:
  /// nil, from the beginning.
  ///
  /// Prefer it to ``offset`` for paging: it costs the same for each page, and rows that are written or pruned between two pages
  /// neither repeat nor hide others.
  public var after: Int64?

  /// A query for the newest 10 rows of all kinds, unless told otherwise.
  public init(
    kinds: [Kind]? = nil, oldestFirst: Bool = false, limit: Int = 10, offset: Int = 0, ids: [Int64]? = nil, after: Int64? = nil
  ) {
    self.kinds = kinds
    self.oldestFirst = oldestFirst
    self.limit = limit
    self.offset = offset
    self.ids = ids
    self.after = after
  }
}

extension LogQuery {
  /// Whether a row with this id comes after the one that the query begins after.
  package func isAfter(_ id: Int64) -> Bool { after.map { oldestFirst ? id > $0 : id < $0 } ?? true }
}

/// Why a run is in the failure log.
public enum FailureReason: String, Sendable, CaseIterable {
  /// It threw.
  case failed
  /// It threw and asked not to be tried again.
  case aborted
  /// Its lease was lost too often: the worker died or hung each time.
  case lost
}

/// A failed run.
public struct FailureRecord: Hashable, Sendable {
  /// The number of the row, not that of the job.
  public var id: Int64
  /// The number of the job.
  public var job: Int64
  /// What sort of job it was.
  public var kind: Kind
  /// Why it is here.
  public var reason: FailureReason
  /// The error in its own words, 16 KiB of them at most.
  public var message: String
  /// Of a final failure only; the payload of an earlier one is still with the job.
  public var payload: Payload?
  /// Nil for a job without one.
  public var uniqueKey: String?
  /// As the job had it; a replay has it again.
  public var priority: Int
  /// The number of the run; starts at 1.
  public var attempt: Int
  /// When the run ended, by the database's clock.
  public var failedAt: Timestamp
  /// Whether the job was given up with it.
  public var isFinal: Bool
  /// The job that it was replayed as.
  public var replayedAs: Int64?

  /// For drivers.
  public init(
    id: Int64, job: Int64, kind: Kind, reason: FailureReason, message: String, payload: Payload?, uniqueKey: String?,
    priority: Int, attempt: Int, failedAt: Timestamp, isFinal: Bool, replayedAs: Int64?
  ) {
    self.id = id
    self.job = job
    self.kind = kind
    self.reason = reason
    self.message = message
    self.payload = payload
    self.uniqueKey = uniqueKey
    self.priority = priority
    self.attempt = attempt
    self.failedAt = failedAt
    self.isFinal = isFinal
    self.replayedAs = replayedAs
  }
}

/// What became of one run, in the status log.
public enum RunStatus: String, Sendable, CaseIterable {
  /// It returned.
  case completed
  /// It returned, and other jobs took the job's place.
  case replaced
  /// It threw.
  case failed
  /// It threw and asked not to be tried again.
  case aborted
}

/// One run in the status log.
public struct StatusRecord: Hashable, Sendable {
  /// The number of the row, not that of the job.
  public var id: Int64
  /// The number of the job.
  public var job: Int64
  /// What sort of job it was.
  public var kind: Kind
  /// What became of the run.
  public var status: RunStatus
  /// As stored.
  public var payload: Payload
  /// Nil for a job without one.
  public var uniqueKey: String?
  /// When the run began: ``ended`` less what it took.
  public var startedAt: Timestamp
  /// When its outcome was written, by the database's clock.
  public var endedAt: Timestamp

  /// For drivers.
  public init(
    id: Int64, job: Int64, kind: Kind, status: RunStatus, payload: Payload, uniqueKey: String?, startedAt: Timestamp,
    endedAt: Timestamp
  ) {
    self.id = id
    self.job = job
    self.kind = kind
    self.status = status
    self.payload = payload
    self.uniqueKey = uniqueKey
    self.startedAt = startedAt
    self.endedAt = endedAt
  }
}

/// What became of one failure that was to be replayed.
public enum ReplayResult: Hashable, Sendable {
  /// It waits again as the job with this id.
  case replayed(Int64)
  /// Another live job has its unique key; it can be replayed later.
  case conflict(Int64)
  /// It was replayed before, as the job with this id.
  case alreadyReplayed(Int64)
  /// The job was retried and is not given up, or not with this failure.
  case notFinal
  /// No row of the failure log has this id.
  case notFound
}

/// Which rows of the logs are old enough to go.
public struct PruneOptions: Sendable {
  /// Rows that ended before this moment; any for nil.
  public var before: Timestamp?
  /// The newest rows of each log to keep. Default 0.
  public var keep: Int
  /// How many rows at most. Default 1,000.
  public var limit: Int

  /// Each with its default.
  public init(before: Timestamp? = nil, keep: Int = 0, limit: Int = 1000) {
    self.before = before
    self.keep = keep
    self.limit = limit
  }
}
