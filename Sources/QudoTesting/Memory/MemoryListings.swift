internal import Qudo

extension MemoryDatabase {
  func find(_ query: JobQuery, now: ClockReading) -> [StoredJob] {
    let all = jobs.values.map { stored($0, now) }.sorted { $0.id < $1.id }
    let fitting = all.filter { job in
      job.id > query.after && query.ids?.contains(job.id) ?? true && query.kinds?.contains(job.kind) ?? true
        && query.states?.contains(job.state) ?? true
    }
    return Array(fitting.prefix(max(0, query.limit)))
  }

  func count(_ kinds: [Kind]?, now: ClockReading) -> [JobCount] {
    var counts: [Kind: JobCount] = [:]
    for job in jobs.values where kinds?.contains(job.kind) ?? true {
      switch stored(job, now).state {
      case .ready: counts[job.kind, default: JobCount(job.kind)].ready += 1
      case .delayed: counts[job.kind, default: JobCount(job.kind)].delayed += 1
      case .running: counts[job.kind, default: JobCount(job.kind)].running += 1
      }
    }
    for kind in counts.keys where isPaused(kind, now) { counts[kind]?.isPaused = true }
    return counts.values.sorted { $0.kind < $1.kind }
  }

  private func stored(_ row: Row, _ now: ClockReading) -> StoredJob {
    var job = StoredJob(
      id: row.id, kind: row.kind, state: .ready, payload: row.payload, uniqueKey: row.unique?.key,
      priority: row.priority,
      attempt: row.attempt, enqueuedAt: row.enqueued, dueAt: row.due, leaseExpiresAt: nil, metadata: row.meta)
    switch row.place {
    case .delayed where row.due > now.wall:
      job.state = .delayed
    case .running(let lease, _, let boot) where !hasEnded(lease, boot: boot, now):
      job.state = .running
      job.leaseExpiresAt = now.wall.advanced(by: .microseconds(lease.expiresAt - now.sinceBoot))
    case .ready, .delayed, .running: break
    }
    return job
  }
}
