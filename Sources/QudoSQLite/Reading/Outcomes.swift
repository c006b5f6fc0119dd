internal import Qudo

extension Snapshot {
  func outcomes(of ids: [Int64]) throws(QudoError) -> [JobOutcome] {
    var outcomes: [Int64: JobOutcome] = [:]
    for job in try find(JobQuery(ids: ids, limit: .max)) { outcomes[job.id] = .unfinished(job) }
    let highest = try infoTable.highestID()
    for id in ids where outcomes[id] == nil {
      let failure = try failureTable.page(LogQuery(limit: 1, job: id), nil).first
      let status = try statusTable.page(LogQuery(limit: 1, job: id), nil).first
      outcomes[id] = JobOutcome(
        failure: failure.flatMap { $0.isFinal ? $0 : nil }, status: status, existed: id > 0 && id <= highest)
    }
    return ids.map { outcomes[$0] ?? .neverExisted }
  }

  /// Returns the live job that holds a unique key, or else the newest one in the logs.
  func job(withUniqueKey key: String, kind: Kind) throws(QudoError) -> Int64? {
    guard let kind = try kindTable.id(of: kind) else { return nil }
    if let holder = try jobTable.holder(of: key, kind: kind) { return holder }
    let failed = try failureTable.newestJob(withUniqueKey: key, kind: kind)
    let ended = try statusTable.newestJob(withUniqueKey: key, kind: kind)
    return [failed, ended].compactMap { $0 }.max()
  }
}
