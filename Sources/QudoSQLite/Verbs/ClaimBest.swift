internal import Qudo

/// Claims over several kinds.
extension Transaction {
  /// The minimum number of keys of a kind that one query reads.
  private static let pageSize = 32

  /// Claims the first ready jobs over all kinds.
  ///
  /// It reuses the keys that earlier claims read, so the cost grows with the number of claimed jobs, not of kinds.
  func claimBest(_ kinds: [ClaimableKind], _ limit: Int, token: Int64) throws(QudoError) -> [ClaimedJob] {
    try claimReady(try choose(kinds, limit), token: token)
  }

  /// Returns the first ready jobs over all kinds.
  func choose(_ kinds: [ClaimableKind], _ limit: Int) throws(QudoError) -> ClaimOrder {
    let ready = connection.readyLists
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
    return order
  }

  private func readOn(_ kind: Int64, after last: ReadyKey?, _ count: Int) throws(QudoError) {
    var keys: [ReadyKey] = []
    var rows = 0
    let last = last ?? ReadyKey(rank: .min, due: .min, id: .min, last: .min)
    // A row whose first ids are already known is read again, for its rest.
    try readyTable.page(kind, after: last, count) { row throws(QudoError) in
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
    connection.readyLists.append(keys, isComplete: rows < count && keys.count < count, to: kind)
  }

  /// Finds the kinds without ready jobs in one query, so that a claim need not look up each of them.
  ///
  /// The file may hold far more kinds than this worker handles. The query stops after twice as many skips as the worker
  /// has kinds; claims look up the remaining kinds one by one.
  private func findEmpty(_ kinds: [ClaimableKind]) throws(QudoError) {
    guard kinds.count > 8, let lowest = kinds.lazy.map(\.number).min(),
      let highest = kinds.lazy.map(\.number).max()
    else { return }
    let most = kinds.count * 2
    let found = try readyTable.kinds(from: lowest, to: highest, atMost: most)
    let full = Set(found)
    for kind in kinds
    where !full.contains(kind.number) && (found.count < most || kind.number < found.last ?? lowest) {
      connection.readyLists.append([], isComplete: true, to: kind.number)
    }
  }

  /// Claims the chosen jobs, by kind or by id range, whichever needs fewer statements.
  private func claimReady(_ order: ClaimOrder, token: Int64) throws(QudoError) -> [ClaimedJob] {
    let batches = order.batches()
    var chosen: [Int: ChosenRows] = [:]
    for (key, kind) in order.chosen { chosen[kind, default: ChosenRows()].add(key) }
    var jobs: [ClaimedJob] = []
    if batches.count < chosen.count {
      var names: [Int64: Kind] = [:]
      for (index, rows) in chosen {
        let kind = order.kinds[index]
        names[kind.number] = kind.demand.kind
        try removeFromReady(rows, of: kind.number)
        connection.readyLists.take(order.counts[index], of: kind.number)
      }
      for batch in batches { jobs += try claimReady(batch, names, token: token) }
    } else {
      for index in chosen.keys {
        jobs += try claimReady(order.kinds[index], order.counts[index], token: token)
      }
    }
    guard try groupTable.hasAny() else {
      jobs.sort { ($1.priority, $0.dueAt.microseconds, $0.id) < ($0.priority, $1.dueAt.microseconds, $1.id) }
      return jobs
    }
    var positions: [Int64: Int] = [:]
    for (position, job) in order.chosen.enumerated() { positions[job.key.id] = position }
    jobs.sort { positions[$0.id] ?? .max < positions[$1.id] ?? .max }
    return jobs
  }

  /// The chosen jobs of a kind: some whole rows of `qudo_ready`, and perhaps the first jobs of the next row.
  private struct ChosenRows {
    /// The number of whole rows.
    var whole = 0
    /// The last job of the last whole row.
    var lastWhole: ReadyKey?
    /// The last chosen job of the row that is chosen in part.
    var part: ReadyKey?

    mutating func add(_ key: ReadyKey) {
      guard key.id == key.last else { return part = key }
      (whole, lastWhole, part) = (whole + 1, key, nil)
    }
  }

  private func removeFromReady(_ rows: ChosenRows, of kind: Int64) throws(QudoError) {
    if let last = rows.lastWhole {
      let key = SortKey(kind: kind, rank: last.rank, due: last.due)
      if rows.whole == 1 {
        try readyTable.delete(ReadyRow(key: key, first: last.id, last: last.last, read: last.id))
      } else {
        try readyTable.deleteFront(upTo: key, last.last, count: rows.whole)
      }
    }
    guard let part = rows.part else { return }
    let key = SortKey(kind: kind, rank: part.rank, due: part.due)
    try readyTable.shorten(ReadyRow(key: key, first: part.id, last: part.last, read: part.id))
  }

  private func claimReady(_ batch: ClaimOrder.Batch, _ names: [Int64: Kind], token: Int64) throws(QudoError)
    -> [ClaimedJob]
  {
    var claimed = ClaimedJobs(try newLease(batch.demand, token: token))
    try jobTable.claimed(batch.ids) { row throws(QudoError) in
      let job = ClaimedRow(row: row)
      guard let kind = names[job.kind] else {
        throw QudoError(
          .corrupt, "qudo_ready files a job under another kind: another program modified the file")
      }
      claimed.add(job, kind)
    }
    guard claimed.jobs.count == batch.count else { throw ReadyRow.missing(names.keys) }
    connection.hints.noteRunning(until: claimed.lease.ends, count: claimed.jobs.count)
    try insertRunning([batch.ids], claimed.lease)
    try freeKeys(claimed)
    return claimed.jobs
  }
}
