internal import Qudo

/// Which jobs run until when, for the reader.
struct RunningIDs {
  let ids: ClosedRange<Int64>
  let boot: Int64
  let ends: Int64

  /// Whether their leases hold.
  func isLive(_ snapshot: Snapshot) -> Bool { boot == snapshot.boot && ends > snapshot.now.sinceBoot }
}

extension Snapshot {
  /// All that run, or did until their leases ended, in the order of their ids; each job once, whatever a file has that was changed
  /// by others.
  func running() throws(QudoError) -> [RunningIDs] {
    var all: [RunningIDs] = []
    var once = Once()
    try connection.each("SELECT first, last, boot, ends FROM qudo_running ORDER BY first") { row throws(QudoError) in
      guard let ids = once.ids(row.integer(0), row.integer(1)) else { return }
      all.append(RunningIDs(ids: ids, boot: row.integer(2), ends: row.integer(3)))
    }
    return all
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
