internal import Qudo

extension Transaction {
  /// Lowers the demands of kinds with a maximum of running jobs to the number of jobs that may begin.
  ///
  /// It reads all rows of `qudo_running` and the kind of each of their jobs, but only if a kind has a maximum. The write
  /// lock keeps others from claiming until this claim is committed.
  func withinMaxRunning(_ kinds: [ClaimableKind], _ limit: Int) throws(QudoError) -> [ClaimableKind] {
    guard kinds.contains(where: { $0.demand.maxRunning != nil }) else { return kinds }
    var left: [Int64: Int] = [:]
    for kind in kinds { left[kind.number] = kind.demand.maxRunning.map { max(0, $0) } }
    try runningTable.kinds { left[$0]? -= 1 }
    var within: [ClaimableKind] = []
    for kind in kinds {
      guard let left = left[kind.number] else {
        within.append(kind)
        continue
      }
      let wanted = kind.most(limit)
      // Its next settlement wakes the driver's other workers.
      if left < wanted { connection.cache.isAtMaxRunning = true }
      guard left > 0 else { continue }
      var demand = kind.demand
      demand.limit = min(wanted, left)
      within.append(ClaimableKind(demand: demand, number: kind.number))
    }
    return within
  }
}
