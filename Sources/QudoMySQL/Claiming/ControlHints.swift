#if MySQL
internal import Qudo

/// The pauses and marks that the last claim of a driver saw. With these hints, a claim leaves out paused kinds
/// without asking first, and the ``Watch`` notices what has changed since.
///
/// A wrong hint costs a round trip or a ring, never a job: each claim compares it with the tables.
struct ControlHints {
  /// The kinds that were paused.
  var paused = PausedKinds()
  /// Whether there were pauses, ended ones included.
  var hasPauses = false
  /// The kinds in which the driver has seen jobs with groups. Jobs of others that have no group take no turns.
  var grouped: Set<Int64> = []
  /// Whether a concurrency key had a rate when the driver last looked.
  var hasKeyRates = false
  /// The jobs that were marked, whether they existed or not.
  var marked: Set<Int64> = []
  /// The marked jobs that did not exist. Their marks are to be deleted.
  var orphans: [Int64] = []
  /// Whether a claim took fewer jobs than it wanted, because a kind had reached its maximum of running jobs.
  private(set) var isAtMaxRunning = false
  /// The kinds that the last claim found at their maximum of running jobs, each with that maximum.
  private(set) var full: [Int64: Int] = [:]

  /// Notes what a claim found of kinds with a maximum of running jobs.
  mutating func noteRunning(_ kinds: [Int64], full now: [Int64: Int], isAtMax: Bool) {
    for kind in kinds { full[kind] = now[kind] }
    if isAtMax { isAtMaxRunning = true }
  }

  /// Notes that a claim asked for kinds without a maximum.
  mutating func noteUnlimited(_ kinds: some Sequence<Int64>) { for kind in kinds { full[kind] = nil } }

  /// The kinds whose rate let the last claim take no more jobs, each with the time when it lets the next one begin.
  private(set) var tokensAt: [Int64: Int64] = [:]

  /// Notes what a claim found of kinds with a rate.
  mutating func noteTokens(_ kinds: [Int64], at times: [Int64: Int64]) {
    for kind in kinds { tokensAt[kind] = times[kind] }
  }

  /// Notes that a claim asked for kinds without a rate.
  mutating func noteUnrated(_ kinds: some Sequence<Int64>) { for kind in kinds { tokensAt[kind] = nil } }

  /// Returns ``isAtMaxRunning``, and forgets it.
  mutating func takeAtMaxRunning() -> Bool {
    defer { isAtMaxRunning = false }
    return isAtMaxRunning
  }
}

/// The kinds that are paused at one moment.
struct PausedKinds {
  /// The number that stands for all kinds.
  static let everything: Int64 = 0

  static let read: SQL = "SELECT kind, ends FROM qudo_pause"

  private(set) var numbers: Set<Int64> = []
  /// When the first of the pauses ends.
  private(set) var firstEnd: Int64?

  init() {}

  /// - Parameter rows: The result of ``read``.
  init(_ rows: Rows?, now: Timestamp) {
    while let row = rows?.next() {
      let end = row.integerIfAny(1)
      if let end, end <= now.microseconds { continue }
      numbers.insert(row.integer(0))
      if let end { firstEnd = min(firstEnd ?? end, end) }
    }
  }

  var isEverything: Bool { numbers.contains(Self.everything) }

  func has(_ kind: Int64) -> Bool { !numbers.isEmpty && (isEverything || numbers.contains(kind)) }
}

/// The marks of running jobs that are to be cancelled. The table `qudo_cancel` is usually empty.
///
/// A session that marks a job has locked the job's row in `qudo_running`, and so has one that settles or
/// recovers it. A job that completes leaves its mark behind, because a plain settlement does not ask for marks.
/// A claim that sees such a mark notes it, and the next claim deletes it.
enum CancelMarks {
  /// The message for a mark without a reason.
  static let message = "cancelled"

  static let read: SQL = "SELECT job, reason FROM qudo_cancel"

  /// Returns the marked jobs, and for each the same id again if it exists. A marked job that exists is running:
  /// every other way out of `qudo_running` ends it.
  static let jobs: SQL =
    "SELECT c.job, j.id FROM qudo_cancel AS c LEFT JOIN qudo_job AS j ON j.id = c.job ORDER BY c.job"

  static func look(for jobs: [Int64]) -> [SQL] {
    Set(jobs).sorted().parts().map { "\(read) WHERE job IN \(list: $0)" }
  }

  /// - Parameter parts: The results of ``read``.
  /// - Returns: The messages for the failure log.
  static func messages(_ parts: some Sequence<Rows>) -> [Int64: String] {
    var messages: [Int64: String] = [:]
    for rows in parts {
      while let row = rows.next() { messages[row.integer(0)] = row.textIfAny(1) ?? message }
    }
    return messages
  }
}

extension Transaction {
  /// Deletes the marks of jobs that this transaction ends.
  ///
  /// - Parameter areKnown: Whether each of the jobs has a mark.
  func deleteMarks(of jobs: [Int64], areKnown: Bool) {
    for part in jobs.sorted().parts() {
      write("DELETE FROM qudo_cancel WHERE job IN \(list: part)", count: areKnown ? part.count : nil)
    }
  }

  /// Deletes the marks of jobs that have completed. It checks again that the jobs are missing, because a stopped
  /// statement may have returned too few rows.
  func deleteOrphanMarks() {
    for part in kinds.control.withLock({ $0.orphans }).parts() {
      write(
        """
        DELETE FROM qudo_cancel WHERE job IN \(list: part) \
        AND NOT EXISTS (SELECT 1 FROM qudo_job WHERE qudo_job.id = qudo_cancel.job)
        """)
    }
  }

  /// Notes the marks that a claim has read. If some are new, all workers of the driver are to look, because the
  /// driver does not know which of them runs the job.
  ///
  /// - Parameter rows: The result of ``CancelMarks/jobs``; nil if there are no marks.
  /// - Returns: The marked jobs that are running.
  func note(marks rows: Rows?) -> [Int64] {
    var (marked, running, orphans): (Set<Int64>, [Int64], [Int64]) = ([], [], [])
    while let row = rows?.next() {
      marked.insert(row.integer(0))
      if row.isNull(1) { orphans.append(row.integer(0)) } else { running.append(row.integer(0)) }
    }
    let areNew = kinds.control.withLock { hints in
      defer { (hints.marked, hints.orphans) = (marked, orphans) }
      return running.contains { !hints.marked.contains($0) }
    }
    if areNew { wakes = true }
    return running
  }
}
#endif
