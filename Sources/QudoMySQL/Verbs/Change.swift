#if MySQL
internal import Qudo

extension Transaction {
  /// Runs the whole change verb for jobs with known numbers.
  func run(changing jobs: [Int64], _ change: JobChange, _ limits: Limits) throws(QudoError) -> [ChangeResult]
  {
    let results: [Int64: ChangeResult]
    if let done = try wasCommitted() {
      results = done.changed
    } else {
      results = try self.change(Set(jobs).sorted(), change, limits, filter: nil)
      receipt.changed = results
      try commit()
    }
    return jobs.map { results[$0] ?? .notFound }
  }

  /// Runs the whole change verb for the jobs of a query.
  func run(changing query: JobQuery, _ change: JobChange, _ limits: Limits) throws(QudoError) -> [ChangedJob]
  {
    let results: [Int64: ChangeResult]
    if let done = try wasCommitted() {
      results = done.changed
    } else {
      results = try self.results(matching: query) { ids throws(QudoError) in
        try self.change(ids, change, limits, filter: query.filter)
      }
      receipt.changed = results
      try commit()
    }
    return results.sorted { $0.key < $1.key }.map { ChangedJob(id: $0.key, result: $0.value) }
  }

  /// - Parameters:
  ///   - ids: The jobs, in ascending order, each once.
  ///   - filter: What a job must still meet; nil for all.
  /// - Returns: The results of the jobs that do.
  private func change(_ ids: [Int64], _ change: JobChange, _ limits: Limits, filter: JobFilter?)
    throws(QudoError) -> [Int64: ChangeResult]
  {
    var results: [Int64: ChangeResult] = [:]
    try lock(ids, fitting: filter) { jobs throws(QudoError) in
      let messages = try marks(of: jobs.compactMap { $0.expired(now) })
      var changed = ChangedJobs(change, now, turns: kinds.control.withLock { $0.grouped })
      for job in jobs { results[job.id] = changed.add(job, isMarked: messages[job.id] != nil) }
      try checkSizes(of: changed.ids, change, limits)
      try write(changed, change)
      // After the changes: this may admit held jobs, and files them as they are now.
      try end(marked: changed.marked, messages)
    }
    return results
  }

  private func write(_ jobs: ChangedJobs, _ change: JobChange) throws(QudoError) {
    guard !jobs.ids.isEmpty else { return }
    wakes = true
    forgetFronts()
    leaveWaiting(jobs.left)
    leaveRunning(unmarked: jobs.expired)
    try update(jobs.ids, change)
    if let expiry = change.expires {
      store(expiry.moment(now), of: jobs.ids, hadOne: jobs.mayExpire)
    } else {
      storeExpiries(of: jobs.expired.filter(\.mayExpire).map(\.id))
    }
    let moved = jobs.moved
    let (due, early) = try early(jobs, change)
    let ready = try placing(due, leaving: jobs.left, keepsDue: change.due == nil) {
      moved.contains($0.id)
    }
    store(places: ready)
    for job in early { write("UPDATE qudo_job SET due = \(job.due) WHERE id = \(job.id)", count: 1) }
    let delayed = jobs.delayed + early
    clearPlaces(of: delayed.filter(\.mayBeGrouped).map(\.id))
    insertWaiting(ready: ready, delayed: delayed)
  }

  /// Divides the jobs that seem ready by their true due times, if they leave places among groups that are later than now: the clock may
  /// have been set back.
  ///
  /// - Returns: The jobs that are ready, and those that are delayed, at their true due times.
  private func early(_ jobs: ChangedJobs, _ change: JobChange) throws(QudoError) -> (
    ready: [Candidate], delayed: [Candidate]
  ) {
    func mayBeEarly(_ job: Candidate) -> Bool {
      change.due == nil && job.due > now.microseconds && jobs.moved.contains(job.id)
    }
    guard jobs.ready.contains(where: mayBeEarly) else { return (jobs.ready, []) }
    let known = try groups(of: jobs.ready.filter(mayBeEarly).map(\.id))
    var (ready, delayed): ([Candidate], [Candidate]) = ([], [])
    for job in jobs.ready {
      let due = known[job.id]?.due ?? job.due
      if mayBeEarly(job), due > now.microseconds {
        delayed.append(job.delayed(until: due))
      } else {
        ready.append(job)
      }
    }
    return (ready, delayed)
  }

  /// Writes the new values to the jobs' own rows.
  private func update(_ ids: [Int64], _ change: JobChange) throws(QudoError) {
    var columns: [SQL] = []
    if let priority = change.priority { columns.append("ranking = \(0 &- Int64(priority))") }
    if let due = change.due { columns.append("due = \(due.moment(now).microseconds)") }
    if let payload = change.payload {
      columns.append("payload = \(payload.bytes), codec = \(payload.codec.number)")
    }
    if let metadata = change.metadata {
      columns.append("meta = \(metadata.isEmpty ? nil : metadata.bytes)")
    }
    if let expires = change.expires { columns.append("expires = \(expires.moment(now)?.microseconds)") }
    let start: SQL = "UPDATE qudo_job SET \(columns.joined(", ")) WHERE "
    try checkPacket(start.bytes.count, payload: change.payload?.bytes.count ?? 0)
    // The ids of a part take at most 21 bytes each.
    let fits = start.bytes.count + mostPoints * 21 + 512 <= connection.packet
    for part in fits ? ids.idParts() : ids.parts(of: 1) {
      write("\(start)\(ids: part)", count: part.count)
    }
  }

