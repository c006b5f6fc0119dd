/// A driver that keeps two logs: the failure log with the failed runs, and the status log with the finished runs of kinds that ask for
/// it.
///
/// Only ``prune(_:)`` deletes rows of the logs.
public protocol LogDriver: Driver {
  /// Returns rows of the failure log.
  func failures(_ query: LogQuery) async throws(QudoError) -> [FailureRecord]

  /// Returns rows of the status log.
  func statuses(_ query: LogQuery) async throws(QudoError) -> [StatusRecord]

  /// Returns what became of jobs, all at one point in time.
  ///
  /// - Parameter jobs: The numbers of the jobs.
  /// - Returns: The outcomes, in the order of the jobs.
  func outcomes(of jobs: [Int64]) async throws(QudoError) -> [JobOutcome]

  /// Returns the number of the job with a unique key: the live job that holds it, else the newest one in the logs.
  ///
  /// - Returns: Nil if no live job holds the key and no row of the logs has it.
  func job(withUniqueKey key: String, kind: Kind) async throws(QudoError) -> Int64?

  /// Enqueues failed jobs again in one transaction, with their payload, metadata, priority and unique key, due now, as first
  /// attempts that never expire. Each failure can be replayed once.
  ///
  /// A failure that stops its concurrency key (``ConcurrencyKey/AfterFailure/stop``) gives the new job the place of the failed one: it is
  /// admitted before all held jobs of the key, and the stop ends.
  ///
  /// - Parameters:
  ///   - failures: the ids of rows of the failure log.
  ///   - change: what to change in the new jobs, for example a corrected payload.
  ///   - unique: the unique key of the new jobs, or nil for their old one. If another live job holds it, the failure is not
  ///     replayed, whatever the key's ``UniqueKey/onConflict`` says.
  /// - Returns: the results, in the order of the ids.
  /// - Throws: ``QudoError``; ``QudoError/Code/invalidArgument`` if a new job would be beyond the limits. Then nothing was written.
  func replay(_ failures: [Int64], changing change: JobChange, unique: UniqueKey?) async throws(QudoError)
    -> [ReplayResult]

  /// Marks final failures as resolved in one transaction: dealt with by hand, without a replay. A resolved failure can still be
  /// replayed by its id, which ends the mark. If the failure stops its concurrency key, that stop ends.
  ///
  /// - Parameter failures: the ids of rows of the failure log.
  /// - Returns: the results, in the order of the ids.
  func resolve(_ failures: [Int64]) async throws(QudoError) -> [ResolveResult]

  /// Deletes the oldest rows of both logs, in the order of their ids up to the first one that the options keep, at most
  /// ``PruneOptions/limit`` of each: a short call that delays other callers little. If there is nothing to delete, it only reads.
  ///
  /// The call reads little more than what it deletes. If the clock was set back, an older row may therefore be behind a row
  /// with a later time: it stays as long as that one. No row is deleted early. A key that a deleted failure stopped stays stopped: see
  /// ``ControlDriver/keyStops(_:after:limit:)``.
  ///
  /// - Returns: how many rows were deleted. Repeat the call until it returns 0. A call that finds no row deletes expired idempotency
  ///   keys, at most 10,000, and does not count them.
  func prune(_ options: PruneOptions) async throws(QudoError) -> Int
}

extension LogDriver {
  /// Enqueues failed jobs again, with their unique keys: see ``replay(_:changing:unique:)``.
  public func replay(_ failures: [Int64], changing change: JobChange = JobChange()) async throws(QudoError)
    -> [ReplayResult]
  {
    try await replay(failures, changing: change, unique: nil)
  }
}

/// A query for rows of a log. It lists the rows that meet all of its conditions.
public struct LogQuery: Sendable {
  /// The kinds to list, or nil for all.
  public var kinds: [Kind]?
  /// Whether the oldest rows come first. Default: the newest do.
  public var oldestFirst = false
  /// The maximum number of rows. Default: 10.
  public var limit = 10
  /// The number of rows to skip. Default: 0. The cost grows with it, and rows that are written meanwhile shift the pages: prefer ``after``.
  public var offset = 0
  /// The ids of the rows to list, or nil for all.
  public var ids: [Int64]?
  /// The number of the job whose rows to list, or nil for all.
  public var job: Int64?
  /// The failures to list; nil for all. The status log ignores it.
  public var failures: FailureFilter?
  /// Lists the rows after this one, in the order of the list. For the next page, give the ``FailureRecord/id`` or ``StatusRecord/id`` of
  /// the last row of this one; that row may be pruned meanwhile. Default: nil, from the beginning.
  ///
  /// For paging, prefer it to ``offset``: each page costs the same, and rows that are written or pruned between two pages neither repeat
  /// nor hide others.
  public var after: Int64?
  /// Whether failures come without their payloads, which are then not read; for lists that show none. Default: no. The status log
  /// ignores it.
  package var omitsPayloads = false

