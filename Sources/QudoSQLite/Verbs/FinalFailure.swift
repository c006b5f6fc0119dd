internal import Qudo

extension Transaction {
  /// Ends a job that failed for good, and enqueues the job that its kind's route asks for.
  func fail(_ id: Int64, _ reason: FailureReason, _ message: String) throws(QudoError) {
    try failureTable.insertFinal(id...id, reason, message: message, at: now.wall)
    try stopKey(ofFailed: id, reason)
    let next = try jobAfterFailure(of: id, reason, message)
    try deleteJob(id)
    if let next { _ = try insert(next) }
  }

  private func jobAfterFailure(of id: Int64, _ reason: FailureReason, _ message: String) throws(QudoError)
    -> NewJob?
  {
    guard let kind = try jobTable.kind(of: id), let target = try kindTable.failureTarget(of: kind),
      let job = try jobTable.stored(id)
    else { return nil }
    let failed = FailedJob(id: id, kind: job.kind, reason: reason, attempt: job.attempt, message: message)
    return FailureRoute.job(
      target, after: failed, payload: job.payload, priority: job.priority, metadata: job.metadata)
  }

  /// Stores the routes that differ.
  func setFailureRoutes(_ routes: [FailureRoute]) throws(QudoError) {
    let known = Dictionary(
      try kindTable.failureRoutes().map { ($0.kind, $0.target) }, uniquingKeysWith: { first, _ in first })
    for route in routes where known[route.kind] ?? nil != route.target {
      var target: Int64?
      if let kind = route.target { target = try kindTable.id(creating: kind) }
      try kindTable.setFailureTarget(of: try kindTable.id(creating: route.kind), target)
    }
  }
}
