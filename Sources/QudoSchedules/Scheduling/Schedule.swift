public import Qudo

/// A job that is enqueued again and again: its name, its rule, and what to do about ticks that were missed or overlap.
///
///     let nightly = Schedule("nightly", try .cron("30 2 * * *", in: "Europe/Berlin"), Report())
///
/// Give schedules to a worker with ``Schedules``, or add them with ``QueueSchedules/add(_:in:)``. They are stored in the
/// database, and continue when the process that declared them is gone.
public struct Schedule: Sendable {
  /// The name: 1 to 255 bytes of UTF-8. A queue has one schedule of a name.
  public var name: String
  /// The rule for the ticks of the schedule.
  public var rule: ScheduleRule
  /// The missed ticks that a worker catches up on. Default: the latest one.
  public var missed: MissedTicks
  /// Whether a tick is skipped while the job of an earlier tick waits or runs. Default: false.
  ///
  /// If it is true, a worker catches up on the latest missed tick only.
  public var skipsOverlap: Bool
  /// Encodes the job of the ticks.
  let job: @Sendable (Codecs) throws -> NewJob

  /// Creates a schedule of a job.
  ///
  /// - Parameters:
  ///   - name: The name: 1 to 255 bytes of UTF-8.
  ///   - rule: When the schedule has its ticks.
  ///   - job: The job that each tick enqueues.
  ///   - priority: Jobs with a higher priority run first. Default: 0.
  ///   - missed: Which missed ticks a worker catches up on. Default: the latest one.
  ///   - skipsOverlap: Whether a tick is skipped while the job of an earlier tick waits or runs. Default: false.
  public init<J: Job & Sendable>(
    _ name: String, _ rule: ScheduleRule, _ job: J, priority: Int = 0, missed: MissedTicks = .latest,
    skipsOverlap: Bool = false
  ) {
    self.init(name, rule, missed, skipsOverlap) { codecs in
      try NewJob(job, options: EnqueueOptions(priority: priority), codecs: codecs)
    }
  }

  /// Creates a schedule of an encoded job. Its payload, priority and metadata are used.
  public init(
    _ name: String, _ rule: ScheduleRule, _ job: NewJob, missed: MissedTicks = .latest,
    skipsOverlap: Bool = false
  ) {
    self.init(name, rule, missed, skipsOverlap) { _ in job }
  }

  private init(
    _ name: String, _ rule: ScheduleRule, _ missed: MissedTicks, _ skipsOverlap: Bool,
    job: @escaping @Sendable (Codecs) throws -> NewJob
  ) {
    self.name = name
    self.rule = rule
    self.missed = missed
    self.skipsOverlap = skipsOverlap
    self.job = job
  }

  /// The schedule as the database has it, encoded and passed through the hooks of an enqueue.
  func stored(_ queue: any JobPreparing) throws -> StoredSchedule {
    try rule.check()
    try missed.check()
    let job = try job(queue.codecs)
    guard job.unique == nil, job.idempotencyKey == nil, job.due == .now, job.expires == .never else {
      throw QudoError(
        .invalidArgument,
        "the job of the schedule \(name) has a key, a due time or an expiry: leave it out, the ticks say when it runs"
      )
    }
    let prepared = try queue.prepared([job]).first ?? job
    return StoredSchedule(
      name: name, rule: rule.description, kind: prepared.kind, payload: prepared.payload,
      priority: prepared.priority, metadata: prepared.metadata, missed: missed.description,
      skipsOverlap: skipsOverlap)
  }
}

extension StoredSchedule {
  /// The job of a tick, which knows its schedule and its time.
  func job(at tick: Timestamp) -> NewJob {
    var metadata = metadata
    metadata[ScheduleMetadata.name] = name
    metadata[ScheduleMetadata.tick] = tick.description
    return NewJob(kind, payload: payload, priority: priority, metadata: metadata)
  }
}

/// The names of the metadata entries of a schedule's jobs.
enum ScheduleMetadata {
  static let name = "qudo.schedule"
  static let tick = "qudo.scheduled-for"

  static func tick(_ metadata: JobMetadata) -> Timestamp? {
    metadata[tick].flatMap(Timestamp.init(iso8601:))
  }
}

extension JobContext {
  /// The name of the schedule that enqueued the job; nil for any other job.
  public var schedule: String? { metadata[ScheduleMetadata.name] }
  /// The tick of the schedule that enqueued the job; nil for any other job. It is known even when the job runs late or again.
  public var scheduledFor: Timestamp? { ScheduleMetadata.tick(metadata) }
}
