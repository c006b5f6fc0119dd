internal import Qudo

extension Transaction {
  func change(_ ids: [Int64], _ change: JobChange, _ limits: Limits) throws(QudoError) -> [ChangeResult] {
    try insertCollectedReady()
    var results: [Int64: ChangeResult] = [:]
    for id in Set(ids).sorted() { results[id] = try self.change(id, change, limits) }
    return ids.map { results[$0] ?? .notFound }
  }

  private func change(_ id: Int64, _ change: JobChange, _ limits: Limits) throws(QudoError) -> ChangeResult {
    guard let old = try jobTable.sortKey(of: id) else { return .notFound }
    forgetPlaces()
    let isHeld = try changeHeld(id, due: change.due)
    let delay = isHeld ? nil : try delayedTable.delay(of: id)
    if isHeld {
      // It changes in place.
    } else if delay != nil {
      _ = try delayedTable.remove(id)
    } else if try !readyTable.remove(id), let row = try runningTable.row(of: id) {
      guard try !isLive(row) else { return .running }
      try runningTable.cut(row, id...id)
      noteEnded(row.instance, until: row.ends)
      connection.hints.noteWaitsAgain()
      if try endIfMarked(id) { return .notFound }
    }
    let new = change.due.map { Delay($0, now.wall) } ?? delay ?? Delay(due: old.due, written: nil)
    let rank = change.priority.map { 0 &- Int64($0) } ?? old.rank
    try jobTable.change(id, change, rank: rank, due: new.due, now: now.wall)
    if (change.payload == nil) != (change.metadata == nil) { try checkSize(of: id, limits) }
    let isMoved = change.due != nil || rank != old.rank
    if isHeld { return .changed }
    connection.readyLists.invalidate(old.kind)
    if !isMoved, try keepsPlace(id, wasDelayed: delay != nil, due: new.due) {
      effects.wakes = true
      connection.waitingCounts.invalidate(old.kind)
      try readyTable.insert(id)
      return .changed
    }
    try insertWaiting(id, new, kind: old.kind, rank: rank)
    return .changed
  }

  /// Checks a job that got only half of what counts for the limit.
  private func checkSize(of id: Int64, _ limits: Limits) throws(QudoError) {
    let bytes = try jobTable.bytes(of: id)
    guard bytes > limits.payloadBytes else { return }
    throw QudoError(
      .invalidArgument,
      "job \(id) would have \(bytes) bytes of payload and metadata, the limit is \(limits.payloadBytes): give less"
    )
  }

  /// Frees running jobs by force.
  func recover(_ ids: [Int64]) throws(QudoError) -> [RecoverResult] {
    try insertCollectedReady()
    var results: [Int64: RecoverResult] = [:]
    for id in Set(ids).sorted() { results[id] = try recover(id) }
    return ids.map { results[$0] ?? .notFound }
  }

  private func recover(_ id: Int64) throws(QudoError) -> RecoverResult {
    guard try jobTable.kind(of: id) != nil else { return .notFound }
    guard let row = try runningTable.row(of: id) else { return .notRunning }
    try runningTable.cut(row, id...id)
    noteEnded(row.instance, until: row.ends)
    if try endIfMarked(id) { return .cancelled }
    connection.hints.noteWaitsAgain()
    effects.wakes = true
    forgetPlaces()
    try readyTable.insert(id)
    return .recovered
  }
}
