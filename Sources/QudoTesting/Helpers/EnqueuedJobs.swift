public import Qudo

/// A live job of a type, decoded, for tests to look at.
public struct EnqueuedJob<J: Job>: Sendable {
  /// As its run would get it.
  public let job: J
  /// Its number in its database.
  public let id: Int64
  /// Where it is on its way.
  public let state: JobState
  /// Nil for a job without one.
  public let uniqueKey: String?
  /// Higher runs first.
  public let priority: Int
  /// When it was enqueued, by the database's clock.
  public let enqueued: Timestamp
  /// When its next attempt may begin, or since when it might.
  public let due: Timestamp
  /// The number of its next or present run; starts at 1.
  public let attempt: Int
  /// What travels beside the payload.
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
  /// The live jobs of a type in the order in which they were enqueued, whatever their state.
  ///
  ///     #expect(try await driver.enqueued(SendMail.self).map(\.job.to) == ["ada@example.org"])
  ///
  /// - Throws: ``/Qudo/PayloadDecodingError`` for a payload that is not of the type; ``/Qudo/QudoError``.
  public func enqueued<J: Job>(_ type: J.Type, codecs: Codecs = Codecs()) async throws -> [EnqueuedJob<J>] {
    try await live([J.kind]).map { EnqueuedJob(try codecs.decode(J.self, from: $0.payload, of: J.kind), $0) }
  }

  /// The live jobs of these kinds, of all for nil, in the order of their ids.
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
  /// The live jobs of a type as its jobs would get them: through the queue's codecs and its hooks' `deserialize`.
  ///
  /// - Throws: as `Driver.enqueued(_:codecs:)`, and what a hook throws.
  public func enqueued<J: Job>(_ type: J.Type) async throws -> [EnqueuedJob<J>] {
    try await live([J.kind]).map { EnqueuedJob(try decode(J.self, $0), $0) }
  }

  /// Of all its databases.
  func live(_ kinds: [Kind]?) async throws -> [StoredJob] {
    var jobs: [StoredJob] = []
    for driver in try await databases.drivers() { jobs += try await driver.live(kinds) }
    return jobs
  }

  /// - Throws: ``/Qudo/PayloadDecodingError``, and what a hook throws.
  func decode<J: Job>(_ type: J.Type, _ stored: StoredJob) throws -> J {
    try codecs.decode(J.self, from: try opened(stored).payload, of: J.kind)
  }

  /// The job as its run would get it.
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
