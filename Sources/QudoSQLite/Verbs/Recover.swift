internal import Qudo

extension Transaction {
  /// Recovers jobs whose lease expired or whose holder is dead, by holder and then by expiry.
  ///
  /// A recovered job is ready again with its old sort key, or is given up after too many expired leases.
  ///
  /// - Returns: Whether the next claim may find more to recover.
  func recoverExpired() throws(QudoError) -> Bool {
    let own = connection.instance
    var areLeft = false
    var isOwnDone = own == nil
    for holder in try holders() {
      if !isOwnDone, let own, holder.instance.id > own {
        isOwnDone = true
        if try recoverExpired(own, firstEnd: runningTable.firstOwnExpiry()) { areLeft = true }
      }
      if try recover(holder) { areLeft = true }
    }
    if !isOwnDone, let own, try recoverExpired(own, firstEnd: runningTable.firstOwnExpiry()) {
      areLeft = true
    }
    return areLeft
  }

  private func recover(_ holder: Holder) throws(QudoError) -> Bool {
    let id = holder.instance.id
    guard let locks, !holder.instance.isAlive(locks, now) else {
      var areLeft = try recoverExpired(id, firstEnd: holder.firstEnd)
      // Leases that expire later than a lease from now could: the clock was set back since they were given.
      if holder.isAhead {
        let ahead = try runningTable.beginningLater(of: id, than: now.sinceBoot, limit: Self.recoveryBatch)
        if try recover(ahead) { areLeft = true }
      }
      return areLeft
    }
    let areLeft = try recover(try runningTable.rows(of: id, limit: Self.recoveryBatch))
    if !areLeft { try instanceTable.deleteIfIdle(id) }
    return areLeft
  }

  private func recoverExpired(_ instance: Int64, firstEnd: Int64) throws(QudoError) -> Bool {
    guard firstEnd <= now.sinceBoot else { return false }
    return try recover(try runningTable.expired(of: instance, now.sinceBoot, limit: Self.recoveryBatch))
  }

  /// - Returns: Whether there may be more rows.
  private func recover(_ rows: [RunningRange]) throws(QudoError) -> Bool {
    guard !rows.isEmpty else { return false }
    connection.hints.noteEnded(until: nil)
    connection.hints.invalidateHolders()
    var room = Self.recoveryBatch
    for row in rows {
      guard room > 0 else { return true }
      let ids = try jobTable.ids(row.ids, limit: room)
      // Fewer jobs than the limit: the rest of the range has no jobs, so remove all of it.
      let end = Int64(ids.count) < room ? row.ids.upperBound : ids.last ?? row.ids.upperBound
      try runningTable.cut(row, row.ids.lowerBound...end)
      if connection.cache.hasKeys != false, (row.ids.lowerBound...end).hasMore(than: ids.count) {
        _ = try putAsideKeys()
      }
      room -= Int64(ids.count)
      for id in ids { try recover(id, lostLimit: row.lostLimit) }
    }
    return room <= 0 || Int64(rows.count) >= Self.recoveryBatch
  }

  private func recover(_ id: Int64, lostLimit: Int64) throws(QudoError) {
    if try endIfMarked(id) { return }
    let lost = try jobTable.addExpiredLease(id)
    guard lost >= lostLimit else {
      effects.recovered += 1
      connection.hints.noteWaitsAgain()
      forgetPlaces()
      return try readyTable.insert(id)
    }
    let message = "the lease was lost \(lost) times: the worker died or hung each time"
    if let job = try jobTable.lost(id, expiredLeases: lost) { effects.givenUp.append(job) }
    try fail(id, .lost, message)
  }
}