  /// Checks jobs that get only one of the two values that count for the limit.
  private func checkSizes(of ids: [Int64], _ change: JobChange, _ limits: Limits) throws(QudoError) {
    guard !ids.isEmpty, (change.payload == nil) != (change.metadata == nil) else { return }
    let new = (change.payload?.bytes.count ?? 0) + (change.metadata?.bytes.count ?? 0)
    let kept: SQL = change.payload == nil ? "payload" : "meta"
    var count = 0
    for rows in try read(
      ids.parts().map { part -> SQL in
        "SELECT id, COALESCE(LENGTH(\(kept)), 0) FROM qudo_job WHERE id IN \(list: part) ORDER BY id"
      })
    {
      while let row = rows.next() {
        count += 1
        let bytes = Int(clamping: row.integer(1)) + new
        guard bytes > limits.payloadBytes else { continue }
        throw QudoError(
          .invalidArgument,
          "job \(row.integer(0)) would have \(bytes) bytes of payload and metadata, the limit is \(limits.payloadBytes): give less"
        )
      }
    }
    // A SELECT that the server was told to stop may return no rows: see ``Write``.
    guard count == ids.count else { throw .short(count, ids.count) }
  }
}

/// The jobs of a change, by what happens to them.
private struct ChangedJobs {
  private let ranking: Int64?
  private let due: Int64?
  /// Whether the change gives the jobs an expiry.
  private let expires: Bool
  private let now: Int64
  /// The jobs that get the new values, in the order of their ids.
  private(set) var ids: [Int64] = []
  /// The waiting jobs that leave their position.
  private(set) var left: [Candidate] = []
  /// The changed jobs with an expired lease.
  private(set) var expired: [RunningRow] = []
  /// The jobs with an expired lease that are marked as cancelled. They end.
  private(set) var marked: [RunningRow] = []
  /// The jobs that become ready, or stay ready at another position; with their new positions.
  private(set) var ready: [Candidate] = []
  private(set) var delayed: [Candidate] = []
  /// Those of the ready ones that take another turn among the groups.
  private(set) var moved: Set<Int64> = []
  /// The changed jobs that may have had an expiry.
  private(set) var mayExpire: [Int64] = []

  /// The kinds whose jobs take turns without a group of their own, perhaps.
  private let turns: Set<Int64>

  init(_ change: JobChange, _ now: Timestamp, turns: Set<Int64>) {
    self.turns = turns
    ranking = change.priority.map { 0 &- Int64($0) }
    due = change.due.map { $0.moment(now).microseconds }
    expires = change.expires.map { $0 != .never } ?? false
    self.now = now.microseconds
  }

  mutating func add(_ job: LockedJob, isMarked: Bool) -> ChangeResult {
    switch job {
    case .running(let row) where row.ends > now:
      return .running
    case .running(let row) where isMarked:
      marked.append(row)
      return .notFound
    case .running(let row):
      expired.append(row)
      if row.mayExpire { mayExpire.append(row.id) }
      enter(
        Candidate(row, due: row.due), wasReady: true)
    case .waiting(let job):
      if job.mayExpire { mayExpire.append(job.id) }
      // A job that only gets another payload usually keeps its position.
      guard !stays(job) else { break }
      left.append(job)
      enter(
        job, wasReady: { if case .delayed = job.source { false } else { true } }())
    }
    ids.append(job.id)
    return .changed
  }

  private func stays(_ job: Candidate) -> Bool {
    // A held job gets its position when it is admitted.
    if case .held = job.source { return true }
    if due != nil, job.mayBeGrouped || turns.contains(job.kind) { return false }
    let isDelayed = if case .delayed = job.source { true } else { false }
    // Its row is to say that it may have an expiry.
    guard !expires || job.mayExpire else { return false }
    // The place of a ready job may be later than now.
    let isDue = job.due <= now || job.mayBeGrouped && !isDelayed
    return (ranking ?? job.ranking, due ?? job.due) == (job.ranking, job.due) && isDelayed != isDue
  }

  private mutating func enter(_ old: Candidate, wasReady: Bool) {
    let (ranking, due) = (self.ranking ?? old.ranking, self.due ?? old.due)
    let isReady = due <= now || self.due == nil && wasReady && old.mayBeGrouped
    let job = Candidate(
      kind: old.kind, ranking: ranking, due: due, id: old.id, hold: old.hold,
      mayExpire: old.mayExpire || expires, mayBeKeyed: old.mayBeKeyed, source: isReady ? .ready : .delayed,
      mayBeGrouped: old.mayBeGrouped)
    guard isReady else { return delayed.append(job) }
    ready.append(job)
    if self.due != nil || ranking != old.ranking || !wasReady { moved.insert(job.id) }
  }
}

extension LockedJob {
  /// The row of a running job whose lease has expired.
  fileprivate func expired(_ now: Timestamp) -> RunningRow? {
    if case .running(let row) = self, row.ends <= now.microseconds { row } else { nil }
  }
}
#endif
