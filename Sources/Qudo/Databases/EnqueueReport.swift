/// The behavior of an enqueue whose outcome stays unknown, even after repetitions, until the timeout.
public enum UnknownOutcome: String, Sendable, CaseIterable {
  /// It throws ``QudoError/Code/outcomeUnknown``: the jobs are in that database or nowhere, never twice.
  case stop
  /// It fails over to the next database. The jobs can then be in both databases, and run in both.
  case elsewhere
}

/// The results of one enqueue, and the databases that may have the same jobs.
public struct EnqueueReport: Sendable {
  /// The results in the order of the jobs.
  public let results: [EnqueueResult]
  /// The names of other databases that may have the same jobs, with other ids, because their answers were
  /// lost. Empty unless the enqueue failed over with ``UnknownOutcome/elsewhere``.
  public let mayAlsoBeIn: [String]
}

extension Queue {
  /// Stores jobs in one transaction, and reports whether they may be in two databases.
  ///
  /// For example, to accept a message as long as any database answers, and to learn which jobs may run twice:
  ///
  ///     let report = try await queue.enqueue(jobs, onUnknown: .elsewhere)
  ///     if !report.mayAlsoBeIn.isEmpty { logger.warning("may run twice", metadata: ["jobs": "\(report.results.map(\.id))"]) }
  ///
  /// - Parameters:
  ///   - jobs: The jobs to store.
  ///   - policy: What to do if an outcome is unknown, instead of
  ///     ``DatabaseOptions/failsOverOnUnknownOutcome``. A queue with a single driver, which is not monitored,
  ///     always stops.
  /// - Throws: The same errors as ``Enqueuer/enqueue(_:)-([NewJob])``.
  @discardableResult
  public func enqueue(_ jobs: [NewJob], onUnknown policy: UnknownOutcome) async throws -> EnqueueReport {
    try await enqueue(jobs, onUnknown: policy, spareKeys: nil)
  }

  /// - Parameter spareKeys: Keys for the jobs without one if ``DatabaseOptions/repeatsUnknown`` is set; nil
  ///   for random ones.
  package func enqueue(_ jobs: [NewJob], onUnknown policy: UnknownOutcome, spareKeys: [IdempotencyKey]?)
    async throws
    -> EnqueueReport
  {
    let jobs = Hooks.points.isDisjoint(with: [.willEnqueue, .serialize]) ? jobs : try hooks.prepare(jobs)
    let report: EnqueueReport
    if let deadline {
      report = try await databases.insert(jobs, within: deadline, onUnknown: policy, spareKeys: spareKeys)
    } else {
      report = EnqueueReport(results: try await insert(jobs), mayAlsoBeIn: [])
    }
    if Hooks.points.contains(.didEnqueue) {
      for (job, result) in zip(jobs, report.results) { await hooks.didEnqueue(job, result: result) }
    }
    return report
  }
}
