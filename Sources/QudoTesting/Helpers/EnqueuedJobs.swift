public import Qudo

/// A live job of one type, decoded, for tests to examine.
public struct EnqueuedJob<J: Job>: Sendable {
  /// The job as its run would receive it.
  public let job: J
  /// The job's number in its database.
  public let id: Int64
  /// The job's state.
  public let state: JobState
  /// The job's unique key, or nil if it has none.
  public let uniqueKey: String?
  /// The job's priority. Higher priorities run first.
  public let priority: Int
  /// The time of the enqueue, by the database's clock.
  public let enqueued: Timestamp
  /// The time from which the job may run.
  public let due: Timestamp
  /// The number of its next or current run; starts at 1.
  public let attempt: Int
  /// The metadata that travels with the payload.
  public let meta: JobMetadata

  init(_ job: J, _ stored: StoredJob) {
    self.job = job
    id = stored.id
    state = stored.state
    uniqueKey = stored.uniqueKey
    priority = stored.priority
    enqueued = stored.enqueuedAt
    due = stored.dueAt
    attempt = stored.attempt
    meta = stored.metadata
  }
}

extension Driver {
  /// Returns the live jobs of a type in the order of their enqueues, in all states.
  ///
  ///     #expect(try await driver.enqueued(SendMail.self).map(\.job.to) == ["ada@example.org"])
  ///
  /// - Throws: ``/Qudo/PayloadDecodingError`` for a payload of another type; ``/Qudo/QudoError``.
  public func enqueued<J: Job>(_ type: J.Type, codecs: Codecs = Codecs()) async throws -> [EnqueuedJob<J>] {
    try await live([J.kind]).map { EnqueuedJob(try codecs.decode(J.self, from: $0.payload, of: J.kind), $0) }
  }

  /// Returns the live jobs of these kinds, or of all kinds for nil, in the order of their ids.
  func live(_ kinds: [Kind]?) async throws(QudoError) -> [StoredJob] {
    var found: [StoredJob] = []
    while true {
      let page = try await jobs(matching: JobQuery(kinds: kinds, after: found.last?.id ?? 0, limit: 1000))
      found += page
      if page.count < 1000 { return found }
    }
  }
}

extension Queue {
  /// Returns the live jobs of a type as their runs would receive them: decoded by the queue's codecs and its
  /// hooks' `deserialize`.
  ///
  /// - Throws: the errors of `Driver.enqueued(_:codecs:)` and of the hooks.
  public func enqueued<J: Job>(_ type: J.Type) async throws -> [EnqueuedJob<J>] {
    try await live([J.kind]).map { EnqueuedJob(try decode(J.self, $0), $0) }
  }

  /// Returns the live jobs of all the queue's databases.
  func live(_ kinds: [Kind]?) async throws -> [StoredJob] {
    var jobs: [StoredJob] = []
    for driver in try await databases.drivers() { jobs += try await driver.live(kinds) }
    return jobs
  }

  /// - Throws: ``/Qudo/PayloadDecodingError``, and the errors of the hooks.
  func decode<J: Job>(_ type: J.Type, _ stored: StoredJob) throws -> J {
    try codecs.decode(J.self, from: try opened(stored).payload, of: J.kind)
  }

  /// Returns the job as its run would receive it.
  func opened(_ stored: StoredJob) throws -> StoredJob {
    guard Hooks.points.contains(.deserialize) else { return stored }
    var claimed = ClaimedJob(
      lease: Lease(job: stored.id, token: 0, holder: 0, expiresAt: 0), kind: stored.kind,
      payload: stored.payload,
      priority: stored.priority, uniqueKey: stored.uniqueKey, attempt: stored.attempt,
      enqueuedAt: stored.enqueuedAt,
      dueAt: stored.dueAt, metadata: stored.metadata)
    try hooks.deserialize(&claimed)
    var opened = stored
    opened.payload = claimed.payload
    opened.metadata = claimed.metadata
    return opened
  }
}
