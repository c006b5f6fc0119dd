#if MySQL
internal import Qudo
internal import QudoSQLSupport

/// The results of a settle. The ids of replacements are known only after the write.
struct SettleAnswer {
  enum Answer {
    case known(SettleResult)
    case replaced(InsertAnswer)
  }
  var answers: [Answer] = []
  /// Whether all jobs were removed from the running jobs before anything was read.
  var isPlain = true
  /// Whether final failures enqueued other jobs.
  var enqueues = false

  var results: [SettleResult] {
    answers.map { answer in
      switch answer {
      case .known(let result): result
      case .replaced(let answer): .settled(replacements: answer.results)
      }
    }
  }
}

extension Transaction {
  /// - Parameters:
  ///   - ahead: Further queries in the same round trip, before anything else is written.
  ///   - clock: The position of the time in `ahead`, if it is there. Only if all settlements are plain,
  ///     `ahead` may take the time.
  /// - Returns: The answer, and the rows of `ahead`.
  func settle(_ settlements: [Settlement], reading ahead: [SQL], clock: Clock? = nil) throws(QudoError) -> (
    SettleAnswer, [Rows]
  ) {
    guard !settlements.isEmpty else {
      return (SettleAnswer(), ahead.isEmpty ? [] : try read(ahead, clock: clock))
    }
    // A repetition has already read something, which it must not undo.
    if lost == nil {
      let plain = PlainSettlements(settlements)
      if let found = try settle(settlements, plain, reading: ahead, clock: clock) { return found }
      // A lease was lost, or is settled twice.
      try startAgain()
    }
    guard let found = try settle(settlements, PlainSettlements(), reading: ahead, clock: clock) else {
      throw QudoError(.database, "a settle without plain settlements reported a missing one")
    }
    return found
  }

  /// - Returns: Nil if not all plain settlements found their job running under its lease. The transaction
  ///   must not be committed then.
  private func settle(
    _ settlements: [Settlement], _ plain: PlainSettlements, reading ahead: [SQL], clock: Clock?
  ) throws(QudoError) -> (SettleAnswer, [Rows])? {
    var answer = SettleAnswer()
    // Write everything for the plain settlements before anything is read, so that the counts are known before
    // the commit.
    var (removed, deleted) = (0, 0)
    for statement in plain.statements { write(statement) { removed += $0.affected } }
    let keyed =
      plain.isEmpty
      ? []
      : settlements.map(\.lease).filter { plain.has($0.job) && ClaimedRows.mayHoldKeys($0.token) }.map(\.job)
    free(keysOf: keyed)
    for part in plain.jobs.idParts() {
      write("DELETE FROM qudo_job WHERE \(ids: part)") { deleted += $0.affected }
    }
    if !plain.isEmpty {
      deleteExpiries(
        of: settlements.map(\.lease).filter { plain.has($0.job) && ClaimedRows.mayExpire($0.token) }.map(
          \.job))
      deleteGroups(
        of: settlements.map(\.lease).filter { plain.has($0.job) && ClaimedRows.mayBeGrouped($0.token) }.map(
          \.job))
    }
    let others = plain.isAll ? [] : settlements.map(\.lease).filter { !plain.has($0.job) }
    let mayRoute = !plain.isAll && settlements.contains { $0.outcome.finalFailure != nil }
    let locks = RunningRow.lock(others, routed: mayRoute)
    // After a statement that changed too few rows, jobs may be missing, because another program deleted them.
    let looks = isCareful ? Self.look(for: others.map(\.job)) : []
    let kept = Self.look(forKeysOf: keyed)
    // Read the marks after the locks, because a session that marks a job locks it first.
    let unfinished = plain.isAll ? [] : settlements.filter { !$0.outcome.completes }.map(\.lease)
    let marks = CancelMarks.look(for: unfinished.map(\.job))
    let (unique, keys) = Self.look(upKeysOf: others.filter { ClaimedRows.mayBeKeyed($0.token) })
    let all = looks + kept + locks + unique + keys + marks
    let found = try read(all + ahead, clock: clock?.behind(all.count))
    guard removed == plain.count, deleted == plain.count else { return nil }
    for rows in found.dropFirst(looks.count).prefix(kept.count) where rows.count > 0 { return nil }
    let live = isCareful ? Set(found.prefix(looks.count).flatMap { rows in rows.map { $0.integer(0) } }) : nil
    answer.isPlain = plain.isAll
    var running = try running(
      under: others, found.dropFirst(looks.count + kept.count).prefix(locks.count), routed: mayRoute)
    // A job that was locked at another expiry time may have been marked before.
    let isLate = unfinished.contains { lease in running[lease.job].map { $0.ends != lease.expiresAt } ?? false
    }
    let messages = CancelMarks.messages(
      isLate ? try read(marks)[...] : found.dropFirst(all.count - marks.count).prefix(marks.count))
    if !keys.isEmpty {
      add(
        keysOfJobs: found.dropFirst(looks.count + kept.count + locks.count + unique.count).prefix(keys.count))
      for lease in others where running[lease.job]?.token != lease.token { keyOfJob[lease.job] = nil }
      try lockKeys(of: settlements, running, messages)
    }
    var parts = SettleParts(live: live)
    if mayRoute { parts.routed = try routed(settlements, running, messages, parts) }
    for settlement in settlements {
      let lease = settlement.lease
      if plain.has(lease.job) {
        answer.answers.append(.known(.settled()))
        continue
      }
      guard let row = running[lease.job], row.token == lease.token else {
        answer.answers.append(.known(.leaseLost))
        continue
      }
      running[lease.job] = nil
      if !settlement.hasBegun, case .released = settlement.outcome { parts.unbegun.append(row) }
      if !settlement.outcome.completes, let message = messages[lease.job] {
        if parts.isLive(row) {
          log(row.id, .cancelled, message: message, final: true, keyed: row.isLoggedWithKeys)
        }
        parts.completed.append(row)
        parts.marked.append(row.id)
        answer.answers.append(.known(.cancelled))
        continue
      }
      if let took = settlement.recording, let status = RunStatus(settlement.outcome), parts.isLive(row) {
        record(row.id, status, took: took)
      }
      if case .completed(let jobs) = settlement.outcome, !jobs.isEmpty {
        // First write the earlier settlements and delete the job, so that a replacement may have its unique
        // key.
        parts.completed.append(row)
        try write(&parts)
        answer.answers.append(.replaced(try insert(jobs)))
      } else {
        try write(settlement.outcome, of: row, &parts)
        answer.answers.append(.known(.settled()))
      }
    }
    try write(&parts)
    answer.enqueues = !parts.routed.isEmpty
    receipt.settled = answer
    return (answer, Array(found.dropFirst(all.count)))
  }

