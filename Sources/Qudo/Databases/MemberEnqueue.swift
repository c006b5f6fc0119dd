/// The jobs of one enqueue on their way to one database or another.
struct MemberEnqueue: Sendable {
  let jobs: [NewJob]
  let end: Int64
  let policy: UnknownOutcome
  /// The jobs with a key each, for databases whose answers can be lost; nil where none is given.
  private let keyed: [NewJob]?
  /// The databases, by their indices, that may have the jobs.
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

  /// Why nothing is enqueued, as far as that is known.
  func error(_ down: AllDatabasesUnavailable) -> QudoError {
    guard let unknown else { return down.error }
    return QudoError(.outcomeUnknown, unknown.message, cause: down)
  }

  /// - Parameters:
  ///   - share: the end of this database's share of the time, if others are left to ask.
  ///   - others: those that are left.
  mutating func insert(
    into member: DatabaseMember, share: Int64, others: [DatabaseMember], _ clock: any QueueClock
  ) async throws(QudoError) -> [EnqueueResult] {
    guard clock.sinceBoot() < end else {
      throw member.health.failure ?? QudoError(.unreachable, "it was not asked: the deadline had passed")
    }
    // What is on its way to one database may be there: only who bears to have it twice asks another one before the end.
    let limit = policy == .elsewhere ? share : end
    let wasInDoubt = doubts.contains(member.index)
    var unknown: QudoError? = wasInDoubt ? self.unknown : nil
    // Known when the database is open.
    var isRepeatable = wasInDoubt
    var pause: Int64 = 50_000
    while true {
      do throws(QudoError) {
        // That writes nothing: one that cannot be opened takes no more than its share of the time.
        let driver = try await member.ready(until: unknown == nil ? share : limit)
        let sent = driver.capabilities.contains(.remote) ? keyed ?? jobs : jobs
        isRepeatable = !sent.isEmpty && sent.allSatisfy { $0.idempotencyKey != nil }
        if let unknown, !isRepeatable { throw unknown }
        let results = try await member.call(until: limit) { driver throws(QudoError) in try await driver.insert(sent) }
        doubts.removeAll { $0 == member.index }
        return zip(jobs, results).map { EnqueueResult(result($1, of: $0), database: driver.name) }
      } catch {
        // Once it is not known whether it was done, no later error says that it was not.
        guard unknown != nil || error.code == .outcomeUnknown else { throw error }
        let first = unknown ?? error
        (unknown, self.unknown) = (first, first)
        if !doubts.contains(member.index) { doubts.append(member.index) }
        // Where it goes next is opened while this one is given time to come back.
        if policy == .elsewhere { for other in others { other.prepare() } }
        let next = clock.sinceBoot() + pause
        guard isRepeatable, next < limit, !Task.isCancelled else { throw first }
        // If the task is cancelled meanwhile, the batch is repeated once more, and the guard above ends it.
        _ = try? await clock.sleep(untilSinceBoot: next)
        pause = min(pause * 2, 1_000_000)
      }
    }
  }

  /// A receipt of a key that was given here is of this enqueue: the job is new. Beside a unique key that is kept or overwritten it is not
  /// known which of them answered.
  private func result(_ result: InsertResult, of job: NewJob) -> InsertResult {
    guard case .existing(let id) = result, job.idempotencyKey == nil,
      job.unique.map({ $0.onConflict == .reject }) ?? true
    else { return result }
    return .inserted(id)
  }
}
