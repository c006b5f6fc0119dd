internal import Qudo

extension Transaction {
  /// Writes schedules whose stored version is still the one that they were read with.
  func store(_ schedules: [StoredSchedule]) throws(QudoError) -> [Bool] {
    var results: [Bool] = []
    for var schedule in schedules {
      guard try scheduleTable.version(of: schedule.name) == schedule.version else {
        effects.tellsOfOthers = true
        results.append(false)
        continue
      }
      schedule.version += 1
      schedule.changedAt = now.wall
      try scheduleTable.put(schedule, kind: try kindTable.id(creating: schedule.kind))
      results.append(true)
    }
    return results
  }

  func removeSchedules(_ names: [String]) throws(QudoError) -> [Bool] {
    var results: [Bool] = []
    for name in names {
      let exists = try scheduleTable.version(of: name) > 0
      if exists { try scheduleTable.delete(name) }
      results.append(exists)
    }
    return results
  }

  /// Enqueues the jobs of ticks, and moves their schedules on.
  func advance(_ ticks: [ScheduleTick]) throws(QudoError) -> [TickResult] {
    var results: [TickResult] = []
    for tick in ticks { results.append(try advance(tick)) }
    return results
  }

  private func advance(_ tick: ScheduleTick) throws(QudoError) -> TickResult {
    guard let schedule = try scheduleTable.schedule(tick.name),
      tick.isOf(version: schedule.version, changedAt: schedule.changedAt)
    else {
      effects.tellsOfOthers = true
      return .superseded
    }
    if tick.skipsOverlap, let last = schedule.lastJob, try jobTable.kind(of: last) != nil {
      try scheduleTable.advance(tick.name, tick: tick.tick, job: nil, next: tick.next)
      return .overlapped
    }
    let jobs = try insert(tick.jobs).map(\.id)
    try scheduleTable.advance(tick.name, tick: tick.tick, job: jobs.last, next: tick.next)
    return .enqueued(jobs)
  }
}

extension Snapshot {
  /// Returns the schedules of some names, or all, by name.
  func schedules(_ names: [String]?) throws(QudoError) -> [StoredSchedule] {
    guard let names else { return try scheduleTable.all() }
    var found: [StoredSchedule] = []
    for name in Set(names.map { Array($0.utf8) }).sorted(by: { $0.lexicographicallyPrecedes($1) }) {
      if let schedule = try scheduleTable.schedule(String(decoding: name, as: UTF8.self)) {
        found.append(schedule)
      }
    }
    return found
  }

  func dueSchedules(after name: String?, limit: Int) throws(QudoError) -> DueSchedules {
    DueSchedules(
      now: now.wall, due: try scheduleTable.due(now.wall, after: name, limit: limit),
      next: try scheduleTable.nextTick(after: now.wall))
  }
}