  /// Locks the concurrency keys of the jobs that end, and of those that replace them: all at once, so that all sessions lock them in
  /// one order.
  private func lockKeys(
    of settlements: [Settlement], _ running: [Int64: RunningRow], _ messages: [Int64: String]
  ) throws(QudoError) {
    var ends: [NumberedKey: Int64] = [:]
    var new: Set<NumberedKey> = []
    for settlement in settlements {
      let lease = settlement.lease
      if case .completed(let jobs) = settlement.outcome {
        for job in jobs where job.concurrencyKey != nil {
          if let key = NumberedKey(job, kind: try requireNumber(of: job.kind)) { new.insert(key) }
        }
      }
      guard !settlement.outcome.waits || messages[lease.job] != nil,
        running[lease.job]?.token == lease.token, let key = keyOfJob[lease.job] ?? nil
      else { continue }
      ends[key, default: 0] += 1
    }
    // Keys that are missing are created with the others, in their order.
    try lock(keys: new.union(ends.keys), making: !new.isEmpty, ends: ends)
  }

  /// Reads the jobs that fail for good and enqueue others.
  private func routed(
    _ settlements: [Settlement], _ running: [Int64: RunningRow], _ messages: [Int64: String],
    _ parts: SettleParts
  ) throws(QudoError) -> [Int64: RoutedJob] {
    var targets: [Int64: Int64] = [:]
    for settlement in settlements where settlement.outcome.finalFailure != nil {
      let lease = settlement.lease
      guard let row = running[lease.job], row.token == lease.token, messages[lease.job] == nil,
        parts.isLive(row)
      else { continue }
      // Unknown, because the server was told to stop the statement.
      guard let target = row.target else { throw .short(0, 1) }
      if target != 0 { targets[lease.job] = target }
    }
    return try routed(targets)
  }

  /// Returns queries that lock the unique keys of jobs that may have a concurrency key, and then those for the concurrency keys.
  private static func look(upKeysOf leases: [Lease]) -> (unique: [SQL], keys: [SQL]) {
    guard !leases.isEmpty else { return ([], []) }
    let holding = leases.filter { ClaimedRows.mayHoldKeys($0.token) }.map(\.job)
    return (lock(uniqueKeysOf: holding), look(upKeysOf: Set(leases.map(\.job)).sorted()))
  }

  private static func look(for jobs: [Int64]) -> [SQL] {
    Set(jobs).sorted().parts().map { "SELECT id FROM qudo_job WHERE id IN \(list: $0) FOR UPDATE" }
  }

  /// Returns queries that check whether any of the jobs still has a unique key after its keys were freed. How
  /// many of the jobs had one is unknown.
  private static func look(forKeysOf jobs: [Int64]) -> [SQL] {
    jobs.sorted().parts().map { "SELECT job FROM qudo_unique WHERE job IN \(list: $0) LIMIT 1" }
  }

