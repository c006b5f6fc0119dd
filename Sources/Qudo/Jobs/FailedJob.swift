/// The job whose final failure enqueued another one: see ``JobPolicy/onFinalFailure``.
public struct FailedJob: Hashable, Sendable {
  /// The number that the job had in the same database.
  public var id: Int64
  /// The kind.
  public var kind: Kind
  /// The reason of the failure: ``FailureReason/failed``, ``FailureReason/aborted`` or ``FailureReason/lost``.
  public var reason: FailureReason
  /// The number of its last run, from 1.
  public var attempt: Int
  /// The failure log's message, at most 1 KiB of it.
  public var message: String

  /// Creates a description; for drivers and tests.
  public init(id: Int64, kind: Kind, reason: FailureReason, attempt: Int, message: String) {
    self.id = id
    self.kind = kind
    self.reason = reason
    self.attempt = attempt
    self.message = message
  }
}

extension JobMetadata {
  /// The job whose final failure enqueued the one with this metadata; nil for any other. It is stored in the entries
  /// `qudo-failed-job`, `-kind`, `-reason`, `-attempt` and `-message`.
  public package(set) var failedJob: FailedJob? {
    get {
      guard let id = self[Self.failed + "job"].flatMap({ Int64($0) }), let kind = self[Self.failed + "kind"],
        let reason = self[Self.failed + "reason"].flatMap({ FailureReason(rawValue: $0) }),
        let attempt = self[Self.failed + "attempt"].flatMap({ Int($0) })
      else { return nil }
      return FailedJob(
        id: id, kind: Kind(kind), reason: reason, attempt: attempt,
        message: self[Self.failed + "message"] ?? "")
    }
    set {
      self[Self.failed + "job"] = newValue.map { "\($0.id)" }
      self[Self.failed + "kind"] = newValue?.kind.name
      self[Self.failed + "reason"] = newValue?.reason.rawValue
      self[Self.failed + "attempt"] = newValue.map { "\($0.attempt)" }
      self[Self.failed + "message"] = newValue.map { failed in
        let bytes = failed.message.utf8
        return bytes.count > 1024
          ? String(decoding: bytes.prefix(1024), as: UTF8.self) + "…" : failed.message
      }
    }
  }

  private static let failed = "qudo-failed-"
}

extension JobContext {
  /// The job whose final failure enqueued this one; nil for any other job. See ``JobPolicy/onFinalFailure``.
  public var failedJob: FailedJob? { job.metadata.failedJob }
}

/// The kind of job that the final failures of a kind enqueue: see ``JobPolicy/onFinalFailure``.
public struct FailureRoute: Hashable, Sendable, Codable {
  /// The kind whose jobs fail.
  public var kind: Kind
  /// The kind of the job that each final failure enqueues; nil for none.
  public var target: Kind?

  /// Creates a route; with nil, one that ends the route of the kind.
  public init(_ kind: Kind, to target: Kind?) { (self.kind, self.target) = (kind, target) }
}

extension FailureRoute {
  /// - Throws: ``QudoError/Code/invalidArgument`` for a kind that would follow itself forever, or that cannot be stored.
  package func check() throws(QudoError) {
    try Limits.check("kind", kind.name, atMost: Limits.kindBytes)
    guard let target else { return }
    try Limits.check("kind", target.name, atMost: Limits.kindBytes)
    guard target != kind else {
      throw QudoError(
        .invalidArgument,
        "a final failure of \(kind) would enqueue another job of \(kind), without end: give another kind")
    }
  }

  /// Returns the job that a final failure enqueues.
  ///
  /// - Parameter job: The failed job as it is stored.
  package static func job(
    _ target: Kind, after failed: FailedJob, payload: Payload, priority: Int, metadata: JobMetadata
  ) -> NewJob {
    var metadata = metadata
    metadata.failedJob = failed
    return NewJob(target, payload: payload, priority: priority, metadata: metadata)
  }
}
