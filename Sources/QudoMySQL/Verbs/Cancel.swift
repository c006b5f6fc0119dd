#if MySQL
internal import Qudo

extension Transaction {
  /// Runs the whole cancel verb for jobs with known numbers.
  func run(cancelling jobs: [Int64], reason: String?) throws(QudoError) -> [CancelResult] {
    let results: [Int64: CancelResult]
    if let done = try wasCommitted() {
      results = done.cancelled
    } else {
      results = try cancel(Set(jobs).sorted(), reason: reason, filter: nil)
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
      results = try self.results(matching: query) { ids throws(QudoError) in
        try cancel(ids, reason: reason, filter: query.filter)
      }
      receipt.cancelled = results
      try commit()
    }
    return results.sorted { $0.key < $1.key }.map { CancelledJob(id: $0.key, result: $0.value) }
  }

  /// - Parameters:
  ///   - ids: The jobs, in ascending order, each once.
  ///   - filter: What a job must still meet; nil for all.
  /// - Returns: The results of the jobs that do.
  private func cancel(_ ids: [Int64], reason: String?, filter: JobFilter?) throws(QudoError)
    -> [Int64: CancelResult]
  {
    var results: [Int64: CancelResult] = [:]
    try lock(ids, fitting: filter) { jobs throws(QudoError) in
      var ending = CancelledJobs()
      for job in jobs { results[job.id] = ending.add(job, now) ? .cancelled : .cancelling }
      try write(ending, reason: reason)
    }
    return results
  }

  private func write(_ jobs: CancelledJobs, reason: String?) throws(QudoError) {
    leaveWaiting(jobs.waiting)
    leaveRunning(jobs.expired)
    log(
      jobs.ended.map(\.job), .cancelled, message: reason ?? CancelMarks.message, final: true,
      keyed: jobs.ended.contains { $0.mayBeKeyed || $0.mayBeGrouped })
    try deleteJobs(jobs.ended)
    deleteMarks(of: jobs.expired.map(\.id), areKnown: false)
    guard !jobs.running.isEmpty else { return }
    wakes = true
    entries.endTrust = true
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
}

/// The jobs of a cancel, by what happens to them.
private struct CancelledJobs {
  private(set) var waiting: [Candidate] = []
  /// Jobs with an expired lease. They end like waiting jobs.
  private(set) var expired: [RunningRow] = []
  /// The jobs that end, in the order of their ids.
  private(set) var ended: [DeletedJob] = []
  /// The jobs that get a mark.
  private(set) var running: [Int64] = []

  /// - Returns: Whether the job ends at once.
  mutating func add(_ job: LockedJob, _ now: Timestamp) -> Bool {
    switch job {
    case .waiting(let job):
      waiting.append(job)
      ended.append(DeletedJob(job))
    case .running(let row) where row.ends > now.microseconds:
      running.append(row.id)
      return false
    case .running(let row):
      expired.append(row)
      ended.append(DeletedJob(row))
    }
    return true
  }
}
#endif