  /// Creates a query for the newest 10 rows of all kinds, unless given otherwise.
  public init(
    kinds: [Kind]? = nil, oldestFirst: Bool = false, limit: Int = 10, offset: Int = 0, ids: [Int64]? = nil,
    job: Int64? = nil, failures: FailureFilter? = nil, after: Int64? = nil
  ) {
    self.kinds = kinds
    self.oldestFirst = oldestFirst
    self.limit = limit
    self.offset = offset
    self.ids = ids
    self.job = job
    self.failures = failures
    self.after = after
  }
}

extension LogQuery {
  /// Returns the query for failures without their payloads: see ``omitsPayloads``.
  package var withoutPayloads: LogQuery {
    var query = self
    query.omitsPayloads = true
    return query
  }

  /// Whether a row with this id comes after the one that the query begins after.
  package func isAfter(_ id: Int64) -> Bool { after.map { oldestFirst ? id > $0 : id < $0 } ?? true }
}

/// A selection of failures: those that meet all of its conditions. A condition that is nil holds for all failures.
public struct FailureFilter: Hashable, Sendable, Codable {
  /// The reasons.
  public var reasons: Set<FailureReason>?
  /// Whether the job failed for good with the run.
  public var isFinal: Bool?
  /// Whether the failure was replayed. A resolved failure counts as neither replayed nor not replayed.
  public var isReplayed: Bool?
  /// Whether the failure is resolved: see ``LogDriver/resolve(_:)``.
  public var isResolved: Bool?
  /// The time range in which the failure was written.
  public var failedAt: Range<Timestamp>?
  /// A text that the message contains, compared as bytes, at most 1,024 of them.
  public var messageContains: String?

  /// Creates a filter that all failures fit, unless given otherwise.
  public init(
    reasons: Set<FailureReason>? = nil, isFinal: Bool? = nil, isReplayed: Bool? = nil,
    isResolved: Bool? = nil, failedAt: Range<Timestamp>? = nil, messageContains: String? = nil
  ) {
    self.reasons = reasons
    self.isFinal = isFinal
    self.isReplayed = isReplayed
    self.isResolved = isResolved
    self.failedAt = failedAt
    self.messageContains = messageContains
  }
}

extension FailureFilter {
  /// - Throws: ``QudoError/Code/invalidArgument`` for a text beyond its limit.
  package func check() throws(QudoError) {
    if let messageContains, !messageContains.isEmpty {
      try Limits.check("text to be found in messages", messageContains, atMost: 1024)
    }
  }

  /// Whether a failure meets the conditions.
  package func fits(_ failure: FailureRecord) -> Bool {
    if let reasons, !reasons.contains(failure.reason) { return false }
    if let isFinal, failure.isFinal != isFinal { return false }
    if let isReplayed, failure.isResolved || (failure.replayedAs != nil) != isReplayed { return false }
    if let isResolved, failure.isResolved != isResolved { return false }
    if let failedAt, !failedAt.contains(failure.failedAt) { return false }
    guard let part = messageContains.map({ Array($0.utf8) }), !part.isEmpty else { return true }
    let message = Array(failure.message.utf8)
    return message.indices.contains { message[$0...].starts(with: part) }
  }
}

/// The reason why a run is in the failure log.
public enum FailureReason: String, Sendable, CaseIterable, Codable {
  /// The run threw an error.
  case failed
  /// The run aborted the job.
  case aborted
  /// The job's lease expired too often: each time the worker died or hung.
  case lost
  /// The job was cancelled, before its run or during it.
  case cancelled
  /// The job still waited at its expiry: see ``Expiry``.
  case expired
  /// The job waited longest when an enqueue exceeded the maximum number of waiting jobs: see ``MaxWaiting/dropOldest(_:)``.
  case dropped

  /// Whether a final failure with this reason stops a concurrency key with ``ConcurrencyKey/AfterFailure/stop``. Someone decided before
  /// that the jobs of the others need not run.
  package var stopsKeys: Bool {
    switch self {
    case .failed, .aborted, .lost: true
    case .cancelled, .expired, .dropped: false
    }
  }
}

/// A row of the failure log: a failed run.
public struct FailureRecord: Hashable, Sendable, Codable {
  /// The number of the row, which is not that of the job.
  public var id: Int64
  /// The job's number in its database: ``JobID/number``.
  public var job: Int64
  /// The job's kind.
  public var kind: Kind
  /// The reason why the run is in the log.
  public var reason: FailureReason
  /// The description of the error, at most 16 KiB of it.
  public var message: String
  /// The payload of the run; nil if it is not known. The log stores the payload of a job's retried runs once, with the first
  /// of them, so it is nil if that row was pruned. A retried run that an import or an older version wrote has none.
  public var payload: Payload?
  /// The job's unique key, if it had one.
  public var uniqueKey: String?
  /// The job's priority. A replay gives it to the new job.
  public var priority: Int
  /// The number of the run, from 1.
  public var attempt: Int
  /// The time at which the failure was written, by the database's clock.
  public var failedAt: Timestamp
  /// Whether the job failed for good with this run.
  public var isFinal: Bool
  /// The number of the job that a replay enqueued for it, if there was one.
  public var replayedAs: Int64?
  /// Whether the failure was dealt with by hand: see ``LogDriver/resolve(_:)``.
  public var isResolved: Bool

