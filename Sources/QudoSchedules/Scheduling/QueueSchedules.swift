public import Qudo

extension Queue {
  /// The schedules that the queue's databases store.
  public var schedules: QueueSchedules { QueueSchedules(self) }
}

/// The schedules that a queue's databases store: see `queue.schedules`.
///
///     try await queue.schedules.add(Schedule("tidy", .every(.seconds(3600)), Tidy()))
///     try await queue.schedules.pause("tidy", reason: "the disk is being replaced")
///
/// With several databases, a schedule is in one of them. A verb looks for its name in all of them.
public struct QueueSchedules: Sendable {
  private let queue: any JobPreparing
  private var databases: Databases { queue.databases }

  init(_ queue: any JobPreparing) { self.queue = queue }

  /// Stores a schedule, replacing an older one of the same name in any of the databases.
  ///
  /// A schedule whose rule is the same keeps its next tick, and stays paused if it is. The jobs of earlier ticks stay as they are.
  ///
  /// - Parameters:
  ///   - schedule: The schedule. Its job is encoded, and passes through the hooks of an enqueue, once: here.
  ///   - database: The name of the database that a new schedule goes into. Default: the first one of the queue.
  /// - Returns: The schedule as it is stored now.
  /// - Throws: ``/Qudo/QudoError``; ``/Qudo/QudoError/Code/invalidArgument`` for a rule without any tick to come, a value
  ///   beyond the limits, an unknown database, or one that stores no schedules; the error of a database that is unavailable, if
  ///   no other one has the schedule: it could be there. Or what the codec or a hook throws.
  @discardableResult
  public func add(_ schedule: Schedule, in database: String? = nil) async throws -> ScheduleRecord {
    let new = try schedule.stored(queue)
    let found = try await find(schedule.name)
    // Known by now: a database may have another name once it is open.
    guard let home = found.first?.database ?? database ?? databases.names.first else {
      throw QudoError(.invalidArgument, "the queue has no database: give it one")
    }
    return try await databases.schedules(in: home) { driver throws(QudoError) in
      let now = try await driver.dueSchedules(after: nil, limit: 0).now
      let written = try await Self.write(schedule.name, driver) { old throws(QudoError) in
        try new.replacing(old, schedule.rule, now: now, driver.limits)
      }
      guard let written else { throw Self.busy(schedule.name) }
      return written
    }
  }

  /// Returns all schedules: by name, for one database after the other.
  ///
  /// - Throws: ``/Qudo/QudoError``, even if only one of several databases is unavailable.
  public func all() async throws(QudoError) -> [ScheduleRecord] {
    let answers = await databases.forEachDriver { driver throws(QudoError) in
      try await driver.scheduling().schedules(nil)
    }
    var records: [ScheduleRecord] = []
    for answer in answers {
      records += try answer.result.get().map { ScheduleRecord(database: answer.database, schedule: $0) }
    }
    return records
  }

  /// Returns a schedule, or nil if there is none of the name.
  public func schedule(named name: String) async throws(QudoError) -> ScheduleRecord? {
    try await find(name).first
  }

  /// Pauses a schedule: it has no ticks until it is resumed. Its jobs stay as they are.
  ///
  /// - Parameters:
  ///   - name: The schedule's name.
  ///   - reason: A note for those who look at it, at most 1,024 bytes. Default: none.
  /// - Returns: The schedule, or nil if there is none of the name.
  @discardableResult
  public func pause(_ name: String, reason: String? = nil) async throws(QudoError) -> ScheduleRecord? {
    try await change(name) { schedule, _ in
      schedule.isPaused = true
      schedule.nextTick = nil
      schedule.reason = reason
    }
  }

  /// Resumes a paused schedule. It continues with the first tick after now. The ticks of the pause are skipped.
  ///
  /// - Returns: The schedule, or nil if there is none of the name.
  @discardableResult
  public func resume(_ name: String) async throws(QudoError) -> ScheduleRecord? {
    try await change(name) { schedule, now throws(QudoError) in
      guard schedule.isPaused else { return }
      schedule.isPaused = false
      schedule.reason = nil
      schedule.nextTick = try schedule.parsedRule().next(after: now)
    }
  }

  /// Enqueues a schedule's job now, in addition to its ticks. The job's tick is the current time.
  ///
  /// - Returns: The job's id, or nil if there is no schedule of the name.
  @discardableResult
  public func runNow(_ name: String) async throws(QudoError) -> JobID? {
    guard let found = try await schedule(named: name) else { return nil }
    return try await databases.schedules(in: found.database) { driver throws(QudoError) in
      let now = try await driver.dueSchedules(after: nil, limit: 0).now
      let jobs = try await driver.insert([found.schedule.job(at: now)])
      return jobs.first.map { JobID(database: driver.name, number: $0.id) }
    }
  }