  private func write(_ outcome: Settlement.Outcome, of row: RunningRow, _ parts: inout SettleParts)
    throws(QudoError)
  {
    switch outcome {
    case .completed:
      parts.completed.append(row)
      if row.hold == .rests { parts.resting.insert(row.id) }
    case .retry(let delay, let message):
      if parts.isLive(row) { log(row.id, .failed, message: message, final: false) }
      try wait(again: row, due: now.advanced(by: delay).microseconds, attempts: 1, &parts)
    case .snoozed(let delay, let counts):
      try wait(
        again: row, due: now.advanced(by: delay).microseconds, attempts: counts ? 1 : 0, &parts)
    case .aborted(let message): try fail(row, .aborted, message, &parts)
    case .failed(let message): try fail(row, .failed, message, &parts)
    case .released:
      parts.released.append(row)
      if parts.isLive(row) { enter(ready: [row]) }
    }
  }

  private func fail(_ row: RunningRow, _ reason: FailureReason, _ message: String, _ parts: inout SettleParts)
    throws(QudoError)
  {
    let stopsKey = parts.isLive(row) && stopsKey(row.id)
    // What the settlements before it admit is admitted.
    if stopsKey { try write(&parts) }
    if parts.isLive(row) { log(row.id, reason, message: message, final: true, keyed: row.isLoggedWithKeys) }
    if stopsKey { stopKey(ofFailed: row.id) }
    if let job = parts.routed[row.id] { parts.failed.append((job, reason, message)) }
    parts.completed.append(row)
  }

  private func wait(again row: RunningRow, due: Int64, attempts: Int64, _ parts: inout SettleParts)
    throws(QudoError)
  {
    parts.released.append(row)
    guard parts.isLive(row) else { return }
    write(
      "UPDATE qudo_job SET due = \(due), attempt = attempt + \(attempts), lost = 0 WHERE id = \(row.id)",
      count: 1)
    if due <= now.microseconds {
      guard row.mayBeGrouped || mayBeGrouped(row.kind) else { return enter(ready: [row], due: due) }
      // The settlements before it count.
      try write(&parts)
      let job = try placing([Candidate(row, due: due)])[0]
      store(places: [job])
      var row = row
      row.hasPlace = job.place != nil
      enter(ready: [row], due: job.due)
    } else {
      if row.mayBeGrouped { clearPlaces(of: [row.id]) }
      wakes = true
      entries.endTrust = true
      write(
        Write(
          "INSERT INTO qudo_delayed(due, id, kind, ranking, flags) VALUES(", holding: "\(due)",
          ", \(row.id), \(row.kind), \(row.ranking), \(row.flags))"))
    }
  }

  /// Makes jobs ready that were claimed before. Their `untilStarted` keys are free already.
  ///
  /// - Parameter due: The new due time, if it has changed.
  func enter(ready jobs: [RunningRow], due: Int64? = nil) {
    wakes = true
    for job in jobs {
      entries.add(job.kind, ScanCursors.Key(ranking: job.ranking, due: due ?? job.due, id: job.id))
    }
    for part in jobs.parts(of: 1000) {
      let rows = part.map { job -> SQL in
        "(\(job.kind),\(job.ranking),\(due ?? job.due),\(job.id),\(job.flags))"
      }
      write("INSERT INTO qudo_ready(kind, ranking, due, id, flags) VALUES\(rows.joined(","))")
    }
  }

  private func write(_ parts: inout SettleParts) throws(QudoError) {
    // In the order of the settlements, and before the failed jobs are deleted.
    try enqueue(parts.failed)
    leaveRunning(parts.completed + parts.released)
    try deleteJobs(
      parts.completed.map { DeletedJob($0, keyRests: parts.resting.contains($0.id)) }, live: parts.live)
    deleteMarks(of: parts.marked, areKnown: true)
    storeExpiries(of: parts.released.filter { $0.mayExpire && parts.isLive($0) }.map(\.id))
    giveBackKeyTokens(parts.unbegun)
    giveBackTokens(parts.unbegun)
    parts = SettleParts(live: parts.live, routed: parts.routed)
  }

  func leaveRunning(_ rows: [RunningRow]) {
    for (condition, count) in RunningRow.conditions(rows.map { ($0.ends, $0.id) }) {
      write("DELETE FROM qudo_running WHERE \(condition)", count: count)
    }
  }

