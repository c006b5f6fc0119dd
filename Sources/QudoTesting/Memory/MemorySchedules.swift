public import Qudo

extension MemoryDatabase {
  func schedules(_ names: [String]?) -> [StoredSchedule] {
    let wanted = names.map { Set($0.map { Array($0.utf8) }) }
    return schedules.filter { wanted?.contains($0.key) ?? true }
      .sorted { $0.key.lexicographicallyPrecedes($1.key) }.map(\.value)
  }

  func dueSchedules(after name: String?, limit: Int, now: ClockReading) -> DueSchedules {
    let all = schedules(nil)
    let due = all.filter { schedule in
      let isAfter = name.map { $0.utf8.lexicographicallyPrecedes(schedule.name.utf8) } ?? true
      return isAfter && schedule.nextTick.map { $0 <= now.wall } ?? false
    }
    return DueSchedules(
      now: now.wall, due: Array(due.prefix(max(0, limit))),
      next: all.compactMap(\.nextTick).filter { $0 > now.wall }.min())
  }

  mutating func store(_ new: [StoredSchedule], now: ClockReading) -> [Bool] {
    new.map { schedule in
      let name = Array(schedule.name.utf8)
      guard schedules[name]?.version ?? 0 == schedule.version else { return false }
      var stored = schedule
      stored.version += 1
      stored.changedAt = now.wall
      schedules[name] = stored
      return true
    }
  }

  mutating func removeSchedules(_ names: [String]) -> [Bool] {
    names.map { schedules.removeValue(forKey: Array($0.utf8)) != nil }
  }

  /// - Returns: The results of the ticks, and those of their jobs' inserts.
  mutating func advance(_ ticks: [ScheduleTick], now: ClockReading) -> ([TickResult], [InsertResult]) {
    var inserted: [InsertResult] = []
    let results = ticks.map { tick -> TickResult in
      let name = Array(tick.name.utf8)
      guard var schedule = schedules[name],
        tick.isOf(version: schedule.version, changedAt: schedule.changedAt)
      else { return .superseded }
      schedule.version += 1
      schedule.nextTick = tick.next
      schedule.lastTick = tick.tick ?? schedule.lastTick
      defer { schedules[name] = schedule }
      if tick.skipsOverlap, let last = schedule.lastJob, jobs[last] != nil { return .overlapped }
      let new = insert(tick.jobs, now: now)
      inserted += new
      schedule.lastJob = new.last?.id ?? schedule.lastJob
      return .enqueued(new.map(\.id))
    }
    return (results, inserted)
  }
}

extension MemoryDriver: ScheduleDriver {
  public func schedules(_ names: [String]?) async throws(QudoError) -> [StoredSchedule] {
    try verb { database, _ in database.schedules(names) }
  }

  public func dueSchedules(after name: String?, limit: Int) async throws(QudoError) -> DueSchedules {
    try verb { $0.dueSchedules(after: name, limit: limit, now: $1) }
  }

  public func store(_ schedules: [StoredSchedule]) async throws(QudoError) -> [Bool] {
    try schedules.check(limits)
    return try verb { $0.store(schedules, now: $1) }
  }

  public func removeSchedules(_ names: [String]) async throws(QudoError) -> [Bool] {
    try verb { database, _ in database.removeSchedules(names) }
  }

  public func advance(_ ticks: [ScheduleTick]) async throws(QudoError) -> [TickResult] {
    for job in ticks.lazy.flatMap(\.jobs) { try limits.check(job) }
    let (results, inserted) = try verb { $0.advance(ticks, now: $1) }
    if inserted.contains(where: \.mayBeClaimed) { doorbell.ring() }
    return results
  }
}
