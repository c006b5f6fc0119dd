internal import Logging
internal import Qudo

/// Enqueues the ticks of one database.
///
/// It keeps nothing that matters: who is stopped in the middle, or is slower than another one, leaves the database as it is.
struct Ticker {
  /// How many schedules are read at once, and moved on in one transaction.
  static let page = 100

  let logger: Logger
  /// The versions of the schedules whose trouble is logged already.
  private var troubled: [String: Int64] = [:]

  init(logger: Logger) { self.logger = logger }

  /// Enqueues all ticks that have come.
  ///
  /// - Returns: How long it is until the next tick, or nil if no schedule has one.
  mutating func tick(_ driver: any ScheduleDriver) async throws(QudoError) -> Duration? {
    var after: String?
    var next: Timestamp?
    while true {
      let look = try await driver.dueSchedules(after: after, limit: Self.page)
      var ticks: [ScheduleTick] = []
      for schedule in look.due {
        guard let tick = planned(schedule, now: look.now) else { continue }
        ticks.append(tick)
        next = min(next ?? .latest, tick.next ?? .latest)
      }
      if let time = look.next { next = min(next ?? .latest, time) }
      try await advance(ticks, driver)
      guard look.due.count == Self.page, let last = look.due.last else {
        return next.map { .microseconds(max(0, $0.microseconds - look.now.microseconds)) }
      }
      after = last.name
    }
  }

  private mutating func planned(_ schedule: StoredSchedule, now: Timestamp) -> ScheduleTick? {
    guard let due = schedule.nextTick else { return nil }
    do {
      let plan = TickPlan(
        try ScheduleRule(schedule.rule), due: due, now: now, missed: try MissedTicks(schedule.missed),
        skipsOverlap: schedule.skipsOverlap)
      return ScheduleTick(
        name: schedule.name, version: schedule.version, jobs: plan.ticks.map { schedule.job(at: $0) },
        tick: plan.newest, next: plan.next, skipsOverlap: schedule.skipsOverlap)
    } catch {
      report(schedule.name, schedule.version, error)
      return nil
    }
  }

  /// Writes ticks in one transaction. If a job is refused, each schedule gets a transaction of its own, so that the others go on.
  private mutating func advance(_ ticks: [ScheduleTick], _ driver: any ScheduleDriver) async throws(QudoError)
  {
    guard !ticks.isEmpty else { return }
    do {
      note(ticks, try await driver.advance(ticks), driver)
    } catch  where error.code == .invalidArgument {
      for tick in ticks {
        do {
          note([tick], try await driver.advance([tick]), driver)
        } catch  where error.code == .invalidArgument {
          report(tick.name, tick.version, error)
        }
      }
    }
  }

  private func note(_ ticks: [ScheduleTick], _ results: [TickResult], _ driver: any ScheduleDriver) {
    for (tick, result) in zip(ticks, results) {
      switch result {
      case .enqueued(let jobs) where jobs.isEmpty:
        logger.notice(
          "schedule's missed ticks skipped",
          metadata: ["database": "\(driver.name)", "schedule": "\(tick.name)"])
      case .overlapped:
        logger.notice(
          "schedule's tick skipped: its last job is unfinished",
          metadata: ["database": "\(driver.name)", "schedule": "\(tick.name)"])
      case .enqueued, .superseded: break
      }
    }
  }

  /// Logs once for each version of a schedule that it cannot go on.
  private mutating func report(_ name: String, _ version: Int64, _ error: QudoError) {
    guard troubled.updateValue(version, forKey: name) != version else { return }
    logger.error("schedule does not go on", metadata: ["schedule": "\(name)", "error": "\(error)"])
  }
}
