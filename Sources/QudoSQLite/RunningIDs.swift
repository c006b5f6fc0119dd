internal import Qudo

/// Which jobs run until when, for the reader.
struct RunningIDs {
  let ids: ClosedRange<Int64>
  let ends: Int64
  /// Whether their leases hold: not expired, and the holder is alive.
  let isLive: Bool
}

extension Snapshot {
  /// All that run, or did until their leases ended, in the order of their ids; each job once, whatever a file has that was changed
  /// by others.
  func running() throws(QudoError) -> [RunningIDs] {
    var all: [RunningIDs] = []
    var once = Once()
    let alive = try aliveInstances()
    try connection.each("SELECT first, last, instance, ends, lease FROM qudo_running ORDER BY first") { row throws(QudoError) in
      guard let ids = once.ids(row.integer(0), row.integer(1)) else { return }
      let (ends, lease) = (row.integer(3), row.integer(4))
      let isLive = alive.contains(row.integer(2)) && ends > now.sinceBoot && ends.clampedMinus(lease) <= now.sinceBoot
      all.append(RunningIDs(ids: ids, ends: ends, isLive: isLive))
    }
    return all
  }

  private func aliveInstances() throws(QudoError) -> Set<Int64> {
    var alive: Set<Int64> = []
    try connection.each("SELECT id, boot, locked FROM qudo_instance") { row throws(QudoError) in
      let instance = Instance(row)
      if instance.isAlive(locks, now) { alive.insert(instance.id) }
    }
    return alive
  }
}

/// Ranges of ids of which none is in two, from such as come in their order.
struct Once {
  private var next: Int64? = .min

  /// Nil where there are none, or all of them came before.
  mutating func ids(_ first: Int64, _ last: Int64) -> ClosedRange<Int64>? {
    guard let next, first <= last, last >= next else { return nil }
    self.next = last == .max ? nil : last + 1
    return max(first, next)...last
  }
}

extension [RunningIDs] {
  /// When the lease of a job ends; nil for one that does not run. They are in the order of their ids.
  func end(of id: Int64) -> Int64? {
    var (low, high) = (startIndex, endIndex)
    while low < high {
      let middle = (low + high) / 2
      if self[middle].ids.upperBound < id { low = middle + 1 } else { high = middle }
    }
    return low < endIndex && self[low].ids.contains(id) ? self[low].ends : nil
  }
}
