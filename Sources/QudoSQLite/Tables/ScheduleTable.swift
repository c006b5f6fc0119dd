internal import Qudo

/// `qudo_schedule`: which jobs to enqueue when.
struct ScheduleTable {
  let connection: Connection

  /// Returns a schedule by its name, or nil if there is none.
  func schedule(_ name: String) throws(QudoError) -> StoredSchedule? {
    var found: StoredSchedule?
    try connection.each(
      """
      SELECT s.name, rule, k.name, codec, payload, rank, meta, missed, skips_overlap, next_tick, last_tick, last_job, paused, reason,
        version, changed_at
      FROM qudo_schedule AS s JOIN qudo_kind AS k ON k.id = s.kind WHERE s.name = ?
      """, .text(name)
    ) { row throws(QudoError) in found = row.schedule }
    return found
  }

  /// Returns all schedules by name.
  func all() throws(QudoError) -> [StoredSchedule] {
    var found: [StoredSchedule] = []
    try connection.each(
      """
      SELECT s.name, rule, k.name, codec, payload, rank, meta, missed, skips_overlap, next_tick, last_tick, last_job, paused, reason,
        version, changed_at
      FROM qudo_schedule AS s JOIN qudo_kind AS k ON k.id = s.kind ORDER BY s.name
      """
    ) { row throws(QudoError) in found.append(row.schedule) }
    return found
  }

  /// Returns the schedules that are due, by name.
  func due(_ now: Timestamp, after name: String?, limit: Int) throws(QudoError) -> [StoredSchedule] {
    var found: [StoredSchedule] = []
    // The names of those that are due come from their index; sorting them costs little, since few are due at once.
    try connection.each(
      """
      SELECT s.name, rule, k.name, codec, payload, rank, meta, missed, skips_overlap, next_tick, last_tick, last_job, paused, reason,
        version, changed_at
      FROM (SELECT name FROM qudo_schedule INDEXED BY qudo_schedule_next WHERE next_tick <= ? AND name > ? ORDER BY name LIMIT ?) AS d
        JOIN qudo_schedule AS s ON s.name = d.name JOIN qudo_kind AS k ON k.id = s.kind ORDER BY s.name
      """, .integer(now.microseconds), .text(name ?? ""), .integer(Int64(max(0, limit)))
    ) { row throws(QudoError) in found.append(row.schedule) }
    return found
  }

  /// Returns the first tick after a time, or nil if there is none.
  func nextTick(after now: Timestamp) throws(QudoError) -> Timestamp? {
    try connection.integer(
      "SELECT next_tick FROM qudo_schedule INDEXED BY qudo_schedule_next WHERE next_tick > ? ORDER BY next_tick LIMIT 1",
      .integer(now.microseconds)
    ).map { Timestamp(microseconds: $0) }
  }

  /// Returns the version of a schedule; 0 if there is none.
  func version(of name: String) throws(QudoError) -> Int64 {
    try connection.integer("SELECT version FROM qudo_schedule WHERE name = ?", .text(name)) ?? 0
  }

  /// Stores a schedule in place of an older one of its name.
  func put(_ schedule: StoredSchedule, kind: Int64) throws(QudoError) {
    try connection.run(
      """
      INSERT OR REPLACE INTO qudo_schedule(
        name, kind, rule, missed, skips_overlap, rank, next_tick, last_tick, last_job, paused, reason, version, changed_at, codec, meta,
        payload)
      VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      """, .text(schedule.name), .integer(kind), .text(schedule.rule), .text(schedule.missed),
      .integer(schedule.skipsOverlap ? 1 : 0), .integer(0 - Int64(schedule.priority)),
      Value(schedule.nextTick), Value(schedule.lastTick), schedule.lastJob.map { .integer($0) } ?? .null,
      .integer(schedule.isPaused ? 1 : 0), .text(schedule.reason), .integer(schedule.version),
      .integer(schedule.changedAt.microseconds), .integer(schedule.payload.codec.number),
      Value(schedule.metadata), .blob(schedule.payload.bytes))
  }

  /// Moves a schedule on.
  ///
  /// - Parameters:
  ///   - tick: The newest tick, or nil if it stays.
  ///   - job: The job of the newest tick, or nil if it stays.
  func advance(_ name: String, tick: Timestamp?, job: Int64?, next: Timestamp?) throws(QudoError) {
    try connection.run(
      """
      UPDATE qudo_schedule SET next_tick = ?, last_tick = ifnull(?, last_tick), last_job = ifnull(?, last_job), version = version + 1
      WHERE name = ?
      """, Value(next), Value(tick), job.map { .integer($0) } ?? .null, .text(name))
  }

  func delete(_ name: String) throws(QudoError) {
    try connection.run("DELETE FROM qudo_schedule WHERE name = ?", .text(name))
  }
}

extension Value {
  fileprivate init(_ time: Timestamp?) { self = time.map { .integer($0.microseconds) } ?? .null }
}

extension Statement {
  /// The row as a schedule.
  fileprivate var schedule: StoredSchedule {
    var schedule = StoredSchedule(
      name: text(0), rule: text(1), kind: Kind(text(2)),
      payload: Payload(blob(4), codec: CodecID(integer(3))),
      priority: 0 &- Int(integer(5)), metadata: JobMetadata(bytes: blob(6)), missed: text(7),
      skipsOverlap: integer(8) != 0, nextTick: time(9))
    schedule.lastTick = time(10)
    schedule.lastJob = isNull(11) ? nil : integer(11)
    schedule.isPaused = integer(12) != 0
    schedule.reason = isNull(13) ? nil : text(13)
    schedule.version = integer(14)
    schedule.changedAt = Timestamp(microseconds: integer(15))
    return schedule
  }

  private func time(_ column: Int32) -> Timestamp? {
    isNull(column) ? nil : Timestamp(microseconds: integer(column))
  }
}
