#if MySQL
public import Qudo

extension MySQLDriver: ScheduleDriver {
  public func schedules(_ names: [String]?) async throws(QudoError) -> [StoredSchedule] {
    try await pool.transact { transaction throws(QudoError) in try transaction.schedules(names) }
  }

  public func dueSchedules(after name: String?, limit: Int) async throws(QudoError) -> DueSchedules {
    try await pool.transact { transaction throws(QudoError) in
      try transaction.dueSchedules(after: name, limit: limit)
    }
  }

  public func store(_ schedules: [StoredSchedule]) async throws(QudoError) -> [Bool] {
    try schedules.check(limits)
    return try await pool.transact { transaction throws(QudoError) in
      try transaction.run(storing: schedules)
    }
  }

  public func removeSchedules(_ names: [String]) async throws(QudoError) -> [Bool] {
    try await pool.transact { transaction throws(QudoError) in try transaction.run(removing: names) }
  }

  public func advance(_ ticks: [ScheduleTick]) async throws(QudoError) -> [TickResult] {
    for job in ticks.lazy.flatMap(\.jobs) { try limits.check(job) }
    try capabilities.check(keysOf: ticks.flatMap(\.jobs))
    return try await pool.transact { transaction throws(QudoError) in
      try transaction.run(advancing: ticks)
    }
  }
}
#endif
