internal import Qudo

extension Transaction {
  func replay(_ failures: [Int64], _ change: JobChange, _ limits: Limits) throws(QudoError) -> [ReplayResult]
  {
    var results: [ReplayResult] = []
    for id in failures { results.append(try replay(id, change, limits)) }
    return results
  }

  private func replay(_ id: Int64, _ change: JobChange, _ limits: Limits) throws(QudoError) -> ReplayResult {
    guard let row = try failureTable.replayable(id) else { return .notFound }
    if let job = row.replayedAs {
      effects.tellsOfOthers = true
      return .alreadyReplayed(job)
    }
    guard row.isFinal, let job = row.job?.changed(by: change) else { return .notFinal }
    if !change.isEmpty { try limits.check(job) }
    switch try insert([job]).first {
    case .inserted(let job):
      try failureTable.setReplayed(id, as: job)
      return .replayed(job)
    case let other: return .conflict(other?.id ?? 0)
    }
  }
}
