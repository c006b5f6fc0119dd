/// The progress of one enqueue over the databases that it tries.
struct MemberEnqueue: Sendable {
  let jobs: [NewJob]
  let end: Int64
  let policy: UnknownOutcome
  /// The jobs with an idempotency key each, for remote databases; nil if none are generated.
  private let keyed: [NewJob]?
  /// The indices of the databases that may have stored the jobs.
  private(set) var doubts: [Int] = []
  private(set) var unknown: QudoError?

  init(_ jobs: [NewJob], end: Int64, onUnknown policy: UnknownOutcome, spareKeys: [IdempotencyKey]?) {
    (self.jobs, self.end, self.policy) = (jobs, end, policy)
    keyed = spareKeys.map { keys in
      zip(jobs, keys).map { job, key in
        var job = job
        if job.idempotencyKey == nil { job.idempotencyKey = key }
        return job
      }
    }
  }

  /// The error of an enqueue that no database accepted.
  func error(_ down: AllDatabasesUnavailable) -> QudoError {
    guard let unknown else { return down.error }
    return QudoError(.outcomeUnknown, unknown.message, cause: down)
  }

  /// - Parameters:
  ///   - share: The end of this database's share of the time, if others are left to try.
  ///   - others: The databases that are left.
  mutating func insert(
    into member: DatabaseMember, share: Int64, others: [DatabaseMember], _ clock: any QueueClock
  ) async throws(QudoError) -> [EnqueueResult] {
    guard clock.sinceBoot() < end else {
      throw member.health.failure
        ?? QudoError(.unreachable, "the timeout passed before the database was tried: allow more time")
    }
    // A sent batch may be stored: only callers who accept duplicates try another database early.
    let limit = policy == .elsewhere ? share : end
    let wasInDoubt = doubts.contains(member.index)
    var unknown: QudoError? = wasInDoubt ? self.unknown : nil
    // Known once the database is open.
    var isRepeatable = wasInDoubt
    var pause: Int64 = 50_000
    while true {
      do throws(QudoError) {
        // Opening writes nothing, so it gets no more than this database's share of the time.
        let driver = try await member.ready(until: unknown == nil ? share : limit)
        try driver.capabilities.check(keysOf: jobs)
        let sent = driver.capabilities.contains(.remote) ? keyed ?? jobs : jobs
        isRepeatable = !sent.isEmpty && sent.allSatisfy { $0.idempotencyKey != nil }
        if let unknown, !isRepeatable { throw unknown }
        let results = try await member.call(until: limit) { driver throws(QudoError) in
          try await driver.insert(sent)
        }
        doubts.removeAll { $0 == member.index }
        return zip(jobs, results).map { EnqueueResult(result($1, of: $0), database: driver.name) }
      } catch {
        // After an unknown outcome, no later error proves that nothing was written.
        guard unknown != nil || error.code == .outcomeUnknown else { throw error }
        let first = unknown ?? error
        (unknown, self.unknown) = (first, first)
        if !doubts.contains(member.index) { doubts.append(member.index) }
        // Opens the next databases while this one gets time to recover.
        if policy == .elsewhere { for other in others { other.prepare() } }
        let next = clock.sinceBoot() + pause
        guard isRepeatable, next < limit, !Task.isCancelled else { throw first }
        // After a cancellation, the batch is repeated once more, and the guard above ends the loop.
        _ = try? await clock.sleep(untilSinceBoot: next)
        pause = min(pause * 2, 1_000_000)
      }
    }
  }

  /// A job found under a key generated here was stored by this enqueue, so it is new. If the job also has a
  /// unique key with `keep` or `overwrite`, it is unknown which of the two keys matched.
  private func result(_ result: InsertResult, of job: NewJob) -> InsertResult {
    guard case .existing(let id) = result, job.idempotencyKey == nil,
      job.unique.map({ $0.onConflict == .reject }) ?? true
    else { return result }
    return .inserted(id)
  }
}
