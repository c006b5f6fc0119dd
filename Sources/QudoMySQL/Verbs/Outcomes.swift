#if MySQL
internal import Qudo

extension Transaction {
  /// Returns what became of jobs, all at one moment. It locks nothing.
  func outcomes(of jobs: [Int64]) throws(QudoError) -> [JobOutcome] {
    let ids = Set(jobs).sorted()
    guard !ids.isEmpty else { return [] }
    // A SELECT that the server was told to stop may return no rows: see ``Write``. So look a second time for the
    // jobs that left no trace, and if that finds one of them, for all jobs.
    for _ in 0..<10 {
      var found = try outcomes(at: ids)
      let missing = ids.filter { !found.hasTrace(of: $0) }
      if !missing.isEmpty {
        let again = try outcomes(at: missing)
        // A job that was enqueued in the meantime is found as well.
        guard !missing.contains(where: { again.hasTrace(of: $0) }) else { continue }
        found.nextID = found.nextID ?? again.nextID
      }
      return jobs.map { found.outcome(of: $0) }
    }
    throw QudoError(.busy, "the jobs kept appearing between two looks at them: try again later")
  }

  /// - Parameter ids: The jobs, in ascending order, each once.
  private func outcomes(at ids: [Int64]) throws(QudoError) -> FoundOutcomes {
    let parts = ids.parts()
    let live = parts.map { Self.live($0) }
    let failures = parts.map { LogTable.failure.newest(of: $0) }
    let statuses = parts.map { LogTable.status.newest(of: $0) }
    // Read the next id first. A job that is enqueued in the meantime then counts as one that does not exist yet,
    // not as one that has ended.
    var rows = try look(live + failures + statuses, after: [FoundOutcomes.readNextID])[...]
    var found = FoundOutcomes()
    found.nextID = rows.popFirst()?.next()?.integerIfAny(0)
    for rows in rows.prefix(live.count) {
      for job in rows.map({ StoredJob($0) }) { found.live[job.id] = job }
    }
    for rows in rows.dropFirst(live.count).prefix(failures.count) {
      for failure in rows.map({ FailureRecord($0) }) { found.failures[failure.job] = failure }
    }
    for rows in rows.dropFirst(live.count + failures.count) {
      for status in rows.map({ StatusRecord($0) }) { found.statuses[status.job] = status }
    }
    return found
  }

  /// Returns the lowest id that was not given out before; nil if it is unknown.
  func nextID() throws(QudoError) -> Int64? { try look(FoundOutcomes.readNextID).next()?.integerIfAny(0) }

  /// Returns the live job that holds a unique key, or else the newest one in the logs.
  func job(withUniqueKey key: String, kind: Kind) throws(QudoError) -> Int64? {
    guard let kind = try numbers(of: [kind])?.first else { return nil }
    let name = Array(key.utf8)
    // One statement sees one moment. A key may belong to a job that is missing: see ``UniqueKeyLookup``.
    let select: SQL = """
      SELECT (SELECT j.id FROM qudo_unique AS u JOIN qudo_job AS j ON j.id = u.job WHERE u.kind = \(kind) AND u.name = \(name)),
        (SELECT MAX(job) FROM qudo_failure WHERE kind = \(kind) AND unique_key = \(name)),
        (SELECT MAX(job) FROM qudo_status WHERE kind = \(kind) AND unique_key = \(name))
      """
    // A subquery that the server was told to stop may return NULL, so ask for a holder twice.
    var found: Int64?
    for _ in 0..<2 {
      guard let row = try look(select).next() else { continue }
      if let holder = row.integerIfAny(0) { return holder }
      found = [found, row.integerIfAny(1), row.integerIfAny(2)].compactMap(\.self).max()
    }
    return found
  }
}

/// The traces of jobs at one moment.
private struct FoundOutcomes {
  /// The lowest id that was not given out before that moment; nil if it is unknown.
  var nextID: Int64?
  var live: [Int64: StoredJob] = [:]
  /// The newest failure of each job. A final one is the last.
  var failures: [Int64: FailureRecord] = [:]
  /// The newest run of each job.
  var statuses: [Int64: StatusRecord] = [:]

  /// The query for the next id. It needs no privilege beyond those for the table.
  ///
  /// MySQL answers it from a cache unless the session sets `information_schema_stats_expiry` to 0: see
  /// ``SessionSettings``.
  static let readNextID: SQL = """
    SELECT LEAST(MAX(AUTO_INCREMENT), \(Int64.max)) FROM information_schema.TABLES
    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'qudo_job'
    """

  /// Whether the job is live, or a log says how it ended.
  func hasTrace(of id: Int64) -> Bool {
    live[id] != nil || failures[id]?.isFinal == true || statuses[id].map { $0.status.ends } ?? false
  }

  func outcome(of id: Int64) -> JobOutcome {
    if let job = live[id] { return .unfinished(job) }
    let wasGiven = id > 0 && nextID.map { id < $0 } ?? false
    return JobOutcome(
      failure: failures[id].flatMap { $0.isFinal ? $0 : nil }, status: statuses[id],
      existed: wasGiven || failures[id] != nil || statuses[id] != nil)
  }
}

extension RunStatus {
  /// Whether the run completed the job.
  fileprivate var ends: Bool { self == .completed || self == .replaced }
}
#endif