  /// Removes a schedule. Its jobs stay as they are. A worker that declares the schedule stores it again when it starts.
  ///
  /// - Returns: Whether there was a schedule of the name.
  @discardableResult
  public func remove(_ name: String) async throws(QudoError) -> Bool {
    var isRemoved = false
    for found in try await find(name) {
      let wasThere = try await databases.schedules(in: found.database) { driver throws(QudoError) in
        try await driver.removeSchedules([name]).first ?? false
      }
      isRemoved = isRemoved || wasThere
    }
    return isRemoved
  }

  // MARK: Finding and writing

  private static let tries = 20

  private static func busy(_ name: String) -> QudoError {
    QudoError(.busy, "the schedule \(name) is being changed by others all the time: try again")
  }

  /// Returns the schedules of a name, which is one unless two processes added it to different databases at the same time.
  ///
  /// - Throws: ``QudoError``, if no database has it, and one of them is unavailable.
  private func find(_ name: String) async throws(QudoError) -> [ScheduleRecord] {
    let answers = await databases.forEachDriver { driver throws(QudoError) -> StoredSchedule? in
      guard let driver = driver as? any ScheduleDriver else { return nil }
      return try await driver.schedules([name]).first
    }
    var found: [ScheduleRecord] = []
    for answer in answers {
      if case .success(let schedule?) = answer.result {
        found.append(ScheduleRecord(database: answer.database, schedule: schedule))
      }
    }
    if found.isEmpty { for answer in answers { _ = try answer.result.get() } }
    return found
  }

  /// - Returns: The schedule as it is stored now; nil if there is none of the name.
  private func change(
    _ name: String, _ change: @escaping @Sendable (inout StoredSchedule, Timestamp) throws(QudoError) -> Void
  ) async throws(QudoError) -> ScheduleRecord? {
    var first: ScheduleRecord?
    for found in try await find(name) {
      let changed = try await databases.schedules(in: found.database) { driver throws(QudoError) in
        let now = try await driver.dueSchedules(after: nil, limit: 0).now
        return try await Self.write(name, driver) { old throws(QudoError) in
          guard var new = old else { return nil }
          try change(&new, now)
          return new
        }
      }
      first = first ?? changed
    }
    return first
  }

  /// Writes a schedule, again and again until nobody else wrote it in between.
  ///
  /// - Parameter change: Returns the new schedule for the old one; nil to write nothing.
  private static func write(
    _ name: String, _ driver: any ScheduleDriver,
    _ change: (StoredSchedule?) throws(QudoError) -> StoredSchedule?
  ) async throws(QudoError) -> ScheduleRecord? {
    for _ in 0..<tries {
      let old = try await driver.schedules([name]).first
      guard let new = try change(old) else { return nil }
      if new == old { return ScheduleRecord(database: driver.name, schedule: new) }
      if try await driver.store([new]).first == true, let stored = try await driver.schedules([name]).first {
        return ScheduleRecord(database: driver.name, schedule: stored)
      }
    }
    throw busy(name)
  }
}

/// A schedule, and the database that stores it.
public struct ScheduleRecord: Hashable, Sendable, Codable {
  /// The name of the database.
  public var database: String
  /// The schedule as it is stored.
  public var schedule: StoredSchedule

  /// Creates a record.
  public init(database: String, schedule: StoredSchedule) {
    (self.database, self.schedule) = (database, schedule)
  }

  /// Returns the next ticks, at most `count`; none for a paused schedule.
  ///
  /// - Throws: ``/Qudo/QudoError``; ``/Qudo/QudoError/Code/invalidArgument`` for a rule that this version does not know, or a
  ///   time zone that this machine does not have.
  public func nextTicks(_ count: Int) throws(QudoError) -> [Timestamp] {
    guard count > 0, let first = schedule.nextTick else { return [] }
    return [first] + (try schedule.parsedRule().ticks(after: first, count: count - 1))
  }
}

extension StoredSchedule {
  /// - Throws: ``QudoError``, with the schedule's name, if its rule is unknown here.
  func parsedRule() throws(QudoError) -> ScheduleRule {
    do {
      return try ScheduleRule(rule)
    } catch {
      throw QudoError(
        error.code, "the schedule \(name) has a rule that cannot be read: \(error.message)",
        cause: error.cause)
    }
  }

  /// The schedule in place of an older one, whose state it keeps.
  fileprivate func replacing(
    _ old: StoredSchedule?, _ rule: ScheduleRule, now: Timestamp, _ limits: Limits
  ) throws(QudoError) -> StoredSchedule {
    var new = self
    try limits.check(job(at: now))
    let next = rule.next(after: now)
    guard next != nil else {
      throw QudoError(.invalidArgument, "the rule of the schedule \(name) never matches: give another one")
    }
    if let old {
      (new.version, new.changedAt, new.isPaused, new.reason) = (
        old.version, old.changedAt, old.isPaused, old.reason
      )
      (new.lastTick, new.lastJob) = (old.lastTick, old.lastJob)
      new.nextTick = old.rule == new.rule ? old.nextTick : nil
    }
    if !new.isPaused, new.nextTick == nil { new.nextTick = next }
    return new
  }
}
