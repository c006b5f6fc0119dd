package import Qudo

extension MemoryDriver: ObservedDriver {
  package func backlog(_ kinds: [Kind]?, countingUpTo most: Int) async throws(QudoError) -> Backlog {
    try verb { $0.backlog(kinds, countingUpTo: most, $1) }
  }

  /// It has no file.
  package func sizes() async throws(QudoError) -> DatabaseSizes {
    try verb { database, _ in
      DatabaseSizes(
        failures: Dictionary(grouping: database.failures, by: \.kind).mapValues(\.count),
        statuses: Dictionary(grouping: database.statuses, by: \.kind).mapValues(\.count),
        failuresEver: database.lastFailure)
    }
  }

  package func logRows(countingUpTo most: Int) async throws(QudoError) -> LogRowCounts {
    try verb { database, _ in
      LogRowCounts(
        failures: min(database.failures.count, max(most, 0)),
        statuses: min(database.statuses.count, max(most, 0)), failuresEver: database.lastFailure)
    }
  }

  package func figures(limit: Int) async throws(QudoError) -> QueueFigures {
    try verb { $0.figures(limit: max(limit, 0), $1) }
  }
}

extension MemoryDatabase {
  fileprivate func backlog(_ kinds: [Kind]?, countingUpTo most: Int, _ now: ClockReading) -> Backlog {
    let ready = find(JobQuery(kinds: kinds, states: [.ready], limit: .max), now: now)
    let oldest = Dictionary(grouping: ready, by: \.kind).map { kind, jobs in
      let due = jobs.map { $0.dueAt.microseconds }.min() ?? now.wall.microseconds
      return Backlog.Oldest(
        kind: kind, age: .microseconds(max(0, now.wall.microseconds - due)), isPaused: isPaused(kind, now))
    }
    return Backlog(
      oldest: oldest.sorted { $0.kind < $1.kind },
      ready: min(max(most, 0), ready.count { !isPaused($0.kind, now) }))
  }

  fileprivate func figures(limit: Int, _ now: ClockReading) -> QueueFigures {
    var figures = QueueFigures(now: now.wall, isExact: true)
    figures.counts = count(nil, now: now)
    figures.oldest = backlog(nil, countingUpTo: 0, now).oldest
    figures.pauses = pauses(now)
    figures.highestID = lastJob
    figures.running = find(JobQuery(states: [.running], limit: limit), now: now).map { job in
      QueueFigures.RunningJob(
        id: job.id, kind: job.kind, attempt: job.attempt, dueAt: job.dueAt, startedAt: job.startedAt,
        processID: job.processID)
    }
    figures.failures = failures.suffix(limit).reversed().map(\.record).map { failure in
      QueueFigures.FailedRun(
        id: failure.id, kind: failure.kind, reason: failure.reason, failedAt: failure.failedAt)
    }
    figures.ended = statuses.suffix(limit).reversed().map { run in
      QueueFigures.EndedRun(
        id: run.id, kind: run.kind, status: run.status, startedAt: run.startedAt, endedAt: run.endedAt)
    }
    return figures
  }
}
