extension Databases {
  /// Stores jobs in one database, all in one transaction: in the next one when it is certain that nothing was written. Under
  /// idempotency keys it is repeated in the same one where that is not certain.
  func insert(_ jobs: [NewJob], within limit: Duration) async throws(QudoError) -> [EnqueueResult] {
    let end = end(limit)
    for member in members { member.probeIfDue() }
    var random = SystemRandomNumberGenerator()
    var route = EnqueueRoute(members.count, options.order, using: &random)
    var troubles: [DatabasesDown.Trouble] = []
    var isUnknown: QudoError?
    while let index = route.next(options.clock.sinceBoot(), { members[$0].health }) {
      let member = members[index]
      guard !Task.isCancelled else { throw isUnknown ?? QudoError(.cancelled, "the task was cancelled before anything was done") }
      do throws(QudoError) {
        return try await insert(jobs, member, end, share: route.share(from: options.clock.sinceBoot(), to: end))
      } catch {
        troubles.append(.init(database: member.name, error: error))
        if error.code == .outcomeUnknown {
          isUnknown = error
          guard options.failsOverUnknown else { throw error }
        } else if !error.allowsFailover {
          // This one wrote nothing; another one, asked before it, may have.
          throw isUnknown ?? error
        }
      }
    }
    let down = DatabasesDown(troubles: troubles)
    guard let isUnknown else { throw down.error }
    throw QudoError(.outcomeUnknown, isUnknown.message, cause: down)
  }

  private func insert(_ jobs: [NewJob], _ member: DatabaseMember, _ end: Int64, share: Int64) async throws(QudoError) -> [EnqueueResult] {
    let now = options.clock.sinceBoot()
    guard now < end else { throw member.health.trouble ?? QudoError(.unreachable, "it was not asked: the deadline had passed") }
    // What is on its way to one database may be there: only who bears to have it twice asks another one before the end.
    let limit = options.failsOverUnknown ? share : end
    let isRepeatable = !jobs.isEmpty && jobs.allSatisfy { $0.idempotencyKey != nil }
    var unknown: QudoError?
    var pause: Int64 = 50_000
    while true {
      do throws(QudoError) {
        // That writes nothing: one that cannot be opened takes no more than its share of the time.
        let name = try await member.ready(until: unknown == nil ? share : limit).name
        return try await member.call(until: limit) { driver throws(QudoError) in try await driver.insert(jobs) }
          .map { EnqueueResult($0, database: name) }
      } catch {
        // Once it is not known whether it was done, no later error says that it was not.
        guard isRepeatable, unknown != nil || error.code == .outcomeUnknown else { throw error }
        let first = unknown ?? error
        unknown = first
        let next = options.clock.sinceBoot() + pause
        guard next < limit, !Task.isCancelled else { throw first }
        _ = try? await options.clock.sleep(untilSinceBoot: next)
        pause = min(pause * 2, 1_000_000)
      }
    }
  }
}
