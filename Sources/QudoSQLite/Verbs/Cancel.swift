internal import Qudo

extension Transaction {
  private static let cancelled = "cancelled"

  func cancel(_ ids: [Int64], reason: String?) throws(QudoError) -> [CancelResult] {
    try insertCollectedReady()
    var results: [Int64: CancelResult] = [:]
    // The jobs that have left their state tables.
    var ending = IDRanges()
    var rest = Set(ids).sorted()[...]
    while let id = rest.first {
      let (left, result) = try leave(rest, reason)
      for id in id...left { results[id] = result }
      rest = rest.dropFirst(Int(left - id) + 1)
      if result == .cancelled { ending.append(id...left) }
    }
    try end(ending, .cancelled, reason ?? Self.cancelled)
    return ids.map { results[$0] ?? .notFound }
  }

  /// Takes a job out of its state table, or marks it if it runs.
  ///
  /// - Parameter ids: The job and those that follow.
  /// - Returns: The last of the neighbors that went with it, and the result for all of them.
  private func leave(_ ids: ArraySlice<Int64>, _ reason: String?) throws(QudoError) -> (Int64, CancelResult) {
    let id = ids[ids.startIndex]
    if let last = try leaveWaiting(ids) { return (last, .cancelled) }
    guard try jobTable.kind(of: id) != nil else { return (id, .notFound) }
    guard let row = try runningTable.row(of: id) else { return (id, .cancelled) }
    guard try !isLive(row) else {
      if try !cancelTable.insert(id, at: now.wall, reason: reason) { effects.tellsOfOthers = true }
      effects.wakes = true
      return (id, .cancelling)
    }
    try runningTable.cut(row, id...id)
    noteEnded(row.instance, until: row.ends)
    return (id, .cancelled)
  }

  /// Takes a waiting job out of its state table.
  ///
  /// - Parameter ids: The job and those that follow, in order.
  /// - Returns: The last of the neighbors that went with it; nil if the job does not wait.
  func leaveWaiting(_ ids: ArraySlice<Int64>) throws(QudoError) -> Int64? {
    forgetPlaces()
    let id = ids[ids.startIndex]
    guard let row = try readyTable.row(of: id) else {
      let hasLeft = if try delayedTable.remove(id) { true } else { try leaveHeld(id) }
      return hasLeft ? id : nil
    }
    var last = id
    for next in ids.dropFirst() {
      guard next == last + 1, last < row.last else { break }
      last = next
    }
    try readyTable.remove(id...last, from: row)
    return last
  }

  /// Whether the leases of a row hold: they have not expired, and their holder is alive.
  func isLive(_ row: RunningRange) throws(QudoError) -> Bool {
    guard row.ends > now.sinceBoot, row.ends.clampedMinus(row.lease) <= now.sinceBoot else { return false }
    if row.instance == connection.instance { return true }
    guard let holder = try holders().first(where: { $0.instance.id == row.instance }), let locks else {
      return false
    }
    return holder.instance.isAlive(locks, now)
  }

  /// Moves jobs, which are in no state table any more, to the failure log.
  func end(_ ids: IDRanges, _ reason: FailureReason, _ message: String) throws(QudoError) {
    // All of them, before any is deleted: the limit of a concurrency key is forgotten with its last place.
    for ids in ids.ranges { try failureTable.insertFinal(ids, reason, message: message, at: now.wall) }
    for ids in ids.ranges { try deleteJobs(ids) }
  }

  /// Moves a job that ran to the failure log, if it is marked.
  ///
  /// - Returns: Whether it was.
  func endIfMarked(_ id: Int64) throws(QudoError) -> Bool {
    let mark = try cancelTable.mark(of: id)
    guard mark.isMarked else { return false }
    try end(IDRanges(id...id), .cancelled, mark.reason ?? Self.cancelled)
    return true
  }

  /// The marked jobs that this driver holds.
  func cancelling() throws(QudoError) -> [Int64] {
    guard connection.cache.hasMarks != false, try cancelTable.hasAny() else { return [] }
    try cancelTable.deleteOrphans()
    return try cancellingOwn()
  }

  /// The same, without a write.
  func cancellingOwn() throws(QudoError) -> [Int64] {
    guard let own = connection.instance else { return [] }
    return try cancelTable.jobs(heldBy: own)
  }
}
