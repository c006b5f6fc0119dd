#if MySQL
internal import Qudo

/// The locks of the verbs that act on jobs by number, in whatever state they are: cancel, change and recover.
extension Transaction {
  /// Runs a verb for the jobs of a query, page by page.
  ///
  /// - Parameter verb: Receives the jobs of a page, in ascending order, each once. It locks them, and returns the
  ///   results of those that are still in one of the query's states.
  func results<Result>(
    matching query: JobQuery, _ verb: ([Int64]) throws(QudoError) -> [Int64: Result]
  ) throws(QudoError) -> [Int64: Result] {
    // This may end a transaction, so it comes first.
    let kinds = try numbers(of: query.kinds)
    var results: [Int64: Result] = [:]
    var query = query
    while query.limit > 0 {
      let ids = try ids(matching: query, kinds: kinds)
      let found = try verb(ids)
      results.merge(found) { _, new in new }
      // Jobs that changed their state in the meantime leave room for others.
      guard ids.count == query.limit, found.count < ids.count, let last = ids.last else { break }
      (query.after, query.limit) = (last, ids.count - found.count)
    }
    return results
  }

  /// Locks jobs, one part after the other, and calls `body` with those that exist and are in one of the states.
  ///
  /// - Parameters:
  ///   - ids: The jobs, in ascending order, each once.
  ///   - filter: What the jobs must still meet; nil for all.
  ///   - body: Receives the jobs of a part, in the order of their ids. It must write them before it returns.
  func lock(
    _ ids: [Int64], fitting filter: JobFilter?, _ body: ([LockedJob]) throws(QudoError) -> Void
  ) throws(QudoError) {
    for part in ids.parts(of: 1000) {
      let locked = try lock(Array(part))
      let stillFit = try fitting(part, filter)
      try body(
        part.compactMap { locked[$0] }.filter {
          stillFit?.contains($0.id) ?? true && filter?.states?.contains($0.state(now)) ?? true
        })
    }
  }

  /// Returns those of the locked jobs that a filter which looks into jobs still fits; nil for all.
  private func fitting(_ ids: ArraySlice<Int64>, _ filter: JobFilter?) throws(QudoError) -> Set<Int64>? {
    guard var filter, filter.looksIntoJobs else { return nil }
    (filter.ids, filter.kinds, filter.states) = (Array(ids), nil, nil)
    return Set(try self.ids(matching: JobQuery(filter, limit: .max), kinds: nil))
  }

  /// Locks the rows of jobs in their state tables, wherever they are, and waits for sessions that have locked
  /// them. So a claim or a settlement is either seen, or finds the job cancelled, changed or recovered.
  ///
  /// - Returns: The jobs that exist.
  private func lock(_ ids: [Int64]) throws(QudoError) -> [Int64: LockedJob] {
    var locked: [Int64: LockedJob] = [:]
    var rest = ids
    // Repeat this, because a job may move between the look and the lock.
    for _ in 0..<10 {
      guard !rest.isEmpty else { return locked }
      let found = try positions(of: rest)
      // A SELECT that the server was told to stop may return no rows, so look again for jobs that are missing.
      let looks = found.missing.parts().map { "SELECT id FROM qudo_job WHERE id IN \(list: $0)" as SQL }
      let keyed = Self.lock(uniqueKeysOf: found.keyed)
      let ready = found.ready.conditions.map { condition -> SQL in
        "SELECT kind, ranking, due, id, flags FROM qudo_ready WHERE \(condition) FOR UPDATE"
      }
      let delayed = found.delayed.conditions.map { condition -> SQL in
        "SELECT kind, ranking, due, id, flags FROM qudo_delayed WHERE \(condition) FOR UPDATE"
      }
      let running = RunningRow.lock(found.running)
      // An insert that overwrites a job locks its key first, too, and concurrency keys last.
      let (keys, held) = lockHeld(found)
      var rows = try read(looks + keyed + ready + delayed + running + keys + held)[...]
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
      add(keys: take(keys.count))
      for rows in take(held.count) {
        for job in self.held(rows) { locked[job.id] = .waiting(job) }
      }
      let gone = Set(found.missing).subtracting(live)
      rest = rest.filter { locked[$0] == nil && !gone.contains($0) }
    }
    guard rest.isEmpty else {
      throw QudoError(.busy, "other sessions kept moving the jobs during the lookup: try again later")
    }
    return locked
  }

  /// Returns statements that lock the concurrency keys of jobs, and then those that read which of the jobs are held. No session moves
  /// a held job whose key is locked.
  func lockHeld(_ found: JobPositions) -> (locks: [SQL], reads: [SQL]) {
    guard !found.keys.isEmpty else { return ([], []) }
    let new = found.keys.filter { lockedKeys[$0] == nil }.sorted()
    return (KeyRows.lock(new), KeyRows.held(found.held))
  }

  /// - Parameter rows: A result of ``lockHeld(_:)``.
  /// - Returns: The jobs whose keys are locked. The server may have been told to stop a lock: see ``Write``.
  func held(_ rows: Rows) -> [Candidate] {
    rows.map { KeyRows.job($0) }.compactMap { job in
      guard let job, case .held(let key) = job.source, lockedKeys[key] != nil else { return nil }
      return job
    }
  }

