/// A driver that stores schedules, rules by which any scheduler that runs enqueues jobs at their ticks.
///
/// The driver does not interpret rules. A scheduler reads the schedules that are due, computes their next ticks, and writes both
/// the jobs and the next tick with ``advance(_:)``. If several schedulers do so at the same time, one succeeds: each
/// job of a tick is enqueued exactly once, without a leader.
///
/// Applications use the product `QudoSchedules`.
public protocol ScheduleDriver: Driver {
  /// Returns schedules by name, in the order of their names' UTF-8 bytes.
  ///
  /// - Parameter names: The names; nil for all. Names without a schedule are left out.
  func schedules(_ names: [String]?) async throws(QudoError) -> [StoredSchedule]

  /// Returns the schedules whose next tick has come, by the database's clock.
  ///
  /// - Parameters:
  ///   - name: Only schedules with a greater name; nil to begin.
  ///   - limit: The maximum number of schedules.
  func dueSchedules(after name: String?, limit: Int) async throws(QudoError) -> DueSchedules

  /// Writes schedules in one transaction. Each is written only if the stored one still has the version that it was read
  /// with, or, for the version 0, if there is none of its name.
  ///
  /// - Parameter schedules: The schedules, each with its own name. The driver sets ``StoredSchedule/version``
  ///   and ``StoredSchedule/changedAt``.
  /// - Returns: Whether each was written, in the order of the schedules.
  /// - Throws: ``QudoError``; ``QudoError/Code/invalidArgument`` for a value beyond the limits.
  func store(_ schedules: [StoredSchedule]) async throws(QudoError) -> [Bool]

  /// Removes schedules in one transaction. Their jobs stay.
  ///
  /// - Returns: Whether each existed, in the order of the names.
  func removeSchedules(_ names: [String]) async throws(QudoError) -> [Bool]

  /// Enqueues the jobs of ticks and moves the schedules on, in one transaction.
  ///
  /// - Parameter ticks: What to write, for each schedule once.
  /// - Returns: The results, in the order of the ticks.
  /// - Throws: ``QudoError``; ``QudoError/Code/invalidArgument`` for a job beyond the limits.
  func advance(_ ticks: [ScheduleTick]) async throws(QudoError) -> [TickResult]
}

/// A schedule as the database has it.
public struct StoredSchedule: Hashable, Sendable, Codable {
  /// The name: 1 to 255 bytes of UTF-8 without NUL. A database has one schedule of a name.
  public var name: String
  /// The rule of the ticks, as a text that the scheduler understands. At most 2,048 bytes.
  public var rule: String
  /// The kind of the jobs.
  public var kind: Kind
  /// The payload of the jobs as stored: encoded, and after the hooks' `serialize`.
  public var payload: Payload
  /// The priority of the jobs.
  public var priority: Int
  /// Entries that travel with the payload.
  public var metadata: JobMetadata
  /// The missed ticks that a scheduler catches up on, as a text that it understands. At most 64 bytes.
  public var missed: String
  /// Whether a tick is skipped while the job of an earlier tick waits or runs.
  public var skipsOverlap: Bool
  /// The next tick. Nil while the schedule is paused, and after the last tick of its rule.
  public var nextTick: Timestamp?
  /// The newest tick that was enqueued or skipped; nil before the first.
  public var lastTick: Timestamp?
  /// The number of the job of the newest tick that had one; nil before the first.
  public var lastJob: Int64?
  /// Whether the schedule is paused.
  public var isPaused: Bool
  /// A note for those who look at a paused schedule, at most 1,024 bytes.
  public var reason: String?
  /// Rises with each write; 0 for a schedule that is not stored yet.
  public var version: Int64
  /// The time of the last write of the schedule, other than by a tick.
  public var changedAt: Timestamp

  /// Creates a schedule that is not stored yet.
  public init(
    name: String, rule: String, kind: Kind, payload: Payload = Payload([]), priority: Int = 0,
    metadata: JobMetadata = JobMetadata(), missed: String = "latest", skipsOverlap: Bool = false,
    nextTick: Timestamp? = nil
  ) {
    self.name = name
    self.rule = rule
    self.kind = kind
    self.payload = payload
    self.priority = priority
    self.metadata = metadata
    self.missed = missed
    self.skipsOverlap = skipsOverlap
    self.nextTick = nextTick
    lastTick = nil
    lastJob = nil
    isPaused = false
    reason = nil
    version = 0
    changedAt = Timestamp(microseconds: 0)
  }

  /// The maximum length of a name, in bytes of UTF-8.
  public static let maxNameLength = 255
  /// The maximum length of a rule, in bytes of UTF-8.
  public static let maxRuleLength = 2048

