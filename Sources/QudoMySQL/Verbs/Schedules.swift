#if MySQL
internal import Qudo

/// The verbs of schedules. No other verb touches the table `qudo_schedule`.
///
/// A verb that writes first locks the schedules, in the order of their names, and then does what an insert does. So of
/// several schedulers that advance a schedule at once, the second one waits, and finds another version.
extension Transaction {
  // MARK: Reading

  /// Returns schedules by name.
  func schedules(_ names: [String]?) throws(QudoError) -> [StoredSchedule] {
    guard let names else {
      return try look("\(ScheduleRow.select) ORDER BY s.name").map { ScheduleRow.schedule($0) }
    }
    let parts = names.map { Array($0.utf8) }.sortedOnce.parts()
    guard !parts.isEmpty else { return [] }
    let rows = try lookAgain(
      parts.map { part -> SQL in "\(ScheduleRow.select) WHERE s.name IN \(names: part) ORDER BY s.name" })
    return rows.flatMap { rows in rows.map { ScheduleRow.schedule($0) } }
  }

  func dueSchedules(after name: String?, limit: Int) throws(QudoError) -> DueSchedules {
    // Few are due at a time: their names come from the index by time, and only names are sorted.
    let after: SQL = name.map { " AND name > \(Array($0.utf8))" } ?? ""
    let rows = try lookAgain([
      "SELECT @n, \(ScheduleRow.next)",
      """
      SELECT \(ScheduleRow.columns) FROM (SELECT name FROM qudo_schedule FORCE INDEX(qudo_schedule_next)
        WHERE next_tick <= @n\(after) ORDER BY name LIMIT \(max(0, limit))) AS d
      STRAIGHT_JOIN qudo_schedule AS s ON s.name = d.name STRAIGHT_JOIN qudo_kind AS k ON k.id = s.kind ORDER BY d.name
      """,
    ])
    // MIN returns NULL if the server was told to stop.
    guard let first = rows[0].next(), let next = first.integerIfAny(1) else { throw .short(0, 1) }
    return DueSchedules(
      now: Timestamp(microseconds: first.integer(0)), due: rows[1].map { ScheduleRow.schedule($0) },
      next: next == NextTimes.never ? nil : Timestamp(microseconds: next))
  }

  /// Reads with several statements at one moment.
  private func lookAgain(_ statements: [SQL]) throws(QudoError) -> [Rows] {
    let rows = try look(statements, after: [])
    // A SELECT that the server was told to stop may return no rows: see ``Write``.
    return rows.contains { $0.count == 0 } ? try look(statements, after: []) : rows
  }

  // MARK: Writing

  /// Runs the whole verb that stores schedules.
  func run(storing schedules: [StoredSchedule]) throws(QudoError) -> [Bool] {
    if let done = try wasCommitted() { return done.stored }
    try makeKinds(schedules.map(\.kind))
    let names = schedules.map { Array($0.name.utf8) }
    // A name that is not free after all makes the INSERT fail.
    let locked = try lock(
      names, expecting: zip(names, schedules).filter { $1.version != 0 }.map { name, _ in name })
    var results: [Bool] = []
    for (name, schedule) in zip(names, schedules) {
      let isAsRead = locked[name]?.version ?? 0 == schedule.version
      results.append(isAsRead)
      guard isAsRead else { continue }
      let statement =
        schedule.version == 0
        ? ScheduleRow.insertion(of: schedule, kind: try requireNumber(of: schedule.kind), now)
        : ScheduleRow.update(to: schedule, kind: try requireNumber(of: schedule.kind), now)
      try checkPacket(statement.bytes.count, payload: schedule.payload.bytes.count)
      write(statement, count: schedule.version == 0 ? nil : 1)
    }
    receipt.stored = results
    try commit()
    return results
  }

  /// Runs the whole verb that removes schedules.
  func run(removing names: [String]) throws(QudoError) -> [Bool] {
    if let done = try wasCommitted() { return done.removed }
    let names = names.map { Array($0.utf8) }
    var locked = try lock(names, expecting: names)
    let found = Array(locked.keys).sortedOnce
    receipt.removed = names.map { locked.removeValue(forKey: $0) != nil }
    for part in found.parts() {
      write("DELETE FROM qudo_schedule WHERE name IN \(names: part)", count: part.count)
    }
    try commit()
    return receipt.removed
  }