  /// Looks up where jobs are, without locks.
  func positions(of ids: [Int64]) throws(QudoError) -> JobPositions {
    let looks = ids.parts().map { part -> SQL in
      """
      SELECT j.kind, j.ranking, j.due, j.id, COALESCE(r.flags, d.flags), r.id IS NOT NULL, j.concurrency_key, h.id IS NOT NULL,
        j.unique_scope
      FROM qudo_job AS j
      LEFT JOIN qudo_ready AS r ON r.kind = j.kind AND r.ranking = j.ranking AND r.due = j.due AND r.id = j.id
      LEFT JOIN qudo_delayed AS d ON d.due = j.due AND d.id = j.id
      LEFT JOIN qudo_held AS h ON h.kind = j.kind AND h.name = j.concurrency_key AND h.id = j.id
      WHERE j.id IN \(list: part)
      """
    }
    var found = JobPositions()
    var (ready, delayed): ([Candidate], [Candidate]) = ([], [])
    var (others, heldUnique): ([Int64], [Int64]) = ([], [])
    var missing = Set(ids)
    for rows in try read(looks) {
      while let row = rows.next() {
        missing.remove(row.integer(3))
        let key = row.bytesIfAny(6).map { NumberedKey(kind: row.integer(0), name: $0) }
        if let key { found.keys.insert(key) }
        if row.isNull(4), let key, row.integer(7) != 0 {
          found.held[key, default: []].append(row.integer(3))
          if !row.isNull(8) { heldUnique.append(row.integer(3)) }
        } else if row.isNull(4) {
          others.append(row.integer(3))
        } else if row.integer(5) != 0 {
          ready.append(Candidate(row, .ready))
        } else {
          delayed.append(Candidate(row, .delayed))
        }
      }
    }
    found.missing = missing.sorted()
    found.keyed = ((ready + delayed).filter { $0.hold != .none }.map(\.id) + heldUnique).sorted()
    found.heldUnique = heldUnique
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

  // MARK: Moving locked jobs

  /// Removes waiting jobs from the tables of the ready and the delayed jobs. Held ones leave their keys when they are deleted.
  func leaveWaiting(_ jobs: [Candidate]) {
    var (ready, delayed): ([Candidate], [Candidate]) = ([], [])
    for job in jobs {
      switch job.source {
      case .delayed: delayed.append(job)
      case .held: break
      case .ready, .ended: ready.append(job)
      }
    }
    for (condition, count) in PointPredicate(ready: ready).counted {
      write("DELETE FROM qudo_ready WHERE \(condition)", count: count)
    }
    for (condition, count) in PointPredicate(delayed: delayed).counted {
      write("DELETE FROM qudo_delayed WHERE \(condition)", count: count)
    }
  }

  /// Reads which running jobs are marked as cancelled. Call this after they are locked, because a session that
  /// marks a job locks it first.
  ///
  /// - Returns: The messages of the marked jobs.
  func marks(of rows: [RunningRow]) throws(QudoError) -> [Int64: String] {
    rows.isEmpty ? [:] : CancelMarks.messages(try read(CancelMarks.look(for: rows.map(\.id))))
  }

  /// Ends running jobs that are marked as cancelled.
  ///
  /// - Parameters:
  ///   - rows: The jobs, in the order of their ids.
  ///   - messages: The messages of the marks.
  func end(marked rows: [RunningRow], _ messages: [Int64: String]) throws(QudoError) {
    guard !rows.isEmpty else { return }
    for row in rows {
      log(
        row.id, .cancelled, message: messages[row.id] ?? CancelMarks.message, final: true,
        keyed: row.isLoggedWithKeys)
    }
    leaveRunning(rows)
    try deleteJobs(rows.map { DeletedJob($0) })
    deleteMarks(of: rows.map(\.id), areKnown: true)
  }

  /// Removes running jobs that are to wait again from their table. A mark that a stopped SELECT did not find keeps
  /// the transaction from being committed: the mark of a job that waits would cancel its next run.
  func leaveRunning(unmarked rows: [RunningRow]) {
    leaveRunning(rows)
    for part in rows.map(\.id).sorted().parts() {
      write(Write.check("EXISTS(SELECT 1 FROM qudo_cancel WHERE job IN \(list: part))"))
    }
  }
}

/// The states of jobs as read before they are locked; they may have changed by then.
struct JobPositions {
  var missing: [Int64] = []
  /// The waiting jobs that may hold a unique key.
  var keyed: [Int64] = []
  var ready = PointPredicate()
  var delayed = PointPredicate()
  var running: [(ends: Int64, id: Int64)] = []
  /// The concurrency keys of the jobs.
  var keys: Set<NumberedKey> = []
  /// The held jobs, and those of them that hold a unique key.
  var held: [NumberedKey: [Int64]] = [:]
  var heldUnique: [Int64] = []
}

/// A job whose row in its state table is locked.
enum LockedJob {
  case waiting(Candidate)
  case running(RunningRow)

  var id: Int64 {
    switch self {
    case .waiting(let job): job.id
    case .running(let row): row.id
    }
  }

  func state(_ now: Timestamp) -> JobState {
    switch self {
    case .waiting(let job):
      switch job.source {
      case .held: .held
      case .delayed where job.due > now.microseconds: .delayed
      case .ready, .delayed, .ended: .ready
      }
    case .running(let row): row.ends > now.microseconds ? .running : .ready
    }
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
