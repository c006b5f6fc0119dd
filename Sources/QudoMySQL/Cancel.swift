#if MySQL
internal import Qudo

extension Transaction {
  /// Runs the whole cancel verb for jobs with known numbers.
  func run(cancelling jobs: [Int64], reason: String?) throws(QudoError) -> [CancelResult] {
    let results: [Int64: CancelResult]
    if let done = try wasCommitted() {
      results = done.cancelled
    } else {
      results = try cancel(Set(jobs).sorted(), reason: reason, states: nil)
      receipt.cancelled = results
      try commit()
    }
    return jobs.map { results[$0] ?? .notFound }
  }

  /// Runs the whole cancel verb for the jobs of a query.
  func run(cancelling query: JobQuery, reason: String?) throws(QudoError) -> [CancelledJob] {
    let results: [Int64: CancelResult]
    if let done = try wasCommitted() {
      results = done.cancelled
    } else {
      results = try cancel(matching: query, reason: reason)
      receipt.cancelled = results
      try commit()
    }
    return results.sorted { $0.key < $1.key }.map { CancelledJob(id: $0.key, result: $0.value) }
  }

  private func cancel(matching query: JobQuery, reason: String?) throws(QudoError) -> [Int64: CancelResult] {
    // This may end a transaction, so it comes first.
    let kinds = try numbers(of: query.kinds)
    var results: [Int64: CancelResult] = [:]
    var query = query
    while query.limit > 0 {
      let ids = try ids(matching: query, kinds: kinds)
      let found = try cancel(ids, reason: reason, states: query.states)
      results.merge(found) { _, new in new }
      // Jobs that changed their state in the meantime leave room for others.
      guard ids.count == query.limit, found.count < ids.count, let last = ids.last else { break }
      (query.after, query.limit) = (last, ids.count - found.count)
    }
    return results
  }

  /// - Parameters:
  ///   - ids: The jobs, in ascending order, each once.
  ///   - states: The states in which a job is cancelled; nil for all.
  /// - Returns: The results of the jobs that were found in one of these states.
  private func cancel(_ ids: [Int64], reason: String?, states: Set<JobState>?) throws(QudoError)
    -> [Int64: CancelResult]
  {
    var results: [Int64: CancelResult] = [:]
    for part in ids.parts(of: 1000) {
      let locked = try lock(Array(part))
      var ending = CancelledJobs()
      for id in part {
        guard let place = locked[id], states?.contains(place.state(now)) ?? true else { continue }
        results[id] = ending.add(place, id, now) ? .cancelled : .cancelling
      }
      write(ending, reason: reason)
    }
    return results
  }

  private func write(_ jobs: CancelledJobs, reason: String?) {
    for (condition, count) in jobs.readyPoints.counted {
      write("DELETE FROM qudo_ready WHERE \(condition)", count: count)
    }
    for (condition, count) in jobs.delayedPoints.counted {
      write("DELETE FROM qudo_delayed WHERE \(condition)", count: count)
    }
    leaveRunning(jobs.expired)
    log(jobs.ended.map(\.job), .cancelled, message: reason ?? CancelMarks.message, final: true)
    deleteJobs(jobs.ended)
    deleteMarks(of: jobs.expired.map(\.id), areKnown: false)
    guard !jobs.running.isEmpty else { return }
    wakes = true
    for part in jobs.running.parts() {
      let rows = part.map { id -> SQL in
        "(\(id),\(now.microseconds),\(reason.map { Array($0.utf8) }))"
      }
      // The first mark of a job stays. IGNORE would ignore more than a mark that exists.
      write(
        "INSERT INTO qudo_cancel(job, at, reason) VALUES\(rows.joined(",")) ON DUPLICATE KEY UPDATE at = qudo_cancel.at"
      )
    }
  }

  // MARK: Locking

  /// Locks the rows of jobs in their state tables, wherever they are, and waits for sessions that have locked
  /// them. So a claim or a settlement is either seen, or finds the job cancelled.
  ///
  /// - Returns: The positions of the jobs that exist.
  private func lock(_ ids: [Int64]) throws(QudoError) -> [Int64: CancelPlace] {
    var locked: [Int64: CancelPlace] = [:]
    var rest = ids
    // Repeat this, because a job may move between the look and the lock.
    for _ in 0..<10 {
      guard !rest.isEmpty else { return locked }
      let found = try places(of: rest)
      // A SELECT that the server was told to stop may return no rows, so look again for jobs that are missing.
      let looks = found.missing.parts().map { "SELECT id FROM qudo_job WHERE id IN \(list: $0)" as SQL }
      let keyed = found.keyed.parts().map { part -> SQL in
        "SELECT job FROM qudo_unique WHERE job IN \(list: part) FOR UPDATE"
      }
      let ready = found.ready.conditions.map { condition -> SQL in
        "SELECT kind, ranking, due, id, frees FROM qudo_ready WHERE \(condition) FOR UPDATE"
      }
      let delayed = found.delayed.conditions.map { condition -> SQL in
        "SELECT kind, ranking, due, id, frees FROM qudo_delayed WHERE \(condition) FOR UPDATE"
      }
      let running = RunningRow.lock(found.running)
      // An insert that overwrites a job locks its key first, too.
      var rows = try read(looks + keyed + ready + delayed + running)[...]
      func take(_ count: Int) -> ArraySlice<Rows> {
        defer { rows = rows.dropFirst(count) }
        return rows.prefix(count)
      }
      let live = Set(take(looks.count).flatMap { rows in rows.map { $0.integer(0) } })
      _ = take(keyed.count)
      for rows in take(ready.count) {
        for job in rows.map({ Candidate($0, .ready) }) { locked[job.id] = .waiting(job) }
      }
      for rows in take(delayed.count) {
        for job in rows.map({ Candidate($0, .delayed) }) { locked[job.id] = .waiting(job) }
      }
      for rows in take(running.count) {
        for row in rows.map({ RunningRow($0) }) { locked[row.id] = .running(row) }
      }
      let gone = Set(found.missing).subtracting(live)
      rest = rest.filter { locked[$0] == nil && !gone.contains($0) }
    }
    guard rest.isEmpty else {
      throw QudoError(.busy, "other sessions kept moving the jobs during the lookup: try again later")
    }
    return locked
  }

