#if Dashboard
internal import Qudo
internal import QudoSchedules

/// A change to the queue that a user can request.
enum Change: String, Sendable, CaseIterable {
  case replay, resolve, cancel
  case runNow = "run-now"
  case recover, pause, resume
  case pauseSchedule = "pause-schedule"
  case resumeSchedule = "resume-schedule"
  case runSchedule = "run-schedule"

  /// The words on the button.
  var label: String {
    switch self {
    case .replay: "Replay"
    case .resolve: "Mark as resolved"
    case .cancel: "Cancel job"
    case .runNow: "Run now"
    case .recover: "Recover"
    case .pause, .pauseSchedule: "Pause"
    case .resume, .resumeSchedule: "Resume"
    case .runSchedule: "Run now"
    }
  }

  /// Whether something ends that cannot simply be begun again.
  var isDangerous: Bool { self == .cancel || self == .recover }
  /// Whether the form asks for a note.
  var hasReason: Bool { self == .cancel || self == .pause || self == .pauseSchedule }
}

/// A change, and to what.
struct ChangeOrder: Sendable {
  var change: Change
  var database: String?
  /// The number of the job, or of the row of the failure log.
  var id: Int64?
  /// The kind, or the schedule's name; nil for a pause of everything.
  var name: String?
  var reason: String?
  /// How long a pause lasts; nil without an end.
  var length: Duration?

  /// - Throws: `QudoError.Code.invalidArgument` if something is missing, or the length is invalid.
  init(_ fields: Fields) throws(QudoError) {
    guard let change = fields["change"].flatMap(Change.init(rawValue:)) else {
      throw QudoError(.invalidArgument, "the form names no change: go back and choose one")
    }
    self.change = change
    (database, id, name, reason) = (fields["database"], fields.number("id"), fields["name"], fields["reason"])
    if change == .pause, let text = fields["length"] {
      length = try Duration(parsing: text)
    }
    let isWhole =
      switch change {
      case .replay, .resolve, .cancel, .runNow, .recover: database != nil && id != nil
      case .pauseSchedule, .resumeSchedule, .runSchedule: name != nil
      case .pause, .resume: true
      }
    guard isWhole else {
      throw QudoError(.invalidArgument, "the form does not say what to change: go back and choose it again")
    }
  }

  init(_ change: Change, database: String? = nil, id: Int64? = nil, name: String? = nil) {
    (self.change, self.database, self.id, self.name) = (change, database, id, name)
  }

  /// The question of the page that asks for confirmation.
  var question: String {
    let number = id.map { "\($0)" } ?? ""
    switch change {
    case .replay: return "Replay failure \(number)?"
    case .resolve: return "Mark failure \(number) as resolved?"
    case .cancel: return "Cancel job \(number)?"
    case .runNow: return "Run job \(number) now?"
    case .recover: return "Recover job \(number)?"
    case .pause: return name.map { "Pause the kind \($0)?" } ?? "Pause everything?"
    case .resume: return name.map { "Resume the kind \($0)?" } ?? "Resume everything?"
    case .pauseSchedule: return "Pause the schedule \(name ?? "")?"
    case .resumeSchedule: return "Resume the schedule \(name ?? "")?"
    case .runSchedule: return "Run the schedule \(name ?? "") now?"
    }
  }

  /// The effect, in words.
  var explanation: String {
    switch change {
    case .replay:
      "The failed job is enqueued again, with its payload, priority and unique key, as a new job that is due now."
    case .resolve: "The failure counts as dealt with. It can still be replayed."
    case .cancel:
      "A waiting job leaves the queue at once, for the failure log, from which it can be replayed. The worker of a running job is asked to stop it."
    case .runNow: "The job is due now, and runs as soon as a worker is free."
    case .recover:
      "The job is taken from its worker by force and is ready again. Until the worker notices, it may run twice at the same time."
    case .pause where name == nil:
      "No worker begins a job of any kind until the pause ends. Running jobs continue, and jobs can be enqueued."
    case .pause:
      "No worker begins a job of this kind until the pause ends. Running jobs continue, and jobs can be enqueued."
    case .resume where name == nil: "All pauses end, those of single kinds included."
    case .resume: "Workers begin jobs of this kind again."
    case .pauseSchedule:
      "The schedule has no ticks until it is resumed. Jobs that it enqueued stay as they are."
    case .resumeSchedule: "The schedule continues with its first tick after now."
    case .runSchedule: "A job of the schedule is enqueued now, in addition to its ticks."
    }
  }