  /// Creates a record, in a driver.
  public init(
    id: Int64, job: Int64, kind: Kind, reason: FailureReason, message: String, payload: Payload?,
    uniqueKey: String?,
    priority: Int, attempt: Int, failedAt: Timestamp, isFinal: Bool, replayedAs: Int64?,
    isResolved: Bool = false
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
    self.isResolved = isResolved
  }
}

extension FailureRecord {
  /// The number that databases store for a resolved failure instead of ``replayedAs``. 0 is a replay whose job is unknown.
  package static let resolved: Int64 = -1
}

/// The outcome of a run, in the status log.
public enum RunStatus: String, Sendable, CaseIterable, Codable {
  /// The run returned.
  case completed
  /// The run returned and enqueued other jobs on completion.
  case replaced
  /// The run threw an error.
  case failed
  /// The run aborted the job.
  case aborted
}

/// A row of the status log: a finished run.
public struct StatusRecord: Hashable, Sendable, Codable {
  /// The number of the row, which is not that of the job.
  public var id: Int64
  /// The job's number in its database: ``JobID/number``.
  public var job: Int64
  /// The job's kind.
  public var kind: Kind
  /// The outcome of the run.
  public var status: RunStatus
  /// The job's payload, as stored.
  public var payload: Payload
  /// The job's unique key, if it had one.
  public var uniqueKey: String?
  /// The time at which the run began: ``endedAt`` minus its duration.
  public var startedAt: Timestamp
  /// The time at which the outcome was written, by the database's clock.
  public var endedAt: Timestamp

  /// Creates a record, in a driver.
  public init(
    id: Int64, job: Int64, kind: Kind, status: RunStatus, payload: Payload, uniqueKey: String?,
    startedAt: Timestamp,
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

/// The result of replaying one failure.
public enum ReplayResult: Hashable, Sendable {
  /// The failed job was enqueued again as the job with this number.
  case replayed(Int64)
  /// The live job with this number holds the unique key, or the key has rested since that job completed. The failure can be replayed
  /// later.
  case conflict(Int64)
  /// The failure was replayed before, as the job with this number.
  case alreadyReplayed(Int64)
  /// The failure is not final: the job was retried after it.
  case notFinal
  /// The failure log has no row with this id.
  case notFound
}

/// The result of resolving one failure.
public enum ResolveResult: Hashable, Sendable {
  /// The failure is resolved.
  case resolved
  /// The failure was resolved before.
  case alreadyResolved
  /// The failure was replayed, as the job with this number.
  case alreadyReplayed(Int64)
  /// The failure is not final: the job was retried after it.
  case notFinal
  /// The failure log has no row with this id.
  case notFound

  /// - Parameter replayedAs: what the database stores: see ``FailureRecord/resolved``.
  package init(isFinal: Bool, replayedAs: Int64?) {
    self =
      switch replayedAs {
      case FailureRecord.resolved?: .alreadyResolved
      case let job?: .alreadyReplayed(job)
      case nil: isFinal ? .resolved : .notFinal
      }
  }
}

/// The log rows to delete: those that meet all of its conditions.
public struct PruneOptions: Sendable {
  /// Deletes rows of runs that ended before this time, or of any time for nil. Default: nil.
  public var before: Timestamp?
  /// Deletes rows of runs that ended longer ago than this, by the database's clock, or of any age for nil. Default: nil.
  public var olderThan: Duration?
  /// The number of newest rows to keep in each log. Default: 0.
  public var keep: Int
  /// The maximum number of rows to delete from each log. Default: 1,000.
  public var limit: Int

  /// Creates options that delete up to 1,000 rows of any age, unless given otherwise.
  public init(before: Timestamp? = nil, olderThan: Duration? = nil, keep: Int = 0, limit: Int = 1000) {
    self.before = before
    self.olderThan = olderThan
    self.keep = keep
    self.limit = limit
  }
}

extension PruneOptions {
  /// Returns the time before which a run must have ended; nil for any.
  ///
  /// - Parameter now: The time of the database.
  package func end(at now: Timestamp) -> Timestamp? {
    let byAge = olderThan.map { now.advanced(by: .zero - $0) }
    guard let before, let byAge else { return before ?? byAge }
    return min(before, byAge)
  }
}