  /// Runs the whole verb that enqueues ticks.
  func run(advancing ticks: [ScheduleTick]) throws(QudoError) -> [TickResult] {
    if let done = try wasCommitted() { return done.advanced.map { $0() } }
    try makeKinds(ticks.lazy.flatMap(\.jobs).map(\.kind))
    var results: [() -> TickResult] = []
    var rest = ticks[...]
    while !rest.isEmpty {
      // A second tick of a schedule meets what the first one wrote.
      var names: Set<[UInt8]> = []
      let part = rest.prefix { names.insert(Array($0.name.utf8)).inserted }
      rest = rest.dropFirst(part.count)
      results += try advance(part)
    }
    receipt.advanced = results
    try commit()
    return results.map { $0() }
  }

  /// - Parameter ticks: Of each schedule at most one.
  /// - Returns: The results, which are known after the commit.
  private func advance(_ ticks: ArraySlice<ScheduleTick>) throws(QudoError) -> [() -> TickResult] {
    let names = ticks.map { Array($0.name.utf8) }
    let locked = try lock(names, expecting: names)
    var jobs: [NewJob] = []
    // Which ticks are written, with the positions of their jobs; nil for no jobs because of an overlap.
    var plan: [(tick: ScheduleTick, isWritten: Bool, jobs: Range<Int>?)] = []
    for (name, tick) in zip(names, ticks) {
      guard let row = locked[name], tick.isOf(version: row.version, changedAt: row.changedAt) else {
        plan.append((tick, false, nil))
        continue
      }
      let overlaps = tick.skipsOverlap && row.hasLiveJob
      let start = jobs.count
      if !overlaps { jobs += tick.jobs }
      plan.append((tick, true, overlaps ? nil : start..<jobs.count))
    }
    // One insert for all: each of its statements writes many jobs.
    let answer = try insert(jobs)
    // The statements that follow store the jobs' numbers.
    if !jobs.isEmpty { _ = try read([]) }
    let numbers = answer.results.map(\.id)
    return plan.map { tick, isWritten, jobs -> (() -> TickResult) in
      guard isWritten else { return { .superseded } }
      write(ScheduleRow.advance(tick, job: jobs.flatMap { numbers[$0].last }), count: 1)
      guard let jobs else { return { .overlapped } }
      return { .enqueued(answer.results(of: jobs).map(\.id)) }
    }
  }

  /// A schedule whose row is locked.
  private struct LockedSchedule {
    let version: Int64
    let changedAt: Timestamp
    /// Whether the job of its newest tick waits or runs.
    let hasLiveJob: Bool
  }

  /// Locks schedules.
  ///
  /// - Parameter expected: Those that should exist.
  /// - Returns: Those that do.
  private func lock(_ names: [[UInt8]], expecting expected: [[UInt8]]) throws(QudoError)
    -> [[UInt8]: LockedSchedule]
  {
    let names = names.sortedOnce
    var found: [[UInt8]: LockedSchedule] = [:]
    // A SELECT that the server was told to stop may return no rows: see ``Write``.
    for attempt in 0..<2 where attempt == 0 || expected.contains(where: { found[$0] == nil }) {
      for rows in try read(names.parts().map { ScheduleRow.lock($0) }) {
        try rows.forEach { row throws(QudoError) in
          // The same holds for the look at the job.
          guard !row.isNull(2) else { throw .short(0, 1) }
          found[row.bytes(0)] = LockedSchedule(
            version: row.integer(1), changedAt: Timestamp(microseconds: row.integer(3)),
            hasLiveJob: row.integer(2) != 0)
        }
      }
    }
    return found
  }
}

/// The rows of `qudo_schedule`.
private enum ScheduleRow {
  static let columns: SQL = """
    s.name, s.rule, k.name, s.codec, s.payload, s.ranking, s.meta, s.missed, s.skips_overlap, s.next_tick, s.last_tick, s.last_job, \
    s.paused, s.reason, s.version, s.changed_at
    """

  /// In this order, so that the rows come by name.
  static let select: SQL =
    "SELECT \(columns) FROM qudo_schedule AS s STRAIGHT_JOIN qudo_kind AS k ON k.id = s.kind"

  /// An expression for the next tick that has not come yet.
  static let next: SQL = "\(NextTimes.least("next_tick", "qudo_schedule")) WHERE next_tick > @n)"

