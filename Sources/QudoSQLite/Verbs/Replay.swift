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
    try useLimitInForce(&job)
    if !change.isEmpty || unique != nil { try limits.check(job) }
    switch try insert([job]).first {
    case .inserted(let job):
      try failureTable.setReplayed(id, as: job)
      return .replayed(job)
    case let other: return .conflict(other?.id ?? 0)
    }
  }

  /// Gives a job the limit that its concurrency key has now, if it is in use.
  private func useLimitInForce(_ job: inout NewJob) throws(QudoError) {
    guard let text = job.concurrencyKey?.key, let kind = try kindTable.id(of: job.kind) else { return }
    let key = NumberedKey(kind: kind, text: text)
    if try placeTable.count(key, atMost: 1) > 0 {
      job.concurrencyKey?.limit = try keyLimitTable.limit(of: key)
    }
  }

  /// Marks final failures as resolved.
  func resolve(_ failures: [Int64]) throws(QudoError) -> [ResolveResult] {
    var results: [ResolveResult] = []
    for id in failures {
      let result = try failureTable.resolution(of: id) ?? .notFound
      if result == .resolved {
        try failureTable.setReplayed(id, as: FailureRecord.resolved)
      } else {
        effects.tellsOfOthers = true
      }
      results.append(result)
    }
    return results
  }
}
