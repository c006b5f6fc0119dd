/// A driver whose jobs can be controlled: cancelled, paused and resumed, by any process that has the database open.
public protocol ControlDriver: LogDriver {
  /// Cancels jobs, in one transaction.
  ///
  /// A waiting job leaves at once: a row of the failure log with the reason ``FailureReason/cancelled`` keeps its
  /// payload, and can be replayed. A running job is marked. Its worker learns of it, in whatever process, from the
  /// next claim or renewal, and cancels the run. If the run completes all the same, the job completed; any other
  /// outcome, and a lease that expires, moves the job to the failure log.
  ///
  /// - Parameters:
  ///   - jobs: The numbers of the jobs.
  ///   - reason: The message for the failure log; nil for "cancelled".
  /// - Returns: The results, in the order of the jobs.
  func cancel(_ jobs: [Int64], reason: String?) async throws(QudoError) -> [CancelResult]

  /// Cancels the jobs that a query selects, in one transaction.
  ///
  /// - Parameters:
  ///   - query: Which jobs, and how many at most. Go on with ``JobQuery/after`` set to the last job of the answer.
  ///   - reason: The message for the failure log; nil for "cancelled".
  /// - Returns: The jobs, in the order of their ids. Fewer than the query's limit means that there are no more.
  func cancel(matching query: JobQuery, reason: String?) async throws(QudoError) -> [CancelledJob]

  /// Pauses kinds: their jobs are not claimed until the pause ends. Running jobs go on; jobs can be enqueued. A kind
  /// that is paused already gets the new end and reason.
  ///
  /// - Parameters:
  ///   - kinds: The kinds; nil for everything, including kinds that do not exist yet.
  ///   - end: When the pause ends by itself; nil for never.
  ///   - reason: A note for those who look at it.
  /// - Throws: ``QudoError``; ``QudoError/Code/invalidArgument`` if the end is not in the future.
  func pause(_ kinds: [Kind]?, until end: Due?, reason: String?) async throws(QudoError)

  /// Ends pauses.
  ///
  /// - Parameter kinds: The kinds; nil for all pauses, that of everything included. A kind stays paused while
  ///   everything is.
  /// - Returns: The pauses that were ended.
  func resume(_ kinds: [Kind]?) async throws(QudoError) -> [Pause]

  /// Returns the pauses that have not ended: that of everything first, then by kind.
  func pauses() async throws(QudoError) -> [Pause]
}

/// The result of cancelling one job.
public enum CancelResult: String, Hashable, Sendable, Codable {
  /// The job waited. It is in the failure log now.
  case cancelled
  /// The job runs. Its worker is told, and its outcome shows whether it still completed.
  case cancelling
  /// There is no such job: it has completed or failed, or never existed.
  case notFound
}

/// A job that a bulk verb cancelled.
public struct CancelledJob: Hashable, Sendable, Codable {
  /// The job's number in its database.
  public var id: Int64
  /// What happened: ``CancelResult/cancelled`` or ``CancelResult/cancelling``.
  public var result: CancelResult

  /// Creates the answer for one job; for drivers.
  public init(id: Int64, result: CancelResult) { (self.id, self.result) = (id, result) }
}

/// A pause of a kind, or of everything.
public struct Pause: Hashable, Sendable, Codable {
  /// The paused kind; nil for everything.
  public var kind: Kind?
  /// When it was paused, by the database's clock.
  public var pausedAt: Timestamp
  /// When the pause ends by itself; nil for never.
  public var endsAt: Timestamp?
  /// The note of who paused it.
  public var reason: String?

  /// Creates a pause; for drivers.
  public init(_ kind: Kind?, pausedAt: Timestamp, endsAt: Timestamp? = nil, reason: String? = nil) {
    self.kind = kind
    self.pausedAt = pausedAt
    self.endsAt = endsAt
    self.reason = reason
  }
}

extension Driver {
  /// - Throws: ``QudoError/Code/invalidArgument`` if the driver has no control verbs.
  package func control() throws(QudoError) -> any ControlDriver {
    guard let control = self as? any ControlDriver else {
      throw QudoError(.invalidArgument, "the driver of \(name) cannot cancel or pause jobs: use one that can")
    }
    return control
  }
}

extension ControlDriver {
  /// Checks the arguments of a pause.
  package func checkPause(_ kinds: [Kind]?, until end: Due?, reason: String?, now: Timestamp) throws(QudoError) {
    for kind in kinds ?? [] { try Limits.check("kind", kind.name, atMost: Limits.kindBytes) }
    try check(reason: reason)
    switch end {
    case nil: return
    case .after(let duration) where duration > .zero: return
    case .at(let time) where time > now:
      guard time <= .latest else {
        throw QudoError(.invalidArgument, "the end of the pause is after the year 9999: give none, or an earlier one")
      }
    default:
      throw QudoError(.invalidArgument, "the end of the pause is not in the future: give a later one, or none")
    }
  }

  /// Checks the reason of a verb.
  package func check(reason: String?) throws(QudoError) {
    if let reason { try Limits.check("reason", reason, atMost: 1024) }
  }
}

extension Settlement.Outcome {
  /// Whether the job completed. Any other outcome of a cancelled job moves it to the failure log.
  package var completes: Bool { if case .completed = self { true } else { false } }
}
