internal import Qudo

/// Claims over several kinds.
extension Transaction {
  /// The minimum number of keys of a kind that one query reads.
  private static let pageSize = 32

  /// Claims the first ready jobs over all kinds.
  ///
  /// It reuses the keys that earlier claims read, so the cost grows with the number of claimed jobs, not of kinds.
  func claimBest(_ kinds: [ClaimableKind], _ limit: Int, token: Int64) throws(QudoError) -> [ClaimedJob] {
    let ready = connection.ready
    if ready.isEmpty { try findEmpty(kinds) }
    var order = ClaimOrder(kinds)
    try order.choose(limit) { position, kind throws(QudoError) in
      switch ready.entry(position, of: kind) {
      case .key(let key): return key
      case .end: return nil
      case .unknown(let last):
        try readOn(kind, after: last, max(Self.pageSize, min(limit - position, 1000)))
        guard case .key(let key) = ready.entry(position, of: kind) else { return nil }
        return key
      }
    }
    return try claimReady(order, token: token)
  }

  private func readOn(_ kind: Int64, after last: ReadyKey?, _ count: Int) throws(QudoError) {
    var keys: [ReadyKey] = []
    var rows = 0
    let last = last ?? ReadyKey(rank: .min, due: .min, id: .min, last: .min)
    // A row whose first ids are already known is read again, for its rest.
    try connection.each(
      "SELECT rank, due, last, first FROM qudo_ready WHERE kind = ? AND (rank, due, last) > (?, ?, ?) ORDER BY rank, due, last LIMIT ?",
      .integer(kind), .integer(last.rank), .integer(last.due), .integer(last.id), .integer(Int64(count))
    ) { row throws(QudoError) in
      rows += 1
      let (rank, due, end) = (row.integer(0), row.integer(1), row.integer(2))
      var id = row.integer(3)
      guard id <= end else { throw ReadyRow.missing(kind) }
      if rank == last.rank, due == last.due, id <= last.id { id = last.id + 1 }
      while keys.count < count {
        keys.append(ReadyKey(rank: rank, due: due, id: id, last: end))
        if id == end { break }
        id += 1
      }
    }
    connection.ready.append(keys, isComplete: rows < count && keys.count < count, to: kind)
  }

  /// Finds the kinds without ready jobs in one query that skips from kind to kind, so that a claim need not look up
  /// each of them.
  ///
  /// The file may hold far more kinds than this worker handles. The query stops after twice as many skips as the worker
  /// has kinds; claims look up the remaining kinds one by one.
  private func findEmpty(_ kinds: [ClaimableKind]) throws(QudoError) {
    guard kinds.count > 8, let lowest = kinds.lazy.map(\.number).min(),
      let highest = kinds.lazy.map(\.number).max()
    else { return }
    var full: Set<Int64> = []
    let most = kinds.count * 2
    var (jumps, last) = (0, lowest)
    try connection.each(
      """
      WITH RECURSIVE next(kind) AS (
        SELECT min(kind) FROM qudo_ready WHERE kind >= ?
        UNION ALL SELECT (SELECT min(kind) FROM qudo_ready WHERE qudo_ready.kind > next.kind) FROM next WHERE next.kind < ?
        LIMIT ?)
      SELECT kind FROM next WHERE kind IS NOT NULL
      """, .integer(lowest), .integer(highest), .integer(Int64(most))
    ) { row throws(QudoError) in
      full.insert(row.integer(0))
      (jumps, last) = (jumps + 1, row.integer(0))
    }
    for kind in kinds where !full.contains(kind.number) && (jumps < most || kind.number < last) {
      connection.ready.append([], isComplete: true, to: kind.number)
    }
  }

  /// Claims the chosen jobs, by kind or by id range, whichever needs fewer statements.
  private func claimReady(_ order: ClaimOrder, token: Int64) throws(QudoError) -> [ClaimedJob] {
    let runs = order.batches()
    var taken: [Int: Taken] = [:]
    for (key, kind) in order.chosen { taken[kind, default: Taken()].take(key) }
    var jobs: [ClaimedJob] = []
    if runs.count < taken.count {
      var names: [Int64: Kind] = [:]
      for (index, taken) in taken {
        let kind = order.kinds[index]
        names[kind.number] = kind.demand.kind
        try removeFromReady(taken, of: kind.number)
        connection.ready.take(order.counts[index], of: kind.number)
      }
      for run in runs { jobs += try claimReady(run, names, token: token) }
    } else {
      for index in taken.keys {
        jobs += try claimReady(order.kinds[index], order.counts[index], token: token)
      }
    }
    jobs.sort { ($1.priority, $0.dueAt.microseconds, $0.id) < ($0.priority, $1.dueAt.microseconds, $1.id) }
    return jobs
  }

  /// The chosen jobs of a kind: some whole rows of `qudo_ready`, and perhaps the first jobs of the next row.
  private struct Taken {
    /// The number of whole rows.
    var whole = 0
    /// The last job of the last whole row.
    var lastWhole: ReadyKey?
    /// The last chosen job of the row that is chosen in part.
    var part: ReadyKey?

    mutating func take(_ key: ReadyKey) {
      guard key.id == key.last else { return part = key }
      (whole, lastWhole, part) = (whole + 1, key, nil)
    }
  }

  private func removeFromReady(_ taken: Taken, of kind: Int64) throws(QudoError) {
    if let key = taken.lastWhole {
      let place = ReadyRange.SortKey(kind: kind, rank: key.rank, due: key.due)
      if taken.whole == 1 {
        try delete(ReadyRow(place: place, first: key.id, last: key.last, read: key.id))
      } else {
        try removeFromReady(upTo: place, key.last, count: taken.whole)
      }
    }
    guard let key = taken.part else { return }
    let place = ReadyRange.SortKey(kind: kind, rank: key.rank, due: key.due)
    try shorten(ReadyRow(place: place, first: key.id, last: key.last, read: key.id))
  }

  private func claimReady(_ run: ClaimOrder.Batch, _ names: [Int64: Kind], token: Int64) throws(QudoError)
    -> [ClaimedJob]
  {
    let ends = end(of: run.demand.leaseDuration)
    let holder = try instance()
    var reading = Reading(token: token, holder: holder)
    try connection.each(
      """
      SELECT payload, codec, unique_key, unique_scope, attempt, enqueued, meta, rank, due, id, kind
      FROM qudo_job WHERE id BETWEEN ? AND ?
      """, .integer(run.ids.lowerBound), .integer(run.ids.upperBound)
    ) { row throws(QudoError) in
      guard let kind = names[row.integer(10)] else {
        throw QudoError(
          .corrupt, "qudo_ready files a job under another kind: another program modified the file")
      }
      _ = reading.read(row, kind, ends: ends)
    }
    connection.hints.noteRunning(until: ends)
    try self.insertRunning(
      RunningRange(
        instance: holder, ends: ends, ids: run.ids, token: token,
        lostLimit: Int64(run.demand.maxExpiredLeases),
        started: now.wall.microseconds, lease: ends - now.sinceBoot))
    guard reading.jobs.count == run.count else { throw ReadyRow.missing(names.keys) }
    try freeKeys(reading)
    return reading.jobs
  }
}
