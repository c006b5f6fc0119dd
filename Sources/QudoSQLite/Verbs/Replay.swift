internal import Qudo

extension Transaction {
  func replay(_ failures: [Int64], _ change: JobChange, _ unique: UniqueKey?, _ limits: Limits)
    throws(QudoError) -> [ReplayResult]
  {
    var results: [ReplayResult] = []
    for id in failures { results.append(try replay(id, change, unique, limits)) }
    return results
  }

  private func replay(_ id: Int64, _ change: JobChange, _ unique: UniqueKey?, _ limits: Limits)
    throws(QudoError) -> ReplayResult
  {
    guard let row = try failureTable.replayable(id) else { return .notFound }
    if let job = row.replayedAs, job != FailureRecord.resolved {
      effects.tellsOfOthers = true
      return .alreadyReplayed(job)
    }
    guard row.isFinal, var job = row.job?.replayed(change, unique) else { return .notFinal }
    try useRuleInForce(&job)
    if !change.isEmpty || unique != nil { try limits.check(job) }
    let isStop = try stopTable.key(stoppedBy: id) != nil
    switch try insert(job, takesPlace: isStop) {
    case .inserted(let job):
      try failureTable.setReplayed(id, as: job)
      if isStop { try endStop(id) }
      return .replayed(job)
    case let other: return .conflict(other.id)
    }
  }

  /// Gives a job the rule that its concurrency key has now, if it is in use.
  private func useRuleInForce(_ job: inout NewJob) throws(QudoError) {
    guard let text = job.concurrencyKey?.key, let kind = try kindTable.id(of: job.kind) else { return }
    let key = NumberedKey(kind: kind, text: text)
    let use = try placeTable.use(of: key, upTo: 1)
    if use.places > 0 || use.isAnyHeld { job.concurrencyKey = use.rule.key(text) }
  }

  /// Marks final failures as resolved.
  func resolve(_ failures: [Int64]) throws(QudoError) -> [ResolveResult] {
    var results: [ResolveResult] = []
    for id in failures {
      let result = try failureTable.resolution(of: id) ?? .notFound
      if result == .resolved {
        try failureTable.setReplayed(id, as: FailureRecord.resolved)
        try endStop(id)
      } else {
        effects.tellsOfOthers = true
      }
      results.append(result)
    }
    return results
  }
}
