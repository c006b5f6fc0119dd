internal import Qudo

extension Transaction {
  func pause(_ kinds: [Kind]?, until end: Due?, reason: String?) throws(QudoError) {
    let endsAt = end?.moment(now.wall)
    // The new pause may end before the one that it replaces.
    effects.wakes = true
    try pauseTable.deleteEnded(now.wall)
    guard let kinds else {
      return try pauseTable.insert(
        PauseTable.everything, pausedAt: now.wall, endsAt: endsAt, reason: reason)
    }
    for kind in kinds {
      let number = try kindTable.id(creating: kind)
      try pauseTable.insert(number, pausedAt: now.wall, endsAt: endsAt, reason: reason)
    }
  }

  func resume(_ kinds: [Kind]?) throws(QudoError) -> [Pause] {
    var ended: [Pause] = []
    for row in try pauseTable.all() {
      if let kinds { guard let kind = row.pause.kind, kinds.contains(kind) else { continue } }
      try pauseTable.delete(row.number)
      if !row.isOver(now.wall) { ended.append(row.pause) }
    }
    effects.wakes = effects.wakes || !ended.isEmpty
    return ended
  }

  /// Returns the kinds that are not paused.
  func unpaused(_ kinds: [ClaimableKind]) throws(QudoError) -> [ClaimableKind] {
    if connection.cache.pauses?.isEmpty == true { return kinds }
    let pauses = try pauseTable.all()
    let paused = Set(pauses.lazy.filter { !$0.isOver(now.wall) }.map(\.number))
    return paused.contains(PauseTable.everything) ? [] : kinds.filter { !paused.contains($0.number) }
  }

  /// Returns when the first pause ends, or ``FileHints/none``.
  func firstPauseEnd() throws(QudoError) -> Int64 {
    if connection.cache.pauses?.isEmpty == true { return FileHints.none }
    return try pauseTable.all().lazy.compactMap { row in
      row.isOver(now.wall) ? nil : row.pause.endsAt?.microseconds
    }.min() ?? FileHints.none
  }
}

extension Snapshot {
  func pauses() throws(QudoError) -> [Pause] {
    try pauseTable.read().filter { !$0.isOver(now.wall) }.map(\.pause)
  }
}
