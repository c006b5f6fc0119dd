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
  /// - Committed, the run counts as completed, whatever it does then.
  /// - Rolled back, nothing has happened: the job is completed when it returns, tried again or failed when it throws.
  ///
  /// - Parameter connection: as for `Queue.enqueue(_:in:)`.
  /// - Throws: `QudoError`, and then nothing was written: `leaseLost` when somebody else has the job or it is completed
  ///   already, and then roll back what the run has written; else as `Queue.enqueue(_:in:)`. Or the error of
  ///   a hook that refused a replacement.
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