  static func schedule(_ row: Row) -> StoredSchedule {
    func time(_ column: Int) -> Timestamp? { row.integerIfAny(column).map { Timestamp(microseconds: $0) } }
    var schedule = StoredSchedule(
      name: row.text(0), rule: row.text(1), kind: Kind(row.text(2)),
      payload: Payload(row.bytes(4), codec: CodecID(row.integer(3))), priority: 0 &- Int(row.integer(5)),
      metadata: JobMetadata(bytes: row.bytes(6)), missed: row.text(7), skipsOverlap: row.integer(8) != 0,
      nextTick: time(9))
    (schedule.lastTick, schedule.lastJob) = (time(10), row.integerIfAny(11))
    (schedule.isPaused, schedule.reason) = (row.integer(12) != 0, row.textIfAny(13))
    (schedule.version, schedule.changedAt) = (row.integer(14), Timestamp(microseconds: row.integer(15)))
    return schedule
  }

  /// The statement that locks schedules, and looks whether the jobs of their newest ticks are there.
  static func lock(_ names: some Collection<[UInt8]>) -> SQL {
    """
    SELECT s.name, s.version, (SELECT COUNT(*) FROM qudo_job AS j WHERE j.id = s.last_job), s.changed_at
    FROM qudo_schedule AS s
    WHERE s.name IN \(names: names) ORDER BY s.name FOR UPDATE
    """
  }

  static func insertion(of schedule: StoredSchedule, kind: Int64, _ now: Timestamp) -> SQL {
    let values = values(of: schedule, kind: kind, now)
    return """
      INSERT INTO qudo_schedule(name, \(values.map(\.column).joined(", "))) \
      VALUES(\(Array(schedule.name.utf8)), \(values.map(\.value).joined(", ")))
      """
  }

  static func update(to schedule: StoredSchedule, kind: Int64, _ now: Timestamp) -> SQL {
    let values = values(of: schedule, kind: kind, now).map { column, value -> SQL in "\(column) = \(value)" }
    return """
      UPDATE qudo_schedule SET \(values.joined(", ")) \
      WHERE name = \(Array(schedule.name.utf8)) AND version = \(schedule.version)
      """
  }

  /// - Parameter job: The number of the newest job; nil if it stays.
  static func advance(_ tick: ScheduleTick, job: Int64?) -> SQL {
    let newest: SQL = tick.tick.map { ", last_tick = \($0.microseconds)" } ?? ""
    let job: SQL = job.map { ", last_job = \($0)" } ?? ""
    return """
      UPDATE qudo_schedule SET version = version + 1, next_tick = \(tick.next?.microseconds)\(newest)\(job) \
      WHERE name = \(Array(tick.name.utf8)) AND version = \(tick.version)
      """
  }

  private static func values(of schedule: StoredSchedule, kind: Int64, _ now: Timestamp)
    -> [(column: SQL, value: SQL)]
  {
    [
      ("kind", "\(kind)"), ("rule", "\(Array(schedule.rule.utf8))"),
      ("missed", "\(Array(schedule.missed.utf8))"), ("skips_overlap", schedule.skipsOverlap ? "1" : "0"),
      ("ranking", "\(0 &- Int64(schedule.priority))"), ("next_tick", "\(schedule.nextTick?.microseconds)"),
      ("last_tick", "\(schedule.lastTick?.microseconds)"), ("last_job", "\(schedule.lastJob)"),
      ("paused", schedule.isPaused ? "1" : "0"), ("reason", "\(schedule.reason.map { Array($0.utf8) })"),
      ("version", "\(schedule.version + 1)"), ("changed_at", "\(now.microseconds)"),
      ("codec", "\(schedule.payload.codec.number)"),
      ("meta", "\(schedule.metadata.isEmpty ? nil : schedule.metadata.bytes)"),
      ("payload", "\(schedule.payload.bytes)"),
    ]
  }
}

extension SQL.Interpolation {
  /// - Parameter names: The names; not empty.
  fileprivate mutating func appendInterpolation(names: some Collection<[UInt8]>) {
    appendInterpolation("(\(names.map { name -> SQL in "\(name)" }.joined(",")))" as SQL)
  }
}

extension [[UInt8]] {
  /// The names in the order of their bytes, each once.
  fileprivate var sortedOnce: [[UInt8]] { Set(self).sorted { $0.lexicographicallyPrecedes($1) } }
}
#endif
