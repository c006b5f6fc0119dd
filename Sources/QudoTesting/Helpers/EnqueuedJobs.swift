public import Qudo

/// A live job of a type, decoded, for tests to look at.
public struct EnqueuedJob<J: Job>: Sendable {
  public let job: J
  public let id: Int64
  public let state: JobState
  public let uniqueKey: String?
  public let priority: Int
  public let due: Timestamp
  /// The number of its next or present run; starts at 1.
  public let attempt: Int

  init(_ job: J, _ stored: StoredJob) {
    self.job = job
    id = stored.id
    state = stored.state
    uniqueKey = stored.uniqueKey
    priority = stored.priority
    due = stored.due
    attempt = stored.attempt
  }
}

extension Driver {
  /// The live jobs of a type in the order in which they were enqueued, whatever their state.
  ///
  ///     #expect(try await driver.enqueued(SendMail.self).map(\.job.to) == ["ada@example.org"])
  ///
  /// - Throws: ``Qudo/UndecodablePayload`` for a payload that is not of the type; ``Qudo/QudoError``.
  public func enqueued<J: Job>(_ type: J.Type, codecs: Codecs = Codecs()) async throws -> [EnqueuedJob<J>] {
    try await stored(J.kind).map { EnqueuedJob(try codecs.decode(J.self, from: $0.payload, of: J.kind), $0) }
  }

  fileprivate func stored(_ kind: Kind) async throws(QudoError) -> [StoredJob] {
    var jobs: [StoredJob] = []
    while true {
      let page = try await find(JobQuery(kinds: [kind], after: jobs.last?.id ?? 0, limit: 1000))
      jobs += page
      if page.count < 1000 { return jobs }
    }
  }
}

extension Queue {
  /// The live jobs of a type as its jobs would get them: through the queue's codecs and its hooks' `deserialize`.
  ///
  /// - Throws: as ``Qudo/Driver/enqueued(_:codecs:)``, and what a hook throws.
  public func enqueued<J: Job>(_ type: J.Type) async throws -> [EnqueuedJob<J>] {
    try await driver.stored(J.kind).map { stored in
      var claimed = ClaimedJob(
        lease: Lease(job: stored.id, token: 0, boot: 0, ends: 0), kind: stored.kind, payload: stored.payload,
        priority: stored.priority, uniqueKey: stored.uniqueKey, attempt: stored.attempt, enqueued: stored.enqueued,
        due: stored.due, meta: stored.meta)
      if Hooks.points.contains(.deserialize) { try hooks.deserialize(&claimed) }
      return EnqueuedJob(try codecs.decode(J.self, from: claimed.payload, of: J.kind), stored)
    }
  }
}
