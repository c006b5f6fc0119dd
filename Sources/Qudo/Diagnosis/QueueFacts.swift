/// The facts about its jobs that a driver reads for a diagnosis. The findings and their words are the same for all drivers.
package struct QueueFacts: Sendable {
  /// A kind with ready jobs.
  package struct WaitingKind: Sendable {
    package var kind: Kind
    /// The due time of the job that has waited for the longest time.
    package var oldest: Timestamp
    /// Whether a worker has a job of the kind under a valid lease; nil if unknown.
    package var isRunning: Bool?
    /// The bucket of the kind's rate; a new one if it has none.
    package var bucket: RateBucket

    package init(_ kind: Kind, oldest: Timestamp, isRunning: Bool?, bucket: RateBucket = RateBucket()) {
      self.kind = kind
      self.oldest = oldest
      self.isRunning = isRunning
      self.bucket = bucket
    }
  }

  /// Jobs that are due more than ``DiagnosisOptions/maxDelay`` from now.
  package struct FarJobs: Sendable {
    package var count: Int
    /// Whether there are more than were counted.
    package var isMore: Bool
    package var latest: Timestamp
    /// The id of the latest one.
    package var job: Int64

    package init(count: Int, isMore: Bool, latest: Timestamp, job: Int64) {
      self.count = count
      self.isMore = isMore
      self.latest = latest
      self.job = job
    }
  }

  /// The stops of concurrency keys.
  package struct KeyStops: Sendable {
    /// The number of stops, at most ``most``.
    package var count: Int
    /// The stop by the oldest failure.
    package var first: KeyStop

    /// The number of stops at which counting ends.
    package static let most = 1000

    /// - Parameter stops: At most one more than ``most``, in the order of their failures.
    /// - Returns: Nil if there are none.
    package init?(_ stops: [KeyStop]) {
      guard let first = stops.first else { return nil }
      (count, self.first) = (stops.count, first)
    }
  }

  /// A log.
  package struct Log: Sendable {
    /// `failure` or `status`.
    package var name: String
    /// The number of rows, or more: the ids from the oldest row to the newest.
    package var rows: Int64
    package var oldest: Timestamp

    package init(_ name: String, rows: Int64, oldest: Timestamp) {
      self.name = name
      self.rows = rows
      self.oldest = oldest
    }
  }

  /// The database's time.
  package var now: Timestamp
  package var waiting: [WaitingKind] = []
  /// The number of open drivers, in any process, that have claimed jobs; nil if unknown.
  package var workers: Int?
  package var pauses: [Pause] = []
  package var keyStops: KeyStops?
  package var far: FarJobs?
  /// The newest time in the database that lay in the past when it was written.
  package var newest: Timestamp?
  package var logs: [Log] = []
  package var schedules: [StoredSchedule] = []

  package init(now: Timestamp) { self.now = now }

  /// Adds the findings to a diagnosis.
  package func add(to diagnosis: inout Diagnosis, _ options: DiagnosisOptions) {
    let old = waiting.filter { isOld($0, options) && !isPaused($0.kind) }
    let idle = old.filter { $0.isRunning == false && !isHeldUp($0, options) }
    diagnosis.add("kind-idle", idle.map(idleKind).capped("kinds"))
    let slow = old.filter { $0.isRunning != false || isHeldUp($0, options) }
    diagnosis.add("oldest-ready", slow.map(slowKind).capped("kinds"))
    diagnosis.add("paused", pauses.map(pause).capped("pauses"))
    diagnosis.add("stopped-key", keyStops.map { [stoppedKeys($0)] } ?? [])
    diagnosis.add("far-due", far.map { [farJobs($0, options)] } ?? [])
    diagnosis.add("clock", clockJump)
    diagnosis.add(
      "log-growth", logs.flatMap { growth($0, options.retention ?? Retention(maxAge: nil, maxRows: nil)) })
    diagnosis.add("schedules", scheduleFindings(Set(idle.map(\.kind))).capped("schedules"))
  }

  private func isOld(_ waiting: WaitingKind, _ options: DiagnosisOptions) -> Bool {
    age(waiting.oldest) > options.maxWait
  }

  /// Whether a rate, or a throttle, may be why no job of the kind runs: one was claimed lately, or none may begin.
  private func isHeldUp(_ waiting: WaitingKind, _ options: DiagnosisOptions) -> Bool {
    let bucket = waiting.bucket
    let age = age(Timestamp(microseconds: bucket.writtenAt))
    return bucket.throttledUntil > now.microseconds || age <= options.maxWait
      || (bucket.fullAt > now.microseconds && age <= .microseconds(bucket.spacing))
  }

  private func age(_ time: Timestamp) -> Duration {
    .microseconds(now.microseconds.clampedMinus(time.microseconds))
  }

  private func isPaused(_ kind: Kind) -> Bool { pauses.contains { $0.kind == nil || $0.kind == kind } }

  // MARK: Kinds

  private func idleKind(_ waiting: WaitingKind) -> Finding {
    let age = age(waiting.oldest)
    let living =
      switch workers {
      case nil: ""
      case 0?: "; no process that claimed jobs lives"
      case 1?: "; one process that claimed jobs lives"
      case let count?: "; \(count) processes that claimed jobs live"
      }
    var figures = ["seconds": age.wholeSeconds]
    if let workers { figures["workers"] = Int64(workers) }
    return Finding(
      "kind-idle", .warning, subject: waiting.kind.name,
      "the oldest ready job of the kind \(waiting.kind) has waited for \(age.inUnits), and no job of the kind is running\(living)",
      advice:
        "start a worker that has a handler for the kind (qudo work), or cancel its jobs (qudo cancel --kind)",
      figures: figures)
  }

  private func slowKind(_ waiting: WaitingKind) -> Finding {
    let age = age(waiting.oldest)
    let isThrottled = waiting.bucket.throttledUntil > now.microseconds
    let (why, advice) =
      if waiting.isRunning == nil {
        (
          "and whether others of the kind run is unknown, because too many jobs do",
          "if that is too long, give its workers more concurrency, start more of them, or raise its priority"
        )
      } else if waiting.isRunning == true {
        (
          "while others of the kind run",
          "if that is too long, give its workers more concurrency, start more of them, or raise its priority"
        )
      } else if isThrottled {
        (
          "because a job throttled the kind until \(Timestamp(microseconds: waiting.bucket.throttledUntil))",
          "wait; the service that its jobs call asked for that"
        )
      } else {
        (
          "because the rate of the kind lets no more begin",
          "if that is too long, give its workers a higher rate"
        )
      }
    return Finding(
      "oldest-ready", .note, subject: waiting.kind.name,
      "the oldest ready job of the kind \(waiting.kind) has waited for \(age.inUnits), \(why)",
      advice: advice,
      figures: ["seconds": age.wholeSeconds])
  }

  private func pause(_ pause: Pause) -> Finding {
    let age = age(pause.pausedAt)
    let what = pause.kind.map { "the kind \($0) is paused" } ?? "everything is paused"
    let end = pause.endsAt.map { "until \($0)" } ?? "without an end"
    return Finding(
      "paused", .note, subject: pause.kind?.name,
      "\(what) since \(pause.pausedAt), \(end)" + (pause.reason.map { ": \($0)" } ?? ""),
      advice: "if the pause is no longer wanted, end it (qudo resume)", figures: ["seconds": age.wholeSeconds]
    )
  }

  private func stoppedKeys(_ stops: KeyStops) -> Finding {
    let first = stops.first
    let age = age(first.stoppedAt)
    let isMore = stops.count > KeyStops.most
    let failures =
      stops.count == 1
      ? "a failed job stops its concurrency key"
      : "\(isMore ? "more than \(KeyStops.most)" : "\(stops.count)") failed jobs stop their concurrency keys"
    return Finding(
      "stopped-key", .warning, subject: first.kind.name,
      "\(failures), the first one \(first.key) of the kind \(first.kind) since \(first.stoppedAt), by the failure \(first.failure)",
      advice:
        "list them (qudo keys); replay a failure (qudo replay) to run its job before the held ones, resolve it (qudo resolve) to continue without the job, or resume the key if the failure was pruned (qudo resume KIND --key KEY)",
      figures: [
        "stops": Int64(min(stops.count, KeyStops.most)), "failure": first.failure,
        "seconds": age.wholeSeconds,
      ])
  }

  // MARK: Times

  private func farJobs(_ far: FarJobs, _ options: DiagnosisOptions) -> Finding {
    let jobs = far.count == 1 ? "one job is" : "\(far.isMore ? "more than " : "")\(far.count) jobs are"
    return Finding(
      "far-due", .warning,
      "\(jobs) due more than \(options.maxDelay.inUnits) from now, the last one (\(far.job)) at \(far.latest)",
      advice:
        "if the program that enqueued them took milliseconds for seconds, or the like, change them (qudo change --at) or cancel them",
      figures: ["jobs": Int64(far.count), "job": far.job])
  }

  private var clockJump: [Finding] {
    guard let newest else { return [] }
    let ahead = Duration.microseconds(newest.microseconds.clampedMinus(now.microseconds))
    guard ahead > .seconds(5) else { return [] }
    return [
      Finding(
        "clock", .warning,
        "the newest time in the database is \(newest), \(ahead.inUnits) ahead of its clock: the clock was wrong then, or is now",
        advice:
          "set the clock right, and keep it so (NTP); if it was wrong then, jobs enqueued with a time may start late (qudo jobs --state delayed)",
        figures: ["seconds": ahead.wholeSeconds])
    ]
  }

  // MARK: Logs

  /// The rows that a log may have beyond its bound: it grows between two checks of a worker.
  private static let spareRows: Int64 = 100_000
  /// The time by which a row may be older than its bound.
  private static let spareAge = Duration.seconds(86_400)

  private func growth(_ log: Log, _ retention: Retention) -> [Finding] {
    let age = age(log.oldest)
    let advice =
      "start a worker, which prunes it, or run qudo prune; if your workers have other bounds, give them here, too (--retention-rows, --retention-age)"
    let figures = ["rows": log.rows, "seconds": age.wholeSeconds]
    if let bound = retention.maxRows.map(Int64.init),
      log.rows.clampedMinus(bound) > max(Self.spareRows, bound / 10)
    {
      return [
        Finding(
          "log-growth", .warning, subject: log.name,
          "the \(log.name) log has up to \(log.rows) rows; workers keep \(bound)", advice: advice,
          figures: figures)
      ]
    }
    guard let bound = retention.maxAge, age > bound + Self.spareAge else { return [] }
    return [
      Finding(
        "log-growth", .note, subject: log.name,
        "the oldest row of the \(log.name) log is \(age.inUnits) old; workers keep \(bound.inUnits)",
        advice: advice, figures: figures)
    ]
  }

  // MARK: Schedules

  private func scheduleFindings(_ idle: Set<Kind>) -> [Finding] {
    schedules.flatMap { schedule in
      if schedule.isPaused { return [paused(schedule)] }
      guard let next = schedule.nextTick else { return [ended(schedule)] }
      var found: [Finding] = []
      if age(next) > Self.maxLate { found.append(late(schedule, next)) }
      if idle.contains(schedule.kind) { found.append(idleSchedule(schedule)) }
      return found
    }
  }

  /// The maximum delay of a tick that is not reported. Workers look for ticks when they are due.
  private static let maxLate = Duration.seconds(120)

  private func paused(_ schedule: StoredSchedule) -> Finding {
    Finding(
      "schedule-paused", .note, subject: schedule.name,
      "the schedule \(schedule.name) is paused" + (schedule.reason.map { ": \($0)" } ?? ""),
      advice: "to continue it, resume it (qudo schedule resume)")
  }

  private func ended(_ schedule: StoredSchedule) -> Finding {
    Finding(
      "schedule-ended", .note, subject: schedule.name,
      "the schedule \(schedule.name) has no tick to come: its rule has ended",
      advice: "remove it (qudo schedule remove), or add it again with another rule")
  }

  private func late(_ schedule: StoredSchedule, _ next: Timestamp) -> Finding {
    let age = age(next)
    return Finding(
      "schedule-late", .warning, subject: schedule.name,
      "the tick of the schedule \(schedule.name) at \(next) is \(age.inUnits) late: no worker enqueues its job",
      advice: "start a worker on the database, of any kind; in Swift, one with the plugin of QudoSchedules",
      figures: ["seconds": age.wholeSeconds])
  }

  private func idleSchedule(_ schedule: StoredSchedule) -> Finding {
    Finding(
      "schedule-idle", .warning, subject: schedule.name,
      "the schedule \(schedule.name) enqueues jobs of the kind \(schedule.kind), which no worker seems to perform",
      advice: "start a worker that has a handler for the kind, or pause the schedule (qudo schedule pause)")
  }
}

extension Duration {
  /// The duration in seconds, rounded down.
  package var wholeSeconds: Int64 { wholeMicroseconds / 1_000_000 }
}
