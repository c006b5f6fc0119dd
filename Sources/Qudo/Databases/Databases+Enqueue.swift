internal import Logging

extension Databases {
  /// Stores jobs in one database, as ``DatabaseOptions`` say.
  func insert(_ jobs: [NewJob], within limit: Duration) async throws(QudoError) -> [EnqueueResult] {
    let report = try await insert(jobs, within: limit, onUnknown: options.failsOverUnknown ? .elsewhere : .stop, spareKeys: nil)
    if !report.mayAlsoBeIn.isEmpty, let database = report.results.first?.id.database {
      // Whoever asks for a report tells it in other words.
      let others = report.mayAlsoBeIn.joined(separator: ", ")
      options.logger.warning(
        "enqueue may be doubled", metadata: ["database": "\(database)", "other": "\(others)", "jobs": "\(report.results.count)"])
    }
    return report.results
  }

  /// Stores jobs in one database, all in one transaction: in the next one when it is certain that nothing was written. Under
  /// idempotency keys it is repeated in the same one where that is not certain.
  func insert(
    _ jobs: [NewJob], within limit: Duration, onUnknown policy: UnknownOutcome, spareKeys: [IdempotencyKey]?
  ) async throws(QudoError) -> EnqueueReport {
    var enqueue = MemberEnqueue(
      jobs, end: end(limit), onUnknown: policy, spareKeys: options.repeatsUnknown ? spareKeys ?? Self.randomKeys(jobs.count) : nil)
    var pause: Int64 = 50_000
    while true {
      let troubles: [DatabasesDown.Trouble]
      switch try await insertOnce(&enqueue) {
      case .done(let report): return report
      case .down(let all): troubles = all
      }
      let next = options.clock.sinceBoot() + pause
      guard options.waitsForOutages, next < enqueue.end, !Task.isCancelled, troubles.contains(where: { $0.error.isOutage }) else {
        throw enqueue.error(DatabasesDown(troubles: troubles))
      }
      if pause == 50_000 { options.logger.warning("no database is available, waiting", metadata: ["error": "\(DatabasesDown(troubles: troubles))"]) }
      _ = try? await options.clock.sleep(untilSinceBoot: next)
      pause = min(pause * 2, 1_000_000)
    }
  }

  private enum Round {
    case done(EnqueueReport)
    case down([DatabasesDown.Trouble])
  }

  /// Asks one database after the other.
  private func insertOnce(_ enqueue: inout MemberEnqueue) async throws(QudoError) -> Round {
    for member in members { member.probeIfDue() }
    var random = SystemRandomNumberGenerator()
    var route = EnqueueRoute(members.count, options.order, using: &random)
    var troubles: [DatabasesDown.Trouble] = []
    while let index = route.next(options.clock.sinceBoot(), { members[$0].health }) {
      let member = members[index]
      guard !Task.isCancelled else { throw enqueue.unknown ?? QudoError(.cancelled, "the task was cancelled before anything was done") }
      let share = route.share(from: options.clock.sinceBoot(), to: enqueue.end)
      do throws(QudoError) {
        let results = try await enqueue.insert(into: member, share: share, options.clock)
        return .done(EnqueueReport(results: results, mayAlsoBeIn: enqueue.doubts.filter { $0 != member.index }.map { members[$0].name }))
      } catch {
        troubles.append(.init(database: member.name, error: error))
        if error.code == .outcomeUnknown {
          guard enqueue.policy == .elsewhere else { throw error }
        } else if !error.allowsFailover {
          // This one wrote nothing; another one, asked before it, may have.
          throw enqueue.unknown ?? error
        }
      }
    }
    return .down(troubles)
  }

  /// One after the other, from a random one on.
  private static func randomKeys(_ count: Int) -> [IdempotencyKey] {
    let first = IdempotencyKey()
    return (0..<count).map { first.numbered($0) }
  }
}

/// The jobs of one enqueue on their way to one database or another.
private struct MemberEnqueue: Sendable {
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
  func error(_ down: DatabasesDown) -> QudoError {
    guard let unknown else { return down.error }
    return QudoError(.outcomeUnknown, unknown.message, cause: down)
  }

  /// - Parameter share: the end of this database's share of the time, if others are left to ask.
  mutating func insert(into member: DatabaseMember, share: Int64, _ clock: any QueueClock) async throws(QudoError) -> [EnqueueResult] {
    guard clock.sinceBoot() < end else { throw member.health.trouble ?? QudoError(.unreachable, "it was not asked: the deadline had passed") }
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
        let next = clock.sinceBoot() + pause
        guard isRepeatable, next < limit, !Task.isCancelled else { throw first }
        _ = try? await clock.sleep(untilSinceBoot: next)
        pause = min(pause * 2, 1_000_000)
      }
    }
  }

  /// A receipt of a key that was given here is of this enqueue: the job is new. Beside a unique key that is kept or overwritten it is not
  /// known which of them answered.
  private func result(_ result: InsertResult, of job: NewJob) -> InsertResult {
    guard case .existing(let id) = result, job.idempotencyKey == nil, job.unique.map({ $0.onConflict == .reject }) ?? true else { return result }
    return .inserted(id)
  }
}
