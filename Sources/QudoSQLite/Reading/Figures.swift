internal import Qudo
internal import QudoSQLSupport

extension Snapshot {
  /// Returns the figures of a dashboard: see ``ObservedDriver``.
  func figures(limit: Int, path: String) throws(QudoError) -> QueueFigures {
    let limit = max(limit, 0)
    let began = SystemClock.threadTime()
    var figures = QueueFigures(now: now.wall, isExact: true)
    figures.counts = try count(nil)
    let backlog = try backlog(nil, countingUpTo: 0)
    (figures.oldest, figures.hasWorker) = (backlog.oldest, backlog.hasWorker)
    figures.pauses = try pauses()
    figures.highestID = try infoTable.highestID()
    var names: [Int64: Kind] = [:]
    func name(_ number: Int64) throws(QudoError) -> Kind? {
      if let known = names[number] { return known }
      let kind = try kindTable.name(of: number)
      names[number] = kind
      return kind
    }
    for range in try running() where range.isLive && figures.running.count < limit {
      try jobTable.brief(range.ids, limit: limit - figures.running.count) { row throws(QudoError) in
        guard let kind = try name(row.integer(1)) else { return }
        figures.running.append(
          QueueFigures.RunningJob(
            id: row.integer(0), kind: kind, attempt: Int(row.integer(2)),
            dueAt: Timestamp(microseconds: row.integer(3)), startedAt: range.started,
            processID: range.processID))
      }
    }
    try failureTable.newest(limit) { row throws(QudoError) in
      guard let kind = try name(row.integer(1)) else { return }
      figures.failures.append(
        QueueFigures.FailedRun(
          id: row.integer(0), kind: kind, reason: FailureReason(number: row.integer(2)),
          failedAt: Timestamp(microseconds: row.integer(3))))
    }
    try statusTable.newest(limit) { row throws(QudoError) in
      guard let kind = try name(row.integer(1)) else { return }
      figures.ended.append(
        QueueFigures.EndedRun(
          id: row.integer(0), kind: kind, status: RunStatus(number: row.integer(2)),
          startedAt: Timestamp(microseconds: row.integer(3)), endedAt: Timestamp(microseconds: row.integer(4))
        ))
    }
    figures.fileBytes = FileStatus(path)?.size
    figures.walBytes = FileStatus(path + "-wal")?.size ?? 0
    figures.cost = .microseconds(max(0, SystemClock.threadTime() - began))
    return figures
  }
}
