internal import Qudo

extension MemoryDatabase {
  static let cancelled = "cancelled"

  // MARK: Cancelling

  mutating func cancel(_ ids: [Int64], reason: String?, now: ClockReading) -> [CancelResult] {
    var results: [Int64: CancelResult] = [:]
    for id in Set(ids).sorted() { results[id] = cancel(id, reason: reason, now: now) }
    return ids.map { results[$0] ?? .notFound }
  }

  mutating func cancel(matching query: JobQuery, reason: String?, now: ClockReading) -> [CancelledJob] {
    find(query, now: now).map { CancelledJob(id: $0.id, result: cancel($0.id, reason: reason, now: now)) }
  }

  private mutating func cancel(_ id: Int64, reason: String?, now: ClockReading) -> CancelResult {
    guard var row = jobs[id] else { return .notFound }
    if case .running(let lease, _, let boot) = row.place, !hasEnded(lease, boot: boot, now) {
      // A second mark changes nothing.
      row.cancelReason = row.cancelReason ?? reason ?? Self.cancelled
      jobs[id] = row
      return .cancelling
    }
    row.cancelReason = reason
    end(cancelled: row, now: now)
    return .cancelled
  }

  /// Moves a job to the failure log.
  mutating func end(cancelled row: Row, now: ClockReading) {
    log(row, .cancelled, row.cancelReason ?? Self.cancelled, isFinal: true, now: now)
    leave(row, now: now)
  }

  /// The marked jobs whose leases the caller holds, in the order of their ids.
  func cancelling() -> [Int64] {
    let holder = knownHolder
    return jobs.values.compactMap { row in
      guard row.cancelReason != nil, case .running(let lease, _, _) = row.place, lease.holder == holder else {
        return nil
      }
      return row.id
    }.sorted()
  }

  // MARK: Changing and recovering

  /// - Throws: As ``ControlDriver/change(_:_:)``; then nothing is changed.
  mutating func change(_ ids: [Int64], _ change: JobChange, limits: Limits, now: ClockReading)
    throws(QudoError) -> [ChangeResult]
  {
    var changed = self
    var results: [Int64: ChangeResult] = [:]
    for id in Set(ids).sorted() {
      results[id] = try changed.change(id, change, limits: limits, now: now)
    }
    self = changed
    return ids.map { results[$0] ?? .notFound }
  }

  private mutating func change(_ id: Int64, _ change: JobChange, limits: Limits, now: ClockReading)
    throws(QudoError) -> ChangeResult
  {
    guard var row = jobs[id] else { return .notFound }
    var keepsDelay = false
    switch row.place {
    case .running(let lease, _, let boot):
      guard hasEnded(lease, boot: boot, now) else { return .running }
      guard row.cancelReason == nil else {
        end(cancelled: row, now: now)
        return .notFound
      }
    case .delayed, .held: keepsDelay = true
    case .ready: break
    }
    row.payload = change.payload ?? row.payload
    row.meta = change.metadata ?? row.meta
    let isMoved = change.due != nil || (change.priority ?? row.priority) != row.priority
    row.priority = change.priority ?? row.priority
    if let expires = change.expires { row.expires = expires.moment(now.wall) }
    try limits.check(NewJob(row.kind, payload: row.payload, priority: row.priority, metadata: row.meta))
    if let due = change.due {
      (row.due, row.delayed) = (due.moment(now.wall), due.isRelative ? now.wall : nil)
    } else if !keepsDelay {
      row.delayed = nil
    }
    // Where it was among the groups.
    guard isMoved || row.position == nil && (keepsDelay || row.due > now.wall) else {
      row.place = .ready
      jobs[row.id] = row
      return .changed
    }
    wait(row, now: now)
    return .changed
  }

  mutating func recover(_ ids: [Int64], now: ClockReading) -> [RecoverResult] {
    var results: [Int64: RecoverResult] = [:]
    for id in Set(ids).sorted() { results[id] = recover(id, now: now) }
    return ids.map { results[$0] ?? .notFound }
  }

  private mutating func recover(_ id: Int64, now: ClockReading) -> RecoverResult {
    guard let row = jobs[id] else { return .notFound }
    guard row.isRunning else { return .notRunning }
    guard row.cancelReason == nil else {
      end(cancelled: row, now: now)
      return .cancelled
    }
    jobs[id]?.place = .ready
    return .recovered
  }

  // MARK: Final failures

  mutating func setRoutes(_ new: [FailureRoute]) { for route in new { routes[route.kind] = route.target } }

  func failureRoutes() -> [FailureRoute] {
    routes.map { FailureRoute($0, to: $1) }.sorted { $0.kind < $1.kind }
  }

  // MARK: Pausing

  mutating func pause(_ kinds: [Kind]?, until end: Due?, reason: String?, now: ClockReading) {
    pauses = pauses.filter { !$0.value.isOver(now) }
    for kind in kinds.map({ $0.map(Optional.some) }) ?? [nil] {
      pauses[kind] = Pause(kind, pausedAt: now.wall, endsAt: end?.moment(now.wall), reason: reason)
    }
  }

  mutating func resume(_ kinds: [Kind]?, now: ClockReading) -> [Pause] {
    let ended = pauses(now).filter { $0.isOne(of: kinds) }
    pauses = pauses.filter { !$0.value.isOne(of: kinds) }
    return ended
  }

  /// The pauses that have not ended: that of everything first, then by kind.
  /// Lets stopped concurrency keys go on.
  mutating func resume(keys: [String], of kind: Kind, now: ClockReading) -> [KeyStop] {
    let keys = Set(keys.map { KeyOfKind(kind, $0) })
    return endStops(now: now) { key, _ in keys.contains(key) }
  }

  func pauses(_ now: ClockReading) -> [Pause] {
    pauses.values.filter { !$0.isOver(now) }
      .sorted {
        ($0.kind == nil ? 0 : 1, $0.kind?.name ?? "") < ($1.kind == nil ? 0 : 1, $1.kind?.name ?? "")
      }
  }

  func isPaused(_ kind: Kind, _ now: ClockReading) -> Bool {
    pauses(now).contains { $0.kind == nil || $0.kind == kind }
  }
}

extension Pause {
  fileprivate func isOver(_ now: ClockReading) -> Bool { endsAt.map { $0 <= now.wall } ?? false }

  fileprivate func isOne(of kinds: [Kind]?) -> Bool {
    guard let kinds else { return true }
    return kind.map(kinds.contains) ?? false
  }
}
