internal import Qudo
internal import QudoSQLSupport

extension Transaction {
  func settle(_ settlements: [Settlement]) throws(QudoError) -> [SettleResult] {
    guard !settlements.isEmpty else { return [] }
    if connection.cache.isAtMaxRunning { (connection.cache.isAtMaxRunning, effects.wakes) = (false, true) }
    let isHeld = try removeFromRunning(settlements.map(\.lease))
    var results: [SettleResult] = []
    results.reserveCapacity(settlements.count)
    // Collects jobs that are only deleted, up to the next one that needs more.
    var completed: [Int64] = []
    for (settlement, isHeld) in zip(settlements, isHeld) {
      guard isHeld else {
        results.append(.leaseLost)
        continue
      }
      if settlement.isPlain {
        completed.append(settlement.lease.job)
        results.append(.settled())
        continue
      }
      try deleteJobs(completed)
      completed.removeAll(keepingCapacity: true)
      if !settlement.hasBegun, case .released = settlement.outcome {
        try rateTable.giveBack(settlement.lease.job)
        try giveBackKeyToken(of: settlement.lease.job)
      }
      let isCancelled = settlement.outcome.completes ? false : try endIfMarked(settlement.lease.job)
      results.append(isCancelled ? .cancelled : try settle(settlement))
    }
    try deleteJobs(completed)
    return results
  }

  /// Deletes completed jobs permanently, one statement per id range.
  private func deleteJobs(_ ids: [Int64]) throws(QudoError) {
    if ids.count == 1 {
      try beginRests(ids[0]...ids[0])
      return try deleteJob(ids[0])
    }
    let isSorted = zip(ids, ids.dropFirst()).allSatisfy { $0 < $1 }
    var ranges = IDRanges()
    for id in isSorted ? ids : ids.sorted() { ranges.append(id) }
    for range in ranges.ranges {
      try beginRests(range)
      try deleteJobs(range)
    }
  }

  /// Settles a job whose lease is valid.
  private func settle(_ settlement: Settlement) throws(QudoError) -> SettleResult {
    let id = settlement.lease.job
    if let took = settlement.recording, let status = RunStatus(settlement.outcome) {
      let started = now.wall.advanced(by: .zero - max(took, .zero))
      try statusTable.insert(id, status, startedAt: started, endedAt: now.wall)
    }
    return .settled(replacements: try write(settlement.outcome, of: id))
  }

  private func write(_ outcome: Settlement.Outcome, of id: Int64) throws(QudoError) -> [InsertResult] {
    switch outcome {
    case .completed(let replacements):
      if replacements.isEmpty { try beginRests(id...id) }
      // Delete the old row first: a replacement may have the same unique key.
      try deleteJob(id)
      return try insert(replacements)
    case .retry(let delay, let message):
      try failureTable.insertRetried(id, message: message, at: now.wall)
      try requeue(id, Delay(.after(delay), now.wall), attempts: 1)
    case .snoozed(let delay, let counts):
      try requeue(id, Delay(.after(delay), now.wall), attempts: counts ? 1 : 0)
    case .aborted(let message):
      try fail(id, .aborted, message)
    case .failed(let message):
      try fail(id, .failed, message)
    case .released:
      connection.hints.noteWaitsAgain()
      effects.wakes = true
      forgetPlaces()
      try readyTable.insert(id)
      try freePlaces(ifFewerThan: id...id)
    }
    return []
  }

  /// Files a job for its next run.
  private func requeue(_ id: Int64, _ delay: Delay, attempts: Int64) throws(QudoError) {
    effects.wakes = true
    connection.hints.noteWaitsAgain()
    try jobTable.setNextRun(id, due: delay.due, addingAttempts: attempts)
    try freePlaces(ifFewerThan: id...id)
    if delay.due <= now.wall.microseconds {
      try placeAgain(id)
      try readyTable.insert(id)
    } else {
      try clearPlace(of: id)
      try delayedTable.insert(id, delay)
    }
  }
}

extension Settlement {
  /// Whether settling only deletes the job.
  fileprivate var isPlain: Bool {
    guard recording == nil, case .completed(let replacements) = outcome else { return false }
    return replacements.isEmpty
  }
}
