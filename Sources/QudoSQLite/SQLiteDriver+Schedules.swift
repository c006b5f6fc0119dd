public import Qudo

extension SQLiteDriver: ScheduleDriver {
  public func schedules(_ names: [String]?) async throws(QudoError) -> [StoredSchedule] {
    try await reader.read { snapshot throws(QudoError) in try snapshot.schedules(names) }
  }

  public func dueSchedules(after name: String?, limit: Int) async throws(QudoError) -> DueSchedules {
    try await reader.read { snapshot throws(QudoError) in try snapshot.dueSchedules(after: name, limit: limit)
    }
  }

  public func store(_ schedules: [StoredSchedule]) async throws(QudoError) -> [Bool] {
    try schedules.check(limits)
    return try await writer.write(isDurable: true, isSmall: true, needsRoom: true) {
      transaction throws(QudoError) in
      try transaction.store(schedules)
    }
  }

  public func removeSchedules(_ names: [String]) async throws(QudoError) -> [Bool] {
    try await writer.write(isDurable: true, isSmall: true) { transaction throws(QudoError) in
      try transaction.removeSchedules(names)
    }
  }

  public func advance(_ ticks: [ScheduleTick]) async throws(QudoError) -> [TickResult] {
    for job in ticks.lazy.flatMap(\.jobs) { try limits.check(job) }
    let isSmall = ticks.reduce(0) { $0 + 1 + $1.jobs.count } <= Self.small
    return try await writer.write(isDurable: true, isSmall: isSmall, needsRoom: true) {
      transaction throws(QudoError) in
      try transaction.advance(ticks)
    }
  }
}
