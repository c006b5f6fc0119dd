internal import Logging
internal import Qudo

/// The calls of a scheduler to a database. Each has its own deadline: catching up takes many.
struct TickStore: Sendable {
  let name: String
  let due: @Sendable (_ after: String?, _ limit: Int) async throws(QudoError) -> DueSchedules
  let advance: @Sendable ([ScheduleTick]) async throws(QudoError) -> [TickResult]

  init(_ driver: any ScheduleDriver) {
    name = driver.name
    due = { after, limit throws(QudoError) in try await driver.dueSchedules(after: after, limit: limit) }
    advance = { ticks throws(QudoError) in try await driver.advance(ticks) }
  }

  /// - Parameter index: The place of the database in the list.
  init(_ databases: Databases, _ index: Int, name: String) {
    self.name = name
    due = { after, limit throws(QudoError) in
      try await databases.call(at: index) { driver throws(QudoError) in
        try await driver.scheduling().dueSchedules(after: after, limit: limit)
      }
    }
    advance = { ticks throws(QudoError) in
      try await databases.call(at: index) { driver throws(QudoError) in
        try await driver.scheduling().advance(ticks)
      }
    }
  }
}

/// Enqueues the ticks of one database.
///
/// It keeps nothing that matters: one that is stopped in the middle, or is slower than another one, leaves the database as
/// it is.
struct Ticker {
  /// The number of schedules that one call reads.
  static let page = 100
  /// The maximum number of jobs in one transaction, unless a single tick has more.
  static let jobsPerTransaction = MissedTicks.maxTicks
  /// The maximum size of the jobs in one transaction, in bytes, unless a single job has more.
  static let bytesPerTransaction = 4 << 20

  let logger: Logger
  /// The versions of the schedules whose errors were logged.
  private var reported: [String: Int64] = [:]

  init(logger: Logger) { self.logger = logger }

  /// Enqueues ticks that have come: all of them, except that a schedule with very many continues with the next call.
  ///
  /// - Returns: How long it is until the next tick, zero if one has come, or nil if no schedule has one.
  mutating func tick(_ store: TickStore) async throws(QudoError) -> Duration? {
    var after: String?
    var next: Timestamp?
    while true {
      let look = try await store.due(after, Self.page)
      let ticks = look.due.compactMap { planned($0, now: look.now, store) }
      for part in Self.parts(ticks) {
        guard let time = try await advance(part, store) else { continue }
        next = min(next ?? time, time)
      }
      if let time = look.next { next = min(next ?? time, time) }
      guard look.due.count == Self.page, let last = look.due.last else {
        return next.map { .microseconds(max(0, $0.microseconds - look.now.microseconds)) }
      }
      after = last.name
    }
  }

  private mutating func planned(
    _ schedule: StoredSchedule, now: Timestamp, _ store: TickStore
  ) -> ScheduleTick? {
    guard let due = schedule.nextTick else { return nil }
    do {
      let plan = TickPlan(
        try ScheduleRule(schedule.rule), due: due, now: now, missed: try MissedTicks(schedule.missed),
        skipsOverlap: schedule.skipsOverlap,
        limit: max(1, min(Self.jobsPerTransaction, Self.bytesPerTransaction / schedule.job(at: due).bytes)))
      if plan.leavesOut {
        logger.notice(
          "missed ticks are left out",
          metadata: ["database": "\(store.name)", "schedule": "\(schedule.name)", "since": "\(due)"])
      }
      return ScheduleTick(
        name: schedule.name, version: schedule.version, changedAt: schedule.changedAt,
        jobs: plan.ticks.map { schedule.job(at: $0) }, tick: plan.newest, next: plan.next,
        skipsOverlap: schedule.skipsOverlap)
    } catch {
      report(schedule.name, schedule.version, error, store)
      return nil
    }
  }

  /// Divides ticks into transactions, so that other writers do not wait long.
  private static func parts(_ ticks: [ScheduleTick]) -> [[ScheduleTick]] {
    var parts: [[ScheduleTick]] = []
    var (jobs, bytes) = (0, 0)
    for tick in ticks {
      let size = tick.jobs.reduce(0) { $0 + $1.bytes }
      if parts.isEmpty || jobs + tick.jobs.count > jobsPerTransaction || bytes + size > bytesPerTransaction {
        parts.append([])
        (jobs, bytes) = (0, 0)
      }
      parts[parts.count - 1].append(tick)
      jobs += tick.jobs.count
      bytes += size
    }
    return parts
  }

  /// Writes ticks in one transaction. If a job is refused, each schedule gets its own transaction, so that the others
  /// continue.
  ///
  /// - Returns: The next tick of these schedules; nil if they have none, or do not continue.
  private mutating func advance(_ ticks: [ScheduleTick], _ store: TickStore) async throws(QudoError)
    -> Timestamp?
  {
    let start = ContinuousClock.now
    let results: [TickResult]
    do throws(QudoError) {
      results = try await store.advance(ticks)
    } catch {
      guard error.code == .invalidArgument else { throw error }
      return try await advanceEach(ticks, store, error)
    }
    if ticks.reduce(0, { $0 + $1.jobs.count }) > Self.page {
      // The worker is catching up, and there may be more: leave as much time to others. A cancellation ends the pause.
      try? await Task.sleep(for: ContinuousClock.now - start)
    }
    return note(ticks, results, store)
  }

  private mutating func advanceEach(
    _ ticks: [ScheduleTick], _ store: TickStore, _ error: QudoError
  ) async throws(QudoError) -> Timestamp? {
    guard ticks.count > 1 else {
      for tick in ticks { report(tick.name, tick.version, error, store) }
      return nil
    }
    var next: Timestamp?
    for tick in ticks {
      if let time = try await advance([tick], store) { next = min(next ?? time, time) }
    }
    return next
  }

  private func note(_ ticks: [ScheduleTick], _ results: [TickResult], _ store: TickStore)
    -> Timestamp?
  {
    var next: Timestamp?
    for (tick, result) in zip(ticks, results) {
      switch result {
      case .overlapped:
        logger.notice(
          "tick skipped: the schedule's last job is unfinished",
          metadata: ["database": "\(store.name)", "schedule": "\(tick.name)"])
      case .enqueued: break
      // Another worker was faster, or the schedule was changed: look again at once.
      case .superseded: next = .earliest
      }
      if let time = tick.next { next = min(next ?? time, time) }
    }
    return next
  }

  /// Logs once for each version of a schedule that it cannot continue.
  private mutating func report(
    _ name: String, _ version: Int64, _ error: QudoError, _ store: TickStore
  ) {
    guard reported.updateValue(version, forKey: name) != version else { return }
    logger.error(
      "schedule failed",
      metadata: ["database": "\(store.name)", "schedule": "\(name)", "error": "\(error)"])
  }
}

extension NewJob {
  fileprivate var bytes: Int { payload.bytes.count + metadata.bytes.count + 100 }
}
