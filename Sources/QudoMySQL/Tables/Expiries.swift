#if MySQL
internal import Qudo

/// The expiries of jobs. `qudo_expiry` has a row for each job with an expiry; jobs without one never touch it.
///
/// The row of a job has the same expiry as the job's own row. A transaction that lets such a job wait, or changes its
/// expiry, stores the row. A transaction that ends the job deletes it.
///
/// A claim looks for rows whose time has come only if the next times say that there are some. It locks the rows first,
/// and skips those that others have locked. Then it looks where the jobs are:
///
/// - It locks waiting jobs, moves them to the failure log, and deletes the rows.
/// - It deletes the row of a running job, which no longer matters while the job runs. The transaction that lets the
///   job wait again stores the row again; if the claim has locked it, that transaction waits.
/// - It deletes the row of a job that is gone: a stopped statement may have left it.
///
/// Waiting jobs and leases say whether a job may have an expiry, so that the others pay nothing: see
/// ``Candidate/flags`` and ``ClaimedRows``.
enum ExpiryRows {
  /// The message for the failure log.
  static let message = "the job still waited at its expiry"
  /// The maximum number of rows that one claim looks at.
  static let sweep = 1000
  /// The bit of the column `flags` of a waiting job that may have an expiry.
  static let bit: Int64 = 4
  /// The value of a column for a job without an expiry.
  static let never = Int64.max

  /// Returns the query for rows whose time has come.
  static let due: SQL =
    "SELECT id FROM qudo_expiry WHERE expires <= @n ORDER BY expires, id LIMIT \(sweep) FOR UPDATE SKIP LOCKED"

  /// Returns a statement that gives one expiry to jobs.
  static func store(_ ids: ArraySlice<Int64>, _ expires: Int64) -> SQL {
    let rows = ids.map { id -> SQL in "(\(id),\(expires))" }
    return
      "INSERT INTO qudo_expiry(id, expires) VALUES\(rows.joined(",")) ON DUPLICATE KEY UPDATE expires = \(expires)"
  }
}

extension Expiry {
  /// - Parameter now: The time of the transaction.
  /// - Returns: Nil for never.
  func sql(_ now: SQL) -> SQL? {
    switch self {
    case .never: nil
    case .after(let duration): "LEAST(\(now) + \(Due.bounded(duration)), \(Timestamp.latest.microseconds))"
    case .at(let time): "\(time.microseconds)"
    }
  }
}

extension Transaction {
  /// Stores the rows of jobs that wait again. They may be there.
  ///
  /// - Parameter ids: Jobs that may have an expiry.
  func storeExpiries(of ids: [Int64]) {
    if !ids.isEmpty { entries.endTrust = true }
    for part in ids.sorted().parts() {
      write(
        """
        INSERT INTO qudo_expiry(id, expires) SELECT id, expires FROM qudo_job \
        WHERE id IN \(list: part) AND expires IS NOT NULL ON DUPLICATE KEY UPDATE expires = qudo_expiry.expires
        """)
      // How many of the jobs have an expiry is unknown.
      write(
        Write.check(
          """
          EXISTS(SELECT 1 FROM qudo_job AS j LEFT JOIN qudo_expiry AS e ON e.id = j.id \
          WHERE j.id IN \(list: part) AND j.expires IS NOT NULL AND e.id IS NULL)
          """))
    }
  }

  /// Stores one expiry, or none, for waiting jobs.
  ///
  /// - Parameter hadOne: Those of the jobs that may have an expiry.
  func store(_ expiry: Timestamp?, of ids: [Int64], hadOne: [Int64]) {
    guard let expiry else { return deleteExpiries(of: hadOne) }
    entries.endTrust = true
    for part in ids.parts(of: 1000) { write(ExpiryRows.store(part, expiry.microseconds)) }
  }

  /// Deletes the rows of jobs. A row that stays, because the statement was stopped, is deleted when its time comes.
  func deleteExpiries(of ids: [Int64]) {
    for part in ids.sorted().parts() { write("DELETE FROM qudo_expiry WHERE id IN \(list: part)") }
  }

  /// Keeps the transaction from being committed if it takes a job whose expiry has passed. The job was enqueued with
  /// such an expiry, or got it, while the claim was reading.
  func checkExpiries(of jobs: [Candidate]) {
    for part in jobs.filter(\.mayExpire).map(\.id).sorted().parts() {
      write(
        Write.check(
          "EXISTS(SELECT 1 FROM qudo_job WHERE id IN \(list: part) AND expires <= \(now.microseconds))"))
    }
  }

  // MARK: Sweeping

  /// Moves waiting jobs whose expiry has passed to the failure log.
  ///
  /// - Parameter overdue: Jobs with an expired lease that end with them.
  /// - Returns: The jobs, and whether more may be left.
  func expireWaiting(_ overdue: [EndedLease]) throws(QudoError) -> (jobs: [GivenUpJob], hasMore: Bool) {
    useTime()
    let ids = try read(ExpiryRows.due).map { $0.integer(0) }.sorted()
    guard !ids.isEmpty else { return (try expire([], overdue).jobs, false) }
    let found = try positions(of: ids)
    let locked = try lockFree(found)
    let (jobs, stale) = try expire(locked, overdue)
    // Positive evidence that the job runs: a stopped SELECT may return too few rows, but no wrong ones.
    let running = found.running.map(\.id)
    deleteExpiries(of: running + stale)
    for part in found.missing.parts() {
      write(
        """
        DELETE FROM qudo_expiry WHERE id IN \(list: part) \
        AND NOT EXISTS (SELECT 1 FROM qudo_job WHERE qudo_job.id = qudo_expiry.id)
        """)
    }
    let isProgress = !jobs.isEmpty || !running.isEmpty || !stale.isEmpty || !found.missing.isEmpty
    return (jobs, ids.count >= ExpiryRows.sweep && isProgress)
  }

