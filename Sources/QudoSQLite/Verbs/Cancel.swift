internal import Qudo

extension Transaction {
  private static let cancelled = "cancelled"

  func cancel(_ ids: [Int64], reason: String?) throws(QudoError) -> [CancelResult] {
    try insertCollectedReady()
    var results: [Int64: CancelResult] = [:]
    var rest = Set(ids).sorted()[...]
    while let id = rest.first {
      // Neighbors that wait in the same row go together.
      if let row = try readyTable.row(of: id) {
        var last = id
        var next = rest.index(after: rest.startIndex)
        while next < rest.endIndex, rest[next] == last + 1, last < row.last {
          last += 1
          next += 1
        }
        try readyTable.remove(id...last, from: row)
        try end(cancelled: id...last, reason)
        for id in id...last { results[id] = .cancelled }
        rest = rest[next...]
      } else {
        results[id] = try cancelOther(id, reason)
        rest = rest.dropFirst()
      }
    }
    return ids.map { results[$0] ?? .notFound }
  }

  /// Cancels a job that is not ready.
  private func cancelOther(_ id: Int64, _ reason: String?) throws(QudoError) -> CancelResult {
    if try delayedTable.remove(id) {
      try end(cancelled: id...id, reason)
      return .cancelled
    }
    guard try jobTable.kind(of: id) != nil else { return .notFound }
    if let row = try runningTable.row(of: id) {
      guard try !isLive(row) else {
        try cancelTable.insert(id, at: now.wall, reason: reason)
        effects.wakes = true
        return .cancelling
      }
      try runningTable.cut(row, id...id)
      noteEnded(row.instance, until: row.ends)
    }
    try end(cancelled: id...id, reason)
    return .cancelled
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

  /// Moves waiting jobs, which are in no state table any more, to the failure log.
  private func end(cancelled ids: ClosedRange<Int64>, _ reason: String?) throws(QudoError) {
    try failureTable.insert(
      ids, .cancelled, message: reason ?? Self.cancelled, isFinal: true, at: now.wall)
    try deleteJobs(ids)
  }

  /// Moves a job that ran to the failure log, if it is marked.
  ///
  /// - Returns: Whether it was.
  func endIfMarked(_ id: Int64) throws(QudoError) -> Bool {
    let mark = try cancelTable.mark(of: id)
    guard mark.isMarked else { return false }
    try end(cancelled: id...id, mark.reason)
    return true
  }

  /// The marked jobs that this driver holds.
  func cancelling() throws(QudoError) -> [Int64] {
    guard connection.cache.hasMarks != false, try cancelTable.hasAny() else { return [] }
    try cancelTable.deleteOrphans()
    guard let own = connection.instance else { return [] }
    return try cancelTable.jobs(heldBy: own)
  }
}
