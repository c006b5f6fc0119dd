internal import Qudo

extension Snapshot {
  /// Counts jobs by kind and state. Due delayed jobs and jobs with an expired lease count as ready: the next claim
  /// finds both.
  ///
  /// `qudo_ready` is read for the requested kinds only. `qudo_delayed` and `qudo_running` are not keyed by kind, so all
  /// of their rows are read and grouped in Swift: `GROUP BY` would sort them, at five times the cost. The kinds of
  /// running jobs come from `qudo_job`.
  func count(_ kinds: [Kind]?) throws(QudoError) -> [JobCount] {
    let numbers = try numbers(of: kinds)
    guard numbers?.isEmpty != true else { return [] }
    let list = numbers.map { IntegerList($0) }
    var tallies: [Int64: Tally] = [:]
    try readyTable.counts(list) { kind, count in
      tallies[kind, default: Tally()].ready += max(0, min(count, Self.mostReady))
    }
    try delayedTable.counts(list, now: now.wall) { kind, isDelayed in
      tallies[kind, default: Tally()].add(isDelayed, \.delayed)
    }
    try heldTable.counts(list) { kind, count in tallies[kind, default: Tally()].held += count }
    for range in try running() {
      try jobTable.kinds(range.ids) { kind in
        if numbers?.contains(kind) != false { tallies[kind, default: Tally()].add(range.isLive, \.running) }
      }
    }
    return try named(tallies)
  }

  /// Counts the jobs of a file that no worker uses, by kind and state: a job under a lease is running, whoever held it,
  /// because its holder was alive when the file was copied.
  ///
  /// - Parameter time: When delayed jobs count as ready.
  func contents(_ time: Timestamp) throws(QudoError) -> [JobCount] { try named(contained(time)) }

  private func contained(_ time: Timestamp) throws(QudoError) -> [Int64: Tally] {
    var tallies: [Int64: Tally] = [:]
    try readyTable.counts(nil) { kind, count in
      tallies[kind, default: Tally()].ready += max(0, min(count, Self.mostReady))
    }
    try delayedTable.counts(nil, now: time) { kind, isDelayed in
      tallies[kind, default: Tally()].add(isDelayed, \.delayed)
    }
    try heldTable.counts(nil) { kind, count in tallies[kind, default: Tally()].held += count }
    try runningTable.kinds { kind in tallies[kind, default: Tally()].running += 1 }
    return tallies
  }

  /// Counts the jobs of a backup as a restore finds them: those that run, by kind, and those that end without a run.
  ///
  /// - Parameter time: The time of the restore.
  func restorable(_ time: Timestamp) throws(QudoError) -> (jobs: [JobCount], cancelled: Int, expired: Int) {
    var tallies = try contained(time)
    var (cancelled, expired) = (0, 0)
    try jobTable.ending(time) { row in
      if row.isCancelled { cancelled += 1 } else { expired += 1 }
      let state: WritableKeyPath<Tally, Int> =
        row.position.isInReady
        ? \.ready
        : row.position.isInDelayed
          ? row.position.dueAt > time ? \.delayed : \.ready : row.position.isInHeld ? \.held : \.running
      // A kind that another program left without jobs has no tally.
      tallies[row.kind]?.remove(state)
    }
    return (try named(tallies.filter { !$0.value.isEmpty }), cancelled, expired)
  }

  /// A bound for the counts of a file that another program modified; no file can hold so many jobs.
  private static let mostReady = 1 << 48

  private struct Tally {
    var ready = 0
    var delayed = 0
    var running = 0
    var held = 0

    var isEmpty: Bool { ready == 0 && delayed == 0 && running == 0 && held == 0 }

    mutating func remove(_ state: WritableKeyPath<Tally, Int>) {
      self[keyPath: state] = max(0, self[keyPath: state] - 1)
    }

    mutating func add(_ isSo: Bool, _ state: WritableKeyPath<Tally, Int>) {
      if isSo { self[keyPath: state] += 1 } else { ready += 1 }
    }
  }

  private func named(_ tallies: [Int64: Tally]) throws(QudoError) -> [JobCount] {
    var counts: [JobCount] = []
    let paused = Set(try pauseTable.read().lazy.filter { !$0.isOver(now.wall) }.map(\.number))
    for (number, tally) in tallies {
      guard let kind = try kindTable.name(of: number) else { continue }
      counts.append(
        JobCount(
          kind, ready: tally.ready, delayed: tally.delayed, running: tally.running,
          held: tally.held,
          isPaused: paused.contains(number) || paused.contains(PauseTable.everything)))
    }
    return counts.sorted { $0.kind < $1.kind }
  }
}
