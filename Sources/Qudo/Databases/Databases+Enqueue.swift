internal import Logging

extension Databases {
  /// Stores jobs in one database, as ``DatabaseOptions`` say.
  func insert(_ jobs: [NewJob], within limit: Duration) async throws(QudoError) -> [EnqueueResult] {
    let report = try await insert(
      jobs, within: limit, onUnknown: options.failsOverOnUnknownOutcome ? .elsewhere : .stop, spareKeys: nil)
    if !report.mayAlsoBeIn.isEmpty, let database = report.results.first?.id.database {
      // Callers who ask for a report get this in the report instead.
      let others = report.mayAlsoBeIn.joined(separator: ", ")
      options.logger.warning(
        "enqueue may be doubled",
        metadata: ["database": "\(database)", "other": "\(others)", "jobs": "\(report.results.count)"])
    }
    return report.results
  }

  /// Stores jobs in one database, in one transaction. Fails over to the next database only if nothing was
  /// written. If that is unknown and all jobs have idempotency keys, repeats the call in the same database.
  func insert(
    _ jobs: [NewJob], within limit: Duration, onUnknown policy: UnknownOutcome, spareKeys: [IdempotencyKey]?
  ) async throws(QudoError) -> EnqueueReport {
    var enqueue = MemberEnqueue(
      jobs, end: end(limit), onUnknown: policy,
      spareKeys: options.repeatsUnknown ? spareKeys ?? Self.randomKeys(jobs.count) : nil)
    var pause: Int64 = 50_000
    while true {
      let failures: [AllDatabasesUnavailable.Failure]
      switch try await insertOnce(&enqueue) {
      case .done(let report): return report
      case .down(let all): failures = all
      }
      let next = options.clock.sinceBoot() + pause
      guard options.waitsForOutages, next < enqueue.end, !Task.isCancelled,
        failures.contains(where: { $0.error.isOutage })
      else {
        throw enqueue.error(AllDatabasesUnavailable(failures: failures))
      }
      if pause == 50_000 {
        options.logger.warning(
          "no database is available, waiting",
          metadata: ["error": "\(AllDatabasesUnavailable(failures: failures))"])
      }
      // After a cancellation, the databases are tried once more, and the guard above ends the loop.
      _ = try? await options.clock.sleep(untilSinceBoot: next)
      pause = min(pause * 2, 1_000_000)
    }
  }

  private enum Round {
    case done(EnqueueReport)
    case down([AllDatabasesUnavailable.Failure])
  }

  /// Tries one database after the other.
  private func insertOnce(_ enqueue: inout MemberEnqueue) async throws(QudoError) -> Round {
    for member in members { member.probeIfDue() }
    var random = SystemRandomNumberGenerator()
    var route = EnqueueRoute(members.count, options.order, using: &random)
    var failures: [AllDatabasesUnavailable.Failure] = []
    while let index = route.next(options.clock.sinceBoot(), { members[$0].health }) {
      let member = members[index]
      guard !Task.isCancelled else {
        throw enqueue.unknown ?? QudoError(.cancelled, "the task was cancelled; nothing was written")
      }
      let share = route.share(from: options.clock.sinceBoot(), to: enqueue.end)
      do throws(QudoError) {
        let results = try await enqueue.insert(
          into: member, share: share, others: route.rest.map { members[$0] }, options.clock)
        return .done(
          EnqueueReport(
            results: results,
            mayAlsoBeIn: enqueue.doubts.filter { $0 != member.index }.map { members[$0].name }))
      } catch {
        failures.append(.init(database: member.name, error: error))
        if error.code == .outcomeUnknown {
          guard enqueue.policy == .elsewhere else { throw error }
        } else if !error.allowsFailover {
          // This database wrote nothing, but an earlier one may have.
          throw enqueue.unknown ?? error
        }
      }
    }
    return .down(failures)
  }

  /// Consecutive keys from a random start.
  private static func randomKeys(_ count: Int) -> [IdempotencyKey] {
    let first = IdempotencyKey()
    return (0..<count).map { first.numbered($0) }
  }
}
