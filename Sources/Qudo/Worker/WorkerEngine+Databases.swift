internal import Logging

/// The databases of a worker, which its pumps call.
enum Backends {
  /// One that is called directly.
  case single(any Driver)
  /// One of several, which is open.
  case monitored(DatabaseMember, any Driver)
  /// Several, or one that is monitored; each is opened first, if necessary.
  case members([DatabaseMember])

  var count: Int { if case .members(let members) = self { members.count } else { 1 } }
  var isMonitored: Bool { if case .single = self { false } else { true } }
}

/// Opens the databases and runs a pump for each.
extension WorkerEngine {
  /// The result for one database, and its error if it is failing at the end.
  typealias Outcome = (summary: WorkSummary, failure: QudoError?)

  /// Works until the work ends in all databases.
  func run() async -> Result<WorkSummary, QudoError> {
    let result: Result<WorkSummary, QudoError>
    switch backends {
    case .single(let driver):
      let error = await serve(0, driver, verbs: nil)
      result = error.map { .failure($0) } ?? .success(report(0).summary)
    case .monitored(let member, let driver):
      _ = await serve(0, driver, verbs: DeadlineDriver(member: member, base: driver))
      result = Self.sum([(member.name, report(0))])
    case .members(let members):
      let outcomes = await withTaskGroup(of: (Int, Outcome).self) { group in
        for index in members.indices { group.addTask { (index, await self.serve(index, members[index])) } }
        return await group.reduce(into: [Int: Outcome]()) { $0[$1.0] = $1.1 }
      }
      result = Self.sum(members.indices.map { (members[$0].name, outcomes[$0] ?? (WorkSummary(), nil)) })
    }
    let isStuck = end()
    if isStuck, case .success = result { return .failure(.stuck(options.maxStuckSlots)) }
    return result
  }

  /// Ends the slots' tasks that wait for jobs, when all pumps have ended.
  ///
  /// - Returns: Whether the work ended because of stuck slots.
  private func end() -> Bool {
    let (parked, isStuck) = shared.withLock { shared in
      defer { shared.parked = [] }
      shared.isOver = true
      // They hold the engine.
      for index in shared.pumps.indices { shared.pumps[index].pump = nil }
      return (shared.parked, shared.scheduler.isStuck)
    }
    for slot in parked { slot.continuation.resume(returning: nil) }
    return isStuck
  }

  /// The summary of a source so far, and the current error of its database if it is failing.
  func report(_ source: Int) -> Outcome {
    shared.withLock { shared in
      let state = shared.scheduler.sources[source]
      return (state.summary, state.backoff.isFailing ? shared.pumps[source].failure : nil)
    }
  }

  /// Adds up the results; fails only if all databases failed.
  static func sum(_ outcomes: [(database: String, outcome: Outcome)]) -> Result<WorkSummary, QudoError> {
    var summary = WorkSummary()
    var failures: [AllDatabasesUnavailable.Failure] = []
    for (database, outcome) in outcomes {
      summary.add(outcome.summary)
      guard let failure = outcome.failure else { continue }
      failures.append(.init(database: database, error: failure))
      summary.unreachable.append(database)
    }
    return failures.count < outcomes.count
      ? .success(summary) : .failure(AllDatabasesUnavailable(failures: failures).error)
  }

  // MARK: One database

  /// Runs the pump of a database that is open.
  ///
  /// - Returns: The error that ended it early.
  private func serve(_ index: Int, _ driver: any Driver, verbs: DeadlineDriver?) async -> QudoError? {
    let pump = Pump(self, index, driver, verbs: verbs)
    let settings = pump.settings
    shared.withLock { shared in
      shared.pumps[index].pump = pump
      shared.scheduler.open(index, settings)
    }
    await Interleaving.pause()
    return await withTaskExecutorPreference(pump.thread) { await pump.run() }
  }

  private func serve(_ index: Int, _ member: DatabaseMember) async -> Outcome {
    switch await open(index, member) {
    case .failure(let error): return (WorkSummary(), error)
    case .success(nil): return (WorkSummary(), nil)
    case .success(let driver?):
      _ = await serve(index, driver, verbs: DeadlineDriver(member: member, base: driver))
      return report(index)
    }
  }

  /// Tries until the database is open; returns nil if the work ends before.
  private func open(_ index: Int, _ member: DatabaseMember) async -> Result<(any Driver)?, QudoError> {
    let timeout = member.options.callTimeout.wholeMicroseconds
    let probeInterval = member.options.probeInterval.wholeMicroseconds
    var failingSince: Int64?
    var pause: Int64 = 50_000
    while true {
      guard !isStopping else { return .success(nil) }
      let begun = clock.sinceBoot()
      let result = await opening(index, member, until: begun.clampedPlus(timeout))
      let failure: QudoError
      switch result {
      case .success(let driver): return .success(driver)
      case nil: return .success(nil)
      case .failure(let error): failure = error
      }
      let now = clock.sinceBoot()
      let since = failingSince ?? begun
      failingSince = since
      let outageEnd = since.clampedPlus(options.outageTimeout.wholeMicroseconds)
      let isOver = decide { shared, _ -> Bool in
        if failure.code == .closed {
          shared.scheduler.close(
            index, now: now, rings: { [pumps = shared.pumps] in WorkerEngine.rings(pumps, $0) })
          return true
        }
        shared.scheduler.openingFailed(
          index, isUnavailable: now >= outageEnd, now: now,
          rings: { [pumps = shared.pumps] in WorkerEngine.rings(pumps, $0) })
        return shared.scheduler.isOver
      }
      if isOver { return .failure(failure) }
      await nap(index, until: min(now + min(pause, probeInterval), now >= outageEnd ? .max : outageEnd))
      if shared.withLock({ $0.scheduler.isOver }) { return .failure(failure) }
      pause = min(pause * 2, probeInterval)
    }
  }

  /// Tries once; returns nil if the work ends before there is an answer.
  private func opening(
    _ index: Int, _ member: DatabaseMember, until time: Int64
  ) async -> Result<any Driver, QudoError>? {
    // Only a cancellation makes a sleep throw: it ends the wait, as intended.
    let wait = Task(executorPreference: thread) { [clock] in _ = try? await clock.sleep(untilSinceBoot: time)
    }
    keep(wait, index)
    let opening = Task(executorPreference: thread) { () async -> Result<any Driver, QudoError> in
      await Interleaving.pause()
      defer { wait.cancel() }
      do throws(QudoError) { return .success(try await member.ready(until: time)) } catch {
        return .failure(error)
      }
    }
    await wait.value
    return isStopping ? nil : await opening.value
  }

  private func nap(_ index: Int, until time: Int64) async {
    // Only a cancellation makes a sleep throw: it ends the nap, as intended.
    let nap = Task(executorPreference: thread) { [clock] in _ = try? await clock.sleep(untilSinceBoot: time) }
    keep(nap, index)
    await nap.value
  }

  /// Keeps a wait, to be cancelled when the work ends.
  private func keep(_ nap: Task<Void, Never>, _ index: Int) {
    let isEnding = shared.withLock { shared in
      shared.pumps[index].nap = nap
      return shared.scheduler.phase != .working
    }
    if isEnding { nap.cancel() }
  }

  /// Whether the worker was stopped, which ends the work in databases that are not open, too.
  private var isStopping: Bool {
    shared.withLock { $0.scheduler.phase != .working && !$0.scheduler.isOver }
  }
}
