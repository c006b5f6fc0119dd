internal import Qudo

extension MemoryDatabase {
  func find(_ query: JobQuery, now: ClockReading) -> [StoredJob] {
    let all = jobs.values.map { stored($0, now) }.sorted { $0.id < $1.id }
    let fitting = all.filter { job in
      job.id > query.after && query.ids?.contains(job.id) ?? true && query.kinds?.contains(job.kind) ?? true
        && query.states?.contains(job.state) ?? true && query.filter.looksRight(job)
    }
    return fitting.prefix(max(0, query.limit)).map { job in
      var job = job
      if let most = query.payloadPrefix { job.payload.bytes = Array(job.payload.bytes.prefix(max(most, 0))) }
      return job
    }
  }

  func outcomes(of ids: [Int64], now: ClockReading) -> [JobOutcome] {
    ids.map { id in
      if let row = jobs[id] { return .unfinished(stored(row, now)) }
      return JobOutcome(
        failure: failures.last { $0.record.job == id && $0.record.isFinal }?.record,
        status: statuses.last { $0.job == id }, existed: id > 0 && id <= lastJob)
    }
  }

  /// Returns the live job that holds a unique key, or else the newest one in the logs.
  func job(withUniqueKey key: String, kind: Kind) -> Int64? {
    if let holder = holder(of: key, kind: kind) { return holder.id }
    let isSame = { (other: String?) in other?.utf8.elementsEqual(key.utf8) == true }
    let failed = failures.filter { $0.kind == kind && isSame($0.record.uniqueKey) }.map(\.job)
    let ended = statuses.filter { $0.kind == kind && isSame($0.uniqueKey) }.map(\.job)
    return (failed + ended).max()
  }

  func count(_ kinds: [Kind]?, now: ClockReading) -> [JobCount] {
    var counts: [Kind: JobCount] = [:]
    for job in jobs.values where kinds?.contains(job.kind) ?? true {
      switch stored(job, now).state {
      case .ready: counts[job.kind, default: JobCount(job.kind)].ready += 1
      case .delayed: counts[job.kind, default: JobCount(job.kind)].delayed += 1
      case .running: counts[job.kind, default: JobCount(job.kind)].running += 1
      case .held: counts[job.kind, default: JobCount(job.kind)].held += 1
      }
    }
    for kind in counts.keys where isPaused(kind, now) { counts[kind]?.isPaused = true }
    return counts.values.sorted { $0.kind < $1.kind }
  }

  private func stored(_ row: Row, _ now: ClockReading) -> StoredJob {
    var job = StoredJob(
      id: row.id, kind: row.kind, state: .ready, payload: row.payload, uniqueKey: row.unique?.key,
      priority: row.priority,
      attempt: row.attempt, enqueuedAt: row.enqueued, dueAt: row.due, leaseExpiresAt: nil, metadata: row.meta,
      expiresAt: row.expires, expiredLeases: row.lost, concurrencyKey: row.key?.text,
      group: row.groupName)
    switch row.place {
    case .delayed where row.due > now.wall:
      job.state = .delayed
    case .running(let lease, _, let boot) where !hasEnded(lease, boot: boot, now):
      job.state = .running
      job.startedAt = row.claimed
      job.leaseExpiresAt = now.wall.advanced(by: .microseconds(lease.expiresAt - now.sinceBoot))
    case .held: job.state = .held
    case .ready, .delayed, .running: break
    }
    return job
  }
}