  /// Locks waiting jobs. It skips those that others have locked: they claim, change or end them.
  private func lockFree(_ found: JobPositions) throws(QudoError) -> [Candidate] {
    var statements: [(sql: SQL, source: Candidate.Source)] = []
    for (table, places, source) in [
      ("qudo_ready", found.ready, .ready), ("qudo_delayed", found.delayed, .delayed),
    ] as [(SQL, PointPredicate, Candidate.Source)] {
      for condition in places.conditions {
        statements.append(
          (
            "SELECT kind, ranking, due, id, flags FROM \(table) WHERE \(condition) FOR UPDATE SKIP LOCKED",
            source
          ))
      }
    }
    let unique = Self.lock(uniqueKeysOf: found.heldUnique)
    let (locks, held) = lockHeld(found)
    guard !statements.isEmpty || !held.isEmpty else { return [] }
    let rows = try read(statements.map(\.sql) + unique + locks + held)
    let rest = rows.dropFirst(statements.count + unique.count)
    add(keys: rest.prefix(locks.count))
    let waiting = zip(rows, statements).flatMap { rows, statement in
      rows.map { Candidate($0, statement.source) }
    }
    return waiting + rest.dropFirst(locks.count).flatMap { self.held($0) }
  }

  /// Moves those of some locked jobs whose expiry has passed to the failure log, in the order of their ids.
  ///
  /// - Parameters:
  ///   - locked: Waiting jobs.
  ///   - overdue: Jobs with an expired lease, whose expiry has passed.
  ///   - rowsStay: Whether the jobs' rows in `qudo_expiry` stay, because others have locked them. The next sweep deletes
  ///     them.
  /// - Returns: The jobs in the log; and the jobs that have no expiry any more, whose rows are stale.
  func expire(_ locked: [Candidate], _ overdue: [EndedLease] = [], rowsStay: Bool = false) throws(QudoError)
    -> (jobs: [GivenUpJob], stale: [Int64])
  {
    let ending = try ending(locked.map(\.id) + overdue.map(\.row.id))
    let gone = locked.filter { ending[$0.id].map { $0.expires <= now.microseconds } ?? false }
    let ids = (gone.map(\.id) + overdue.map(\.row.id)).sorted()
    let leases = Dictionary(overdue.map { ($0.row.id, $0.lost.clampedPlus(1)) }, uniquingKeysWith: max)
    let jobs = ids.compactMap { ending[$0]?.givenUp(.expired, expiredLeases: leases[$0]) }
    if !ids.isEmpty {
      log(
        ids, .expired, message: ExpiryRows.message, final: true,
        keyed: gone.contains(where: \.isLoggedWithKeys) || overdue.contains { $0.row.isLoggedWithKeys })
      leaveWaiting(gone)
      leaveRunning(overdue.map(\.row))
      try deleteJobs(gone.map { DeletedJob($0, rowStays: rowsStay) } + overdue.map { DeletedJob($0.row) })
    }
    return (jobs, locked.map(\.id).filter { ending[$0]?.expires == ExpiryRows.never })
  }

  /// Reads what a claim reports of jobs that it ends.
  func ending(_ ids: [Int64]) throws(QudoError) -> [Int64: EndingJob] {
    var jobs: [Int64: EndingJob] = [:]
    guard !ids.isEmpty else { return jobs }
    for rows in try read(ids.sorted().parts().map { EndingJob.look(for: $0) }) {
      try rows.forEach { row throws(QudoError) in
        let job = EndingJob(row)
        jobs[job.id] = job
      }
    }
    return jobs
  }
}

/// A job that a claim ends because it was lost or has expired.
struct EndingJob {
  let id: Int64
  let kind: Kind
  let attempt: Int
  let uniqueKey: String?
  /// The number of earlier expired leases.
  let lost: Int64
  /// ``ExpiryRows/never`` for never.
  let expires: Int64
  /// The number of the kind that a final failure enqueues, 0 for none; nil if it is unknown.
  let target: Int64?

  static func look(for ids: ArraySlice<Int64>) -> SQL {
    """
    SELECT j.id, k.name, j.attempt, j.unique_key, j.lost, COALESCE(j.expires, \(ExpiryRows.never)), \(FailureRoutes.target("j.kind"))
    FROM qudo_job AS j JOIN qudo_kind AS k ON k.id = j.kind WHERE j.id IN \(list: ids)
    """
  }

  init(_ row: Row) {
    (id, kind, attempt) = (row.integer(0), Kind(row.text(1)), Int(row.integer(2)))
    (uniqueKey, lost, expires, target) = (
      row.textIfAny(3), row.integer(4), row.integer(5), row.integerIfAny(6)
    )
  }

  func givenUp(_ reason: FailureReason, expiredLeases: Int64? = nil) -> GivenUpJob {
    GivenUpJob(
      id: id, kind: kind, reason: reason, attempt: attempt, expiredLeases: Int(expiredLeases ?? lost),
      uniqueKey: uniqueKey)
  }
}
#endif
