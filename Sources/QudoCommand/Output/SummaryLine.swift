internal import Qudo

extension WorkSummary {
  /// A worker's results in one line: always the completed, failed and retried jobs, and the others if there are any.
  var line: String {
    let always = [("completed", completed), ("failed", failed), ("retried", retried)]
    let others = [
      ("cancelled", cancelled), ("expired", expired), ("given up", givenUp), ("snoozed", snoozed),
      ("released", released),
      ("leases lost", leaseLost),
    ]
    return (always + others.filter { $0.1 > 0 }).map { "\($0.0) \($0.1)" }.joined(separator: ", ")
  }

  /// The number of jobs that will not run again although they never completed, without the cancelled ones.
  var failedForGood: Int { failed + givenUp }
}
