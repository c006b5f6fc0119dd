internal import Qudo

/// An id range of running jobs, for listings.
struct RunningIDs {
  let ids: ClosedRange<Int64>
  let ends: Int64
  /// The time of their claim.
  let started: Timestamp
  /// The process id of the holder; nil if it is not known.
  let processID: Int64?
  /// Whether the lease is valid: not expired, and its holder is alive.
  let isLive: Bool
}

extension Snapshot {
  /// Returns all running jobs in id order, including those with expired leases. Each id appears once, even if another
  /// program wrote overlapping rows.
  func running() throws(QudoError) -> [RunningIDs] {
    var all: [RunningIDs] = []
    var once = Once()
    var alive: [Int64: Int64] = [:]
    for instance in try instanceTable.all() where instance.isAlive(locks, now) {
      alive[instance.id] = instance.processID
    }
    try runningTable.all { row throws(QudoError) in
      guard let ids = once.ids(row.integer(0), row.integer(1)) else { return }
      let (ends, lease) = (row.integer(3), row.integer(4))
      let isLive =
        alive[row.integer(2)] != nil && ends > now.sinceBoot && ends.clampedMinus(lease) <= now.sinceBoot
      let process = alive[row.integer(2)].flatMap { $0 > 0 ? $0 : nil }
      all.append(
        RunningIDs(
          ids: ids, ends: ends, started: Timestamp(microseconds: row.integer(5)), processID: process,
          isLive: isLive))
    }
    return all
  }
}

/// A filter that makes id ranges disjoint. They must arrive ordered by their first ids.
struct Once {
  private var next: Int64? = .min

  /// Returns the ids that no earlier range contained, or nil if there are none.
  mutating func ids(_ first: Int64, _ last: Int64) -> ClosedRange<Int64>? {
    guard let next, first <= last, last >= next else { return nil }
    self.next = last == .max ? nil : last + 1
    return max(first, next)...last
  }
}

extension [RunningIDs] {
  /// Returns the range with a job, or nil if the job is not running. The array must be in id order.
  func range(of id: Int64) -> RunningIDs? {
    var (low, high) = (startIndex, endIndex)
    while low < high {
      let middle = (low + high) / 2
      if self[middle].ids.upperBound < id { low = middle + 1 } else { high = middle }
    }
    return low < endIndex && self[low].ids.contains(id) ? self[low] : nil
  }
}