  /// Deletes jobs for good, and admits those that wait for them. AUTO_INCREMENT does not assign their ids
  /// again, not even after a restart of the server: "the current maximum auto-increment counter value is
  /// written to the redo log each time it changes" (MySQL 8.0; MariaDB since 10.2.4 keeps it in the root page
  /// of the table).
  ///
  /// - Parameter live: The jobs that exist; nil if all do.
  func deleteJobs(_ jobs: [DeletedJob], live: Set<Int64>? = nil) throws(QudoError) {
    try leaveKeys(of: jobs, live: live)
    // Use the same order in which an overwriting insert locks the rows.
    let keyed = jobs.filter { $0.hold != .none && !$0.keyRests }.map(\.job)
    free(keysOf: keyed)
    for part in keyed.sorted().parts() {
      write(Write.check("EXISTS(SELECT 1 FROM qudo_unique WHERE job IN \(list: part))"))
    }
    beginRests(of: jobs.filter(\.keyRests).map(\.job))
    deleteThrottles(of: jobs.filter { $0.hold == .rests && !$0.keyRests }.map(\.job))
    for part in jobs.map(\.job).filter({ live?.contains($0) ?? true }).sorted().idParts() {
      write("DELETE FROM qudo_job WHERE \(ids: part)", count: part.count)
    }
    deleteExpiries(of: jobs.filter(\.mayExpire).map(\.job))
    deleteGroups(of: jobs.filter(\.mayBeGrouped).map(\.job))
  }

  func free(keysOf jobs: [Int64]) {
    for part in jobs.sorted().parts() { write("DELETE FROM qudo_unique WHERE job IN \(list: part)") }
  }

  private func record(_ id: Int64, _ status: RunStatus, took: Duration) {
    let started = now.advanced(by: .zero - max(took, .zero))
    write(
      """
      INSERT INTO qudo_status(job, kind, status, started_at, ended_at, unique_key, codec, payload)
      SELECT id, kind, \(status.number), \(started.microseconds), \(now.microseconds), unique_key, codec, payload
      FROM qudo_job WHERE id = \(id)
      """, count: 1)
  }
}

/// The writes that several settlements make with one statement.
private struct SettleParts {
  /// The jobs that exist; nil if all do, as far as is known.
  let live: Set<Int64>?
  /// The jobs whose final failures enqueue others.
  var routed: [Int64: RoutedJob] = [:]
  /// Those that have failed, in the order of their settlements.
  var failed: [(job: RoutedJob, reason: FailureReason, message: String)] = []
  /// Jobs that end.
  var completed: [RunningRow] = []
  /// Those of them whose unique keys may rest then.
  var resting: Set<Int64> = []
  /// Jobs that wait again.
  var released: [RunningRow] = []
  /// Jobs that are released or end as cancelled before their runs began.
  var unbegun: [RunningRow] = []
  /// Jobs that end as cancelled. They are among ``completed``.
  var marked: [Int64] = []

  func isLive(_ row: RunningRow) -> Bool { live?.contains(row.id) ?? true }
}

/// A job that ends.
struct DeletedJob {
  let job: Int64
  /// The hold on its unique key; it may have none.
  let hold: KeyHold
  /// Whether it may have a row in `qudo_expiry` that goes with it.
  let mayExpire: Bool
  /// Whether it may have a concurrency key.
  let mayBeKeyed: Bool
  /// Whether it may have a row in `qudo_group`.
  let mayBeGrouped: Bool
  /// Its concurrency key, if it is held.
  let heldKey: NumberedKey?
  /// Whether its unique key rests if it has a throttle.
  var keyRests = false

  init(_ job: Candidate, rowStays: Bool = false) {
    (self.job, hold, mayExpire) = (job.id, job.hold, job.mayExpire && !rowStays)
    (mayBeKeyed, mayBeGrouped) = (job.mayBeKeyed, job.mayBeGrouped)
    heldKey = if case .held(let key) = job.source { key } else { nil }
  }
  init(_ row: RunningRow, keyRests: Bool = false) {
    (job, hold, mayExpire, self.keyRests) = (row.id, row.hold, row.mayExpire, keyRests)
    (mayBeKeyed, mayBeGrouped, heldKey) = (row.mayBeKeyed, row.mayBeGrouped, nil)
  }
}

extension Settlement.Outcome {
  /// The reason of the final failure; nil for any other outcome.
  var finalFailure: FailureReason? {
    switch self {
    case .failed: .failed
    case .aborted: .aborted
    case .completed, .retry, .snoozed, .released: nil
    }
  }

  /// Whether the job waits again.
  var waits: Bool {
    switch self {
    case .retry, .snoozed, .released: true
    case .completed, .failed, .aborted: false
    }
  }

  /// Whether the outcome may make a job ready that was not ready before.
  var mayMakeReady: Bool {
    switch self {
    case .completed(let replacements): !replacements.isEmpty
    case .failed, .aborted: false
    case .retry(let delay, _), .snoozed(let delay, _): delay.wholeMicroseconds <= 0
    case .released: true
    }
  }
}
#endif
