public import Qudo

extension JobContext {
  /// Completes the job as a part of the application's own transaction, on the application's own connection: what the run
  /// has written there and the completion are committed together, or rolled back together. So this part of a job's work
  /// is done once, although the job may be run more than once.
  ///
  ///     try transaction.begin()
  ///     …
  ///     try context.complete(in: connection)
  ///     try transaction.commit()
  ///
  /// The jobs that `replace(with:)` was given so far are enqueued, and the status is recorded if the kind's policy
  /// asks for it. Of the hooks, `willEnqueue`, `serialize` and `didEnqueueInTransaction` are called for the former. Call it once,
  /// as the last thing before the commit, and return from the job after it:
  ///
  /// - If the application commits, the run counts as completed, whatever it does afterwards.
  /// - If it rolls back, nothing has happened: the job completes if the run returns, and is retried or fails if the run throws.
  ///
  /// - Parameter connection: as for `Queue.enqueue(_:in:)`.
  /// - Throws: `QudoError`; nothing was written. If the code is `leaseLost`, another worker has the job or it is already completed:
  ///   roll back the run's own writes. Other codes are those of `Queue.enqueue(_:in:)`. If a hook refuses a job that is enqueued on
  ///   completion, its error.
  public func complete(in connection: OpaquePointer?) throws {
    guard let driver = driver as? SQLiteDriver else {
      throw QudoError(
        .invalidArgument, "the worker's driver is not a SQLiteDriver: only that can join a SQLite transaction"
      )
    }
    let replacements = try preparedReplacements()
    for job in replacements { try driver.limits.check(job) }
    let settlement = Settlement(
      lease, .completed(replacements: replacements), recording: recordsStatus ? duration : nil)
    let results = try driver.join(connection) { transaction throws(QudoError) in
      guard case .settled(let results) = try transaction.settle([settlement]).first else {
        throw QudoError(
          .leaseLost, "the lease of job \(id) is lost, or the job is completed already: roll back")
      }
      // Before a commit, so that nobody takes a lease that is gone for one that was lost.
      completedElsewhere()
      return results
    }
    replacementsJoined(replacements, results)
  }
}
