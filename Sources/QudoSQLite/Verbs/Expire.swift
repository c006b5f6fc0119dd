internal import Qudo

extension Transaction {
  private static let expired = "the job still waited at its expiry"

  /// Moves waiting jobs whose expiry has passed to the failure log, at most as many as one claim recovers.
  ///
  /// - Returns: Whether there may be more.
  func expireWaiting() throws(QudoError) -> Bool {
    guard try jobTable.nextExpiry() <= now.wall.microseconds else { return false }
    var hasOverdue = false
    var last: ExpiredRow?
    while true {
      let page = try jobTable.expired(now.wall, after: last, limit: Self.recoveryBatch)
      let gone = try expire(page)
      effects.givenUp += page.lazy.map(\.job).filter { gone.contains($0.id) }.sorted { $0.id < $1.id }
      hasOverdue = hasOverdue || gone.count < page.count
      guard page.count >= Self.recoveryBatch else { break }
      // A page of jobs that run leads to the next one.
      if !gone.isEmpty { return true }
      last = page.last
    }
    let next = try jobTable.firstExpiry(after: now.wall)
    connection.hints.found(nextExpiry: next, hasOverdue: hasOverdue)
    return false
  }

  /// - Returns: The jobs that waited.
  private func expire(_ page: [ExpiredRow]) throws(QudoError) -> Set<Int64> {
    var ranges = IDRanges()
    var rest = page.map(\.job.id).sorted()[...]
    while let id = rest.first {
      guard let last = try leaveWaiting(rest) else {
        rest = rest.dropFirst()
        continue
      }
      ranges.append(id...last)
      rest = rest.dropFirst(Int(last - id) + 1)
    }
    try end(ranges, .expired, Self.expired)
    return Set(ranges.ranges.joined())
  }
}