  /// Makes the change.
  ///
  /// - Returns: What happened.
  func perform(_ databases: Databases) async throws(QudoError) -> Flash {
    let queue = Queue(databases)
    let job = JobID(database: database ?? "", number: id ?? 0)
    switch change {
    case .replay:
      return Self.flash(
        try await databases.replay([job.number], in: job.database).first ?? .notFound, job.number)
    case .resolve:
      switch try await databases.resolve([job.number], in: job.database).first ?? .notFound {
      case .resolved: return Flash(isGood: true, text: "Failure \(job.number) is resolved.")
      case .alreadyResolved: return Flash(isGood: true, text: "Failure \(job.number) was resolved before.")
      case .alreadyReplayed(let new):
        return Flash(isGood: false, text: "Failure \(job.number) was replayed, as job \(new).")
      case .notFinal:
        return Flash(
          isGood: false, text: "The job was retried after failure \(job.number): there is nothing to resolve."
        )
      case .notFound:
        return Flash(isGood: false, text: "There is no failure \(job.number): it may have been pruned.")
      }
    case .cancel:
      switch try await queue.cancel(job, reason: reason) {
      case .cancelled: return Flash(isGood: true, text: "Job \(job.number) is cancelled.")
      case .cancelling:
        return Flash(isGood: true, text: "Job \(job.number) is running: its worker was asked to stop it.")
      case .notFound: return Flash(isGood: false, text: "There is no unfinished job \(job.number).")
      }
    case .runNow:
      switch try await queue.runNow(job) {
      case .changed: return Flash(isGood: true, text: "Job \(job.number) is due now.")
      case .running: return Flash(isGood: true, text: "Job \(job.number) is running already.")
      case .notFound: return Flash(isGood: false, text: "There is no unfinished job \(job.number).")
      }
    case .recover:
      switch try await queue.recover(job) {
      case .recovered: return Flash(isGood: true, text: "Job \(job.number) is ready again.")
      case .cancelled:
        return Flash(
          isGood: true, text: "Job \(job.number) was to be cancelled, and is in the failure log now.")
      case .notRunning: return Flash(isGood: false, text: "Job \(job.number) is not running.")
      case .notFound: return Flash(isGood: false, text: "There is no unfinished job \(job.number).")
      }
    case .pause:
      try await queue.pause(name.map { [Kind($0)] }, until: length.map { .after($0) }, reason: reason)
      return Flash(isGood: true, text: name.map { "The kind \($0) is paused." } ?? "Everything is paused.")
    case .resume:
      let ended = try await queue.resume(name.map { [Kind($0)] })
      guard ended.isEmpty else {
        return Flash(isGood: true, text: name.map { "The kind \($0) continues." } ?? "Everything continues.")
      }
      return Flash(
        isGood: false, text: name.map { "The kind \($0) has no pause itself." } ?? "Nothing was paused.")
    case .pauseSchedule:
      let record = try await queue.schedules.pause(name ?? "", reason: reason)
      return Self.flash(record != nil, name, "is paused")
    case .resumeSchedule:
      let record = try await queue.schedules.resume(name ?? "")
      return Self.flash(record != nil, name, "continues")
    case .runSchedule:
      let id = try await queue.schedules.runNow(name ?? "")
      return Self.flash(id != nil, name, "enqueued job \(id?.number ?? 0)")
    }
  }

  private static func flash(_ isFound: Bool, _ name: String?, _ words: String) -> Flash {
    isFound
      ? Flash(isGood: true, text: "The schedule \(name ?? "") \(words).")
      : Flash(isGood: false, text: "There is no schedule \(name ?? "").")
  }

  private static func flash(_ result: ReplayResult, _ failure: Int64) -> Flash {
    switch result {
    case .replayed(let job): Flash(isGood: true, text: "Failure \(failure) is replayed as job \(job).")
    case .conflict(let job):
      Flash(
        isGood: false, text: "Job \(job) holds the unique key. Replay the failure when that job has ended.")
    case .alreadyReplayed(let job):
      Flash(isGood: false, text: "Failure \(failure) was replayed before, as job \(job).")
    case .notFinal:
      Flash(isGood: false, text: "The job was retried after failure \(failure): there is nothing to replay.")
    case .notFound: Flash(isGood: false, text: "There is no failure \(failure): it may have been pruned.")
    }
  }
}
#endif
