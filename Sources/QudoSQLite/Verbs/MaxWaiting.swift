internal import Qudo

// Enqueues with a maximum of waiting jobs. All others never come here.
extension Transaction {
  /// Inserts jobs, some of which have a maximum for their kind.
  ///
  /// - Parameter bounds: The maximums of their kinds.
  /// - Returns: A refusal if nothing was written: then other operations may continue in this transaction.
  /// - Throws: A refusal after something was written.
  func insert(_ jobs: [NewJob], _ bounds: [(kind: Kind, bound: MaxWaiting)]) throws(QudoError)
    -> Result<[InsertResult], QudoError>
  {
    for (kind, bound) in bounds where try isRefused(jobs, of: kind, bound) {
      return .failure(bound.refusal(kind))
    }
    var before: [WaitingCounts.Entry] = []
    for (kind, bound) in bounds {
      let number = try kindTable.id(creating: kind)
      let entry = try waiting(number, bound, and: jobs.count { $0.kind == kind })
      before.append(entry)
    }
    let results = try insert(jobs)
    for ((kind, bound), entry) in zip(bounds, before) {
      let added = zip(jobs, results).count { $0.kind == kind && $1.isInserted }
      try keep(bound, of: kind, entry, added: added)
    }
    return .success(results)
  }

  /// Whether the jobs of a kind that are certainly new would exceed its maximum. It writes nothing.
  private func isRefused(_ jobs: [NewJob], of kind: Kind, _ bound: MaxWaiting) throws(QudoError) -> Bool {
    guard case .refuse(let limit) = bound else { return false }
    var certain = jobs.count { $0.kind == kind && $0.unique == nil && $0.idempotencyKey == nil }
    // One job with a key is usual: a refusal of it need not roll others back.
    if jobs.count == 1, certain == 0 { certain = try isNew(jobs[0]) ? 1 : 0 }
    guard certain > 0 else { return false }
    guard let number = try kindTable.id(of: kind) else { return certain > limit }
    let entry = try waiting(number, bound, and: certain)
    connection.waitingCounts.set(entry, for: number)
    return entry.count + certain > limit
  }

  private func isNew(_ job: NewJob) throws(QudoError) -> Bool {
    if let key = job.idempotencyKey, try receiptTable.job(for: key, now: now.wall) != nil { return false }
    guard let unique = job.unique, let kind = try kindTable.id(of: job.kind) else { return true }
    guard try jobTable.holder(of: unique.key, kind: kind) == nil else { return false }
    return try !rests(unique.key, kind: kind)
  }

  /// Returns how many jobs of a kind wait, and takes what the cache has of it.
  ///
  /// - Parameter new: How many jobs may be added.
  private func waiting(_ kind: Int64, _ bound: MaxWaiting, and new: Int) throws(QudoError)
    -> WaitingCounts.Entry
  {
    let known = connection.waitingCounts.take(kind)
    if let known, known.tells(of: new, bound) { return known }
    // Jobs that other callers enqueued in this transaction wait, too.
    try insertCollectedReady()
    let most = if case .dropOldest = bound { bound.limit + MaxWaiting.surplus } else { bound.limit }
    var count = try readyTable.waiting(kind, atMost: most)
    if count < most, try delayedTable.firstDue() != FileHints.none {
      count += try delayedTable.count(IntegerList([kind]), atMost: most - count)
    }
    if count < most, try placeTable.hasAny() {
      count += try heldTable.count(IntegerList([kind]), atMost: most - count)
    }
    return WaitingCounts.Entry(count: count, isCapped: count >= most, oldest: known?.oldest ?? [])
  }

  /// Makes sure that the jobs of a kind do not exceed their maximum, now that new ones were inserted.
  ///
  /// - Parameter before: How many waited before.
  private func keep(_ bound: MaxWaiting, of kind: Kind, _ before: WaitingCounts.Entry, added: Int)
    throws(QudoError)
  {
    let number = try kindTable.id(creating: kind)
    var entry = before
    entry.count += added
    let excess = entry.count - bound.limit
    if added > 0, excess > 0 {
      guard case .dropOldest = bound else { throw bound.refusal(kind) }
      try drop(min(excess, added + MaxWaiting.surplus), of: number, bound, &entry)
    }
    connection.waitingCounts.set(entry, for: number)
  }

  /// Moves the oldest waiting jobs of a kind to the failure log.
  private func drop(_ count: Int, of kind: Int64, _ bound: MaxWaiting, _ entry: inout WaitingCounts.Entry)
    throws(QudoError)
  {
    try insertCollectedReady()
    var ranges = IDRanges()
    var left = count
    while left > 0 {
      if entry.oldest.isEmpty {
        entry.oldest = try oldestWaiting(kind, limit: max(left, Self.oldestRead))[...]
      }
      let ids = entry.oldest.prefix(left)
      guard let first = ids.first else { break }
      guard let last = try leaveWaiting(ids) else {
        entry.oldest = entry.oldest.dropFirst()
        continue
      }
      ranges.append(first...last)
      let gone = Int(last - first) + 1
      entry.oldest = entry.oldest.dropFirst(gone)
      left -= gone
    }
    try end(ranges, .dropped, bound.message)
    entry.count -= count - left
  }

  /// How many ids are read at once, to be dropped one after the other.
  private static let oldestRead = 1000

  /// Returns the lowest ids of the waiting jobs of a kind, in order.
  private func oldestWaiting(_ kind: Int64, limit: Int) throws(QudoError) -> [Int64] {
    let kinds = IntegerList([kind])
    var ids: [Int64] = []
    try readyTable.ranges(kinds, after: 0, limit: limit) { first, last in
      guard first <= last, ids.count < limit else { return }
      ids += (max(first, 1)...max(last, 1)).prefix(limit)
    }
    if try delayedTable.firstDue() != FileHints.none {
      for areDue in [true, false] {
        ids += try delayedTable.ids(kinds, areDue: areDue, now: now.wall, after: 0, limit: limit)
      }
    }
    if try placeTable.hasAny() { ids += try heldTable.ids(kinds, after: 0, limit: limit) }
    return Array(ids.sorted().prefix(limit))
  }
}

extension InsertResult {
  fileprivate var isInserted: Bool { if case .inserted = self { true } else { false } }
}