  /// Looks up where jobs are, without locks.
  private func places(of ids: [Int64]) throws(QudoError) -> CancelPlaces {
    let looks = ids.parts().map { part -> SQL in
      """
      SELECT j.kind, j.ranking, j.due, j.id, COALESCE(r.frees, d.frees), r.id IS NOT NULL FROM qudo_job AS j
      LEFT JOIN qudo_ready AS r ON r.kind = j.kind AND r.ranking = j.ranking AND r.due = j.due AND r.id = j.id
      LEFT JOIN qudo_delayed AS d ON d.due = j.due AND d.id = j.id
      WHERE j.id IN \(list: part)
      """
    }
    var found = CancelPlaces()
    var (ready, delayed): ([Candidate], [Candidate]) = ([], [])
    var others: [Int64] = []
    var missing = Set(ids)
    for rows in try read(looks) {
      while let row = rows.next() {
        missing.remove(row.integer(3))
        if row.isNull(4) {
          others.append(row.integer(3))
        } else if row.integer(5) != 0 {
          ready.append(Candidate(row, .ready))
        } else {
          delayed.append(Candidate(row, .delayed))
        }
      }
    }
    found.missing = missing.sorted()
    found.keyed = (ready + delayed).filter { $0.hold != .none }.map(\.id).sorted()
    found.ready = PointPredicate(ready: ready)
    found.delayed = PointPredicate(delayed: delayed)
    // The running jobs have no index by id.
    let running = others.sorted().parts().map { part -> SQL in
      "SELECT ends, id FROM qudo_running WHERE id IN \(list: part)"
    }
    if !running.isEmpty {
      found.running = try read(running).flatMap { rows in
        rows.map { (ends: $0.integer(0), id: $0.integer(1)) }
      }
    }
    return found
  }
}

/// Where jobs seem to be, before they are locked.
private struct CancelPlaces {
  var missing: [Int64] = []
  /// The waiting jobs that may hold a unique key.
  var keyed: [Int64] = []
  var ready = PointPredicate()
  var delayed = PointPredicate()
  var running: [(ends: Int64, id: Int64)] = []
}

/// The locked row of a job.
private enum CancelPlace {
  case waiting(Candidate)
  case running(RunningRow)

  func state(_ now: Timestamp) -> JobState {
    switch self {
    case .waiting(let job):
      if case .delayed = job.source, job.due > now.microseconds { .delayed } else { .ready }
    case .running(let row): row.ends > now.microseconds ? .running : .ready
    }
  }
}

/// The jobs of a cancel, by what happens to them.
private struct CancelledJobs {
  private var ready: [Candidate] = []
  private var delayed: [Candidate] = []
  /// Jobs with an expired lease. They end like waiting jobs.
  private(set) var expired: [RunningRow] = []
  /// The jobs that end, in the order of their ids.
  private(set) var ended: [DeletedJob] = []
  /// The jobs that get a mark.
  private(set) var running: [Int64] = []

  var readyPoints: PointPredicate { PointPredicate(ready: ready) }
  var delayedPoints: PointPredicate { PointPredicate(delayed: delayed) }

  /// - Returns: Whether the job ends at once.
  mutating func add(_ place: CancelPlace, _ id: Int64, _ now: Timestamp) -> Bool {
    switch place {
    case .waiting(let job):
      if case .delayed = job.source { delayed.append(job) } else { ready.append(job) }
      ended.append(DeletedJob(job: id, hold: job.hold))
    case .running(let row) where row.ends > now.microseconds:
      running.append(id)
      return false
    case .running(let row):
      expired.append(row)
      ended.append(DeletedJob(job: id, hold: row.hold))
    }
    return true
  }
}

extension PointPredicate {
  /// The rows of these jobs in `qudo_ready`.
  fileprivate init(ready jobs: [Candidate]) {
    self.init()
    for job in jobs.sorted(by: { ($0.kind, $0.ranking, $0.due, $0.id) < ($1.kind, $1.ranking, $1.due, $1.id) }
    ) {
      add("kind = \(job.kind) AND ranking = \(job.ranking) AND due = \(job.due)", job.id)
    }
  }

  /// The rows of these jobs in `qudo_delayed`.
  fileprivate init(delayed jobs: [Candidate]) {
    self.init()
    for job in jobs.sorted(by: { ($0.due, $0.id) < ($1.due, $1.id) }) { add("due = \(job.due)", job.id) }
  }
}
#endif
