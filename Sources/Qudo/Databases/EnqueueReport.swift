/// What an enqueue does when its outcome in a database is unknown, and no repetition within the time finds it out.
public enum UnknownOutcome: String, Sendable, CaseIterable {
  /// It throws ``QudoError/Code/outcomeUnknown``: the jobs are in that database, or nowhere. Nothing is doubled.
  case stop
  /// It goes on to the next database. The jobs are acknowledged, and may be in both databases, and then run in both.
  case elsewhere
}

/// What became of the jobs of one enqueue, and what is not known of it.
public struct EnqueueReport: Sendable {
  /// In the order of the jobs.
  public let results: [EnqueueResult]
  /// The names of other databases that may have the same jobs, under other ids: their answers were lost. Empty unless the enqueue
  /// went on under ``UnknownOutcome/elsewhere``.
  public let mayAlsoBeIn: [String]
}

extension Queue {
  /// Stores jobs, all in one transaction, and reports whether they may be in two databases.
  ///
  /// For example, to acknowledge a message as long as any database answers, and to know which jobs may run twice:
  ///
  ///     let report = try await queue.enqueue(jobs, onUnknown: .elsewhere)
  ///     if !report.mayAlsoBeIn.isEmpty { logger.warning("may run twice", metadata: ["jobs": "\(report.results.map(\.id))"]) }
  ///
  /// - Parameters:
  ///   - jobs: what to store.
  ///   - policy: what to do when an outcome is unknown, instead of ``DatabaseOptions/failsOverOnUnknownOutcome``. A queue of one driver, which
  ///     is not watched, stops in any case.
  /// - Throws: as ``Enqueuer/enqueue(_:)-([NewJob])``.
  @discardableResult
  public func enqueue(_ jobs: [NewJob], onUnknown policy: UnknownOutcome) async throws -> EnqueueReport {
    try await enqueue(jobs, onUnknown: policy, spareKeys: nil)
  }

  /// - Parameter spareKeys: what jobs without a key get where ``DatabaseOptions/repeatsUnknown`` gives them one; random ones if nil.
  package func enqueue(_ jobs: [NewJob], onUnknown policy: UnknownOutcome, spareKeys: [IdempotencyKey]?) async throws
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
