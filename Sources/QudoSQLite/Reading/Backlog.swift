internal import Qudo

extension Snapshot {
  /// The number of due rows of `qudo_delayed` that are read at most. While any process claims, there are few: each claim
  /// promotes 1,000. Beyond that, kinds whose due jobs come later are missing, and the oldest one of all is still right.
  private static let mostDue = 100_000

  /// Returns how long jobs have been ready: see ``ObservedDriver``.
  func backlog(_ wanted: [Kind]?, countingUpTo most: Int) throws(QudoError) -> Backlog {
    let numbers = try numbers(of: wanted)
    let hasWorker = locks.hasClaimer
    guard numbers?.isEmpty != true else { return Backlog(hasWorker: hasWorker) }
    let isWanted = numbers.map(Set.init)
    let paused = Set(try pauseTable.read().lazy.filter { !$0.isOver(now.wall) }.map(\.number))
    let isAllPaused = paused.contains(PauseTable.everything)

    var ages: [Int64: Int64] = [:]
    try readyTable.earliest(numbers) { kind, due in
      ages[kind] = max(ages[kind] ?? 0, now.wall.microseconds.clampedMinus(due))
    }
    let kindsInReady = ages.keys.sorted()
    var ready = 0
    try delayedTable.due(now.wall, atMost: max(Self.mostDue, most)) { kind, due in
      guard isWanted?.contains(kind) != false else { return }
      ages[kind] = max(ages[kind] ?? 0, now.wall.microseconds.clampedMinus(due))
      if !isAllPaused, !paused.contains(kind) { ready += 1 }
    }
    for range in try running() where !range.isLive {
      try jobTable.kinds(range.ids) { kind in
        guard isWanted?.contains(kind) != false else { return }
        ages[kind] = max(ages[kind] ?? 0, now.sinceBoot.clampedMinus(range.ends), 0)
        if !isAllPaused, !paused.contains(kind) { ready += 1 }
      }
    }
    for kind in kindsInReady where ready < most && !isAllPaused && !paused.contains(kind) {
      ready += try readyTable.waiting(kind, atMost: most - ready)
    }
    var oldest: [Backlog.Oldest] = []
    for (number, age) in ages {
      guard let kind = try kindTable.name(of: number) else { continue }
      oldest.append(
        Backlog.Oldest(
          kind: kind, age: .microseconds(max(age, 0)), isPaused: isAllPaused || paused.contains(number)))
    }
    return Backlog(
      oldest: oldest.sorted { $0.kind < $1.kind }, ready: min(ready, max(most, 0)), hasWorker: hasWorker)
  }

  /// Returns the sizes of the logs, and of the file at `path`.
  func sizes(path: String) throws(QudoError) -> DatabaseSizes {
    DatabaseSizes(
      failures: try named(try failureTable.counts()), statuses: try named(try statusTable.counts()),
      failuresEver: try failureTable.rowsEver(), fileBytes: FileStatus(path)?.size,
      walBytes: FileStatus(path + "-wal")?.size ?? 0)
  }

  /// Returns the numbers of rows of the logs, up to `most` each.
  func logRows(countingUpTo most: Int) throws(QudoError) -> LogRowCounts {
    LogRowCounts(
      failures: try failureTable.count(atMost: most), statuses: try statusTable.count(atMost: most),
      failuresEver: try failureTable.rowsEver())
  }

  private func named(_ counts: [Int64: Int]) throws(QudoError) -> [Kind: Int] {
    var byName: [Kind: Int] = [:]
    for (number, count) in counts {
      guard let kind = try kindTable.name(of: number) else { continue }
      byName[kind] = count
    }
    return byName
  }
}
