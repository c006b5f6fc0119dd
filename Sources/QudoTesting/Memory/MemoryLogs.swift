internal import Qudo

/// A row of the failure log or the status log.
protocol LogRow {
  var id: Int64 { get }
  var kind: Kind { get }
  var job: Int64 { get }
  /// The time at which its run ended.
  var endedAt: Timestamp { get }
}

extension StatusRecord: LogRow {}

extension FailureRecord: LogRow {
  var endedAt: Timestamp { failedAt }
}

extension MemoryDatabase.Failure: LogRow {
  var id: Int64 { record.id }
  var kind: Kind { record.kind }
  var job: Int64 { record.job }
  var endedAt: Timestamp { record.failedAt }
}

extension Array where Element: LogRow {
  /// Returns the rows that a query asks for. The rows must be sorted oldest first.
  func select(_ query: LogQuery) -> [Element] {
    let fitting = filter { row in
      query.isAfter(row.id) && query.kinds?.contains(row.kind) ?? true && query.ids?.contains(row.id) ?? true
        && query.job.map { row.job == $0 } ?? true
    }
    let ordered = query.oldestFirst ? fitting : fitting.reversed()
    return Array(ordered.dropFirst(Swift.max(0, query.offset)).prefix(Swift.max(0, query.limit)))
  }

  /// Deletes the oldest rows up to the first one that the options keep.
  ///
  /// - Returns: the number of deleted rows.
  fileprivate mutating func prune(_ options: PruneOptions, now: Timestamp) -> Int {
    let end = options.end(at: now)
    let surplus = dropLast(Swift.max(0, options.keep)).prefix(Swift.max(0, options.limit))
    let old = surplus.prefix { row in end.map { row.endedAt < $0 } ?? true }
    removeFirst(old.count)
    return old.count
  }
}

extension MemoryDatabase {
  /// - Throws: As ``/Qudo/LogDriver/replay(_:changing:unique:)``; then nothing is changed.
  mutating func replay(
    _ ids: [Int64], _ change: JobChange, _ unique: UniqueKey?, limits: Limits, now: ClockReading
  ) throws(QudoError) -> [ReplayResult] {
    var replayed = self
    var results: [ReplayResult] = []
    for id in ids { results.append(try replayed.replay(id, change, unique, limits: limits, now: now)) }
    self = replayed
    return results
  }

  private mutating func replay(
    _ id: Int64, _ change: JobChange, _ unique: UniqueKey?, limits: Limits, now: ClockReading
  ) throws(QudoError) -> ReplayResult {
    guard let index = failures.firstIndex(where: { $0.id == id }) else { return .notFound }
    let failure = failures[index]
    guard failure.record.isFinal, let payload = failure.record.payload else { return .notFinal }
    if let job = failure.record.replayedAs { return .alreadyReplayed(job) }
    let job = NewJob(
      failure.kind, payload: payload,
      unique: failure.record.uniqueKey.map { UniqueKey($0, scope: failure.scope ?? .untilFinished) },
      concurrencyKey: failure.key.map { key in
        // The rule that the key has now, if it is in use.
        keyRules[KeyOfKind(failure.kind, key)]?.key(key.key) ?? key
      },
      group: failure.group, priority: failure.record.priority, metadata: failure.meta
    ).replayed(change, unique)
    if !change.isEmpty || unique != nil { try limits.check(job) }
    let isStop = keyStops.contains { $0.stop.failure == id }
    switch insert(job, takesPlace: isStop, now: now) {
    case .inserted(let new):
      failures[index].record.replayedAs = new
      failures[index].record.isResolved = false
      _ = endStops(now: now) { $1.failure == id }
      return .replayed(new)
    case let other: return .conflict(other.id)
    }
  }

  mutating func resolve(_ id: Int64, now: ClockReading) -> ResolveResult {
    guard let index = failures.firstIndex(where: { $0.id == id }) else { return .notFound }
    let record = failures[index].record
    let result = ResolveResult(
      isFinal: record.isFinal, replayedAs: record.isResolved ? FailureRecord.resolved : record.replayedAs)
    if result == .resolved {
      failures[index].record.isResolved = true
      _ = endStops(now: now) { $1.failure == id }
    }
    return result
  }

  mutating func prune(_ options: PruneOptions, now: Timestamp) -> Int {
    failures.prune(options, now: now) + statuses.prune(options, now: now)
  }
}
