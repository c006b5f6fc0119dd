internal import Qudo

/// The ticks of a schedule to enqueue now, and the tick at which it continues. A function of times only.
struct TickPlan: Hashable {
  /// The ticks that get a job, in their order.
  var ticks: [Timestamp]
  /// The newest tick that this accounts for, with or without a job.
  var newest: Timestamp
  /// The next tick, which is due already if there are more to catch up on.
  var next: Timestamp?
  /// Whether ticks that have come get no job.
  var leavesOut: Bool

  /// - Parameters:
  ///   - due: The tick that the database has as the next one; it has come.
  ///   - now: The time by the database's clock.
  ///   - skipsOverlap: Whether at most one job of the schedule may be there. Then only the latest tick gets one.
  ///   - limit: The maximum number of ticks. The others are due at once.
  init(
    _ rule: ScheduleRule, due: Timestamp, now: Timestamp, missed: MissedTicks, skipsOverlap: Bool,
    limit: Int = MissedTicks.maxTicks
  ) {
    var missed = missed
    if skipsOverlap, missed != .skip { missed = .latest }
    func last(_ count: Int) -> [Timestamp] {
      let ticks = rule.last(count, after: due, through: now)
      return ticks.count < count ? [due] + ticks : ticks
    }
    switch missed {
    case .latest: ticks = last(1)
    case .last(let count): ticks = last(count)
    case .skip: ticks = last(1)
    case .all: ticks = [due] + rule.ticks(after: due, through: now, count: limit - 1)
    }
    leavesOut = ticks.first != due
    if ticks.count > limit { ticks.removeLast(ticks.count - limit) }
    newest = ticks.last ?? due
    if missed == .skip, newest.advanced(by: MissedTicks.tolerance) < now { (ticks, leavesOut) = ([], true) }
    next = rule.next(after: missed == .skip ? now : newest)
  }
}