  /// Throws ``QudoError/Code/invalidArgument`` if a name is empty, too long, or has a NUL byte.
  package static func check(name: String) throws(QudoError) {
    try Limits.check("schedule's name", name, atMost: maxNameLength)
  }

  /// Throws ``QudoError/Code/invalidArgument`` if a value is beyond the limits.
  fileprivate func check(_ limits: Limits) throws(QudoError) {
    try Self.check(name: name)
    guard (1...Self.maxRuleLength).contains(rule.utf8.count), missed.utf8.count <= 64 else {
      throw QudoError(
        .invalidArgument,
        "the rule of the schedule \(name) is empty or too long: give at most \(Self.maxRuleLength) bytes")
    }
    guard (reason ?? "").utf8.count <= 1024 else {
      throw QudoError(
        .invalidArgument, "the reason of the schedule \(name) is too long: give at most 1,024 bytes")
    }
    try limits.check(NewJob(kind, payload: payload, priority: priority, metadata: metadata))
  }
}

/// The schedules whose next tick has come.
public struct DueSchedules: Hashable, Sendable {
  /// The time by the database's clock.
  public var now: Timestamp
  /// The schedules, in the order of their names.
  public var due: [StoredSchedule]
  /// The next tick of all schedules that are not due; nil if there is none.
  public var next: Timestamp?

  /// Creates an answer; for drivers.
  public init(now: Timestamp, due: [StoredSchedule], next: Timestamp?) {
    (self.now, self.due, self.next) = (now, due, next)
  }
}

/// The ticks of one schedule that a scheduler enqueues, and where the schedule continues.
public struct ScheduleTick: Sendable {
  /// The schedule's name.
  public var name: String
  /// The version of the schedule that the scheduler read. If the stored one has another, nothing is written.
  public var version: Int64
  /// ``StoredSchedule/changedAt`` of the schedule that the scheduler read. If the stored one has another, nothing is written: a
  /// schedule that was removed and added again may have the same version. Nil to compare the version only.
  public var changedAt: Timestamp?
  /// The jobs to enqueue.
  public var jobs: [NewJob]
  /// The newest tick that this accounts for; nil to leave ``StoredSchedule/lastTick`` as it is.
  public var tick: Timestamp?
  /// The schedule's next tick.
  public var next: Timestamp?
  /// Whether the jobs are left out if ``StoredSchedule/lastJob`` waits or runs.
  public var skipsOverlap: Bool

  /// Creates a tick.
  public init(
    name: String, version: Int64, changedAt: Timestamp? = nil, jobs: [NewJob], tick: Timestamp?,
    next: Timestamp?,
    skipsOverlap: Bool
  ) {
    self.name = name
    self.version = version
    self.changedAt = changedAt
    self.jobs = jobs
    self.tick = tick
    self.next = next
    self.skipsOverlap = skipsOverlap
  }
}

extension ScheduleTick {
  /// Whether a schedule with this version and time is the one that the scheduler read.
  package func isOf(version: Int64, changedAt: Timestamp) -> Bool {
    self.version == version && self.changedAt ?? changedAt == changedAt
  }
}

/// The result of one ``ScheduleTick``.
public enum TickResult: Hashable, Sendable {
  /// The jobs with these numbers are enqueued, and the schedule has moved on.
  case enqueued([Int64])
  /// The job of an earlier tick waits or runs. The schedule has moved on without a job.
  case overlapped
  /// The schedule is gone, or was written since it was read. Nothing is written.
  case superseded
}

extension [StoredSchedule] {
  /// Checks schedules before they are stored.
  ///
  /// - Throws: ``QudoError/Code/invalidArgument`` if a value is beyond the limits, or two schedules have the same name.
  package func check(_ limits: Limits) throws(QudoError) {
    // As bytes: Swift strings are equal even if they only look alike.
    var names: Set<[UInt8]> = []
    for schedule in self {
      try schedule.check(limits)
      guard names.insert([UInt8](schedule.name.utf8)).inserted else {
        throw QudoError(.invalidArgument, "two schedules have the name \(schedule.name): rename one of them")
      }
    }
  }
}

extension Driver {
  /// The driver with its schedules.
  ///
  /// - Throws: ``QudoError/Code/invalidArgument`` if it stores none.
  package func scheduling() throws(QudoError) -> any ScheduleDriver {
    guard let driver = self as? any ScheduleDriver else {
      throw QudoError(.invalidArgument, "the driver of \(name) stores no schedules: use one that can")
    }
    return driver
  }
}
