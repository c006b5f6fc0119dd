internal import Qudo

extension Transaction {
  /// The maximum number of delayed jobs promoted, and of expired leases recovered, in one claim.
  private static let recoveryBatch: Int64 = 1000
  static let changed = "the file is damaged, or was changed by others"

  func claim(_ request: ClaimRequest) throws(QudoError) -> Claim {
    try insertCollectedReady()
    let areLeft = try recoverExpired()
    let areAhead = try restartDelays(limit: Int(Self.recoveryBatch))
    _ = try promote(limit: Int(Self.recoveryBatch))
    let (givenUp, recovered) = effects.takeRecovered()
    let jobs = try claimReady(request)
    if jobs.isEmpty { try pruneReceiptsWhileIdle() }
    return Claim(
      jobs: jobs, timeUntilNextDue: areAhead ? .zero : try nextDue(),
      timeUntilNextLeaseExpiry: areLeft ? .zero : try nextLeaseEnd(), givenUp: givenUp, recovered: recovered)
  }

  private func claimReady(_ request: ClaimRequest) throws(QudoError) -> [ClaimedJob] {
    guard request.limit > 0 else { return [] }
    let kinds = try connection.claimable(request.demands)
    let token = Int64.random(in: 1...Int64.max)
    if kinds.count > 1 { return try claimBest(kinds, request.limit, token: token) }
    guard let kind = kinds.first else { return [] }
    return try claimReady(kind, kind.most(request.limit), token: token)
  }

  /// Claims the first `count` ready jobs of a kind, in three statements for any number of jobs.
  func claimReady(_ kind: ClaimableKind, _ count: Int, token: Int64) throws(QudoError) -> [ClaimedJob] {
    // A driver gets its row in qudo_instance with the first claim that finds a job.
    guard count > 0 else { return [] }
    if connection.instance == nil {
      guard try hasReady(kind.number) else { return [] }
    }
    let ends = end(of: kind.demand.leaseDuration)
    let holder = try instance()
    var reading = Reading(token: token, holder: holder)
    var front = ReadyFront(kind: kind.number)
    // SQLite does not reorder a LEFT JOIN, and it returns a ready row without jobs as well, with NULL for the job.
    try connection.each(
      """
      SELECT payload, codec, unique_key, unique_scope, attempt, enqueued, meta, r.rank, r.due, j.id, r.last, r.first
      FROM qudo_ready AS r LEFT JOIN qudo_job AS j ON j.id BETWEEN r.first AND r.last
      WHERE r.kind = ? ORDER BY r.rank, r.due, r.last, j.id LIMIT ?
      """, .integer(kind.number), .integer(Int64(count))
    ) { row throws(QudoError) in
      guard !row.isNull(9) else { throw ReadyRow.missing(kind.number) }
      let key = reading.read(row, kind.demand.kind, ends: ends)
      try front.read(key, last: row.integer(10), first: row.integer(11))
    }
    guard let last = front.rows.last else { return [] }
    guard last.isRead || reading.jobs.count == count else { throw ReadyRow.missing(kind.number) }
    connection.hints.noteRunning(until: ends)
    let lease = RunningRange(
      instance: holder, ends: ends, ids: 0...0, token: token, lostLimit: Int64(kind.demand.maxExpiredLeases),
      started: now.wall.microseconds, lease: ends - now.sinceBoot)
    try start(front, lease)
    try removeFromReady(front.rows)
    connection.ready.invalidate(kind.number)
    try freeKeys(reading)
    return reading.jobs
  }

  func hasReady(_ kind: Int64) throws(QudoError) -> Bool {
    try connection.integer("SELECT 1 FROM qudo_ready WHERE kind = ? LIMIT 1", .integer(kind)) != nil
  }

  /// Files the claimed jobs as running: one row for each id range, or one for each ready row, whichever is fewer.
  private func start(_ front: ReadyFront, _ lease: RunningRange) throws(QudoError) {
    var lease = lease
    var runs = front.runs[...]
    if let last = front.rows.last(where: \.isRead), runs.count > 4, runs.count * 2 > front.rows.count {
      try connection.run(
        """
        INSERT INTO qudo_running(instance, ends, last, first, token, lost_limit, started, lease)
        SELECT ?, ?, last, first, ?, ?, ?, ? FROM qudo_ready WHERE kind = ? AND (rank, due, last) <= (?, ?, ?)
        """,
        .integer(lease.instance), .integer(lease.ends), .integer(lease.token), .integer(lease.lostLimit),
        .integer(lease.started),
        .integer(lease.lease), .integer(last.place.kind), .integer(last.place.rank), .integer(last.place.due),
        .integer(last.last))
      guard let part = front.rows.last, !part.isRead else { return }
      runs = [part.first...part.read]
    }
    for ids in runs {
      lease.ids = ids
      try insertRunning(lease)
    }
  }

  func freeKeys(_ reading: Reading) throws(QudoError) {
    for id in reading.freesKeys {
      try connection.run("UPDATE qudo_job SET unique_scope = NULL WHERE id = ?", .integer(id))
    }
  }

  /// The jobs of a claim, read row by row.
  struct Reading {
    let token: Int64
    let holder: Int64
    var jobs: [ClaimedJob] = []
    /// The jobs whose unique key is free as soon as they start.
    var freesKeys: [Int64] = []

    /// - Parameter row: The columns payload, codec, unique_key, unique_scope, attempt, enqueued, meta, rank, due, id.
    mutating func read(_ row: Statement, _ kind: Kind, ends: Int64) -> ReadyKey {
      let key = ReadyKey(rank: row.integer(7), due: row.integer(8), id: row.integer(9), last: row.integer(9))
      if !row.isNull(3), row.integer(3) == UniqueKey.Scope.untilStarted.rawValue { freesKeys.append(key.id) }
      jobs.append(
        ClaimedJob(
          lease: Lease(job: key.id, token: token, holder: holder, expiresAt: ends), kind: kind,
          payload: Payload(row.blob(0), codec: CodecID(row.integer(1))), priority: 0 &- Int(key.rank),
          uniqueKey: row.isNull(2) ? nil : row.text(2), attempt: Int(row.integer(4)),
          enqueuedAt: Timestamp(microseconds: row.integer(5)), dueAt: Timestamp(microseconds: key.due),
          metadata: JobMetadata(bytes: row.blob(6))))
      return key
    }
  }

  /// Returns when a lease that begins now expires: before ``FileHints/none`` in any case.
  func end(of lease: Duration) -> Int64 {
    min(now.sinceBoot.clampedPlus(lease.wholeMicroseconds), FileHints.none - 1)
  }

  /// Promotes due delayed jobs to ready jobs, earliest first.
  func promote(limit: Int) throws(QudoError) -> Int {
    let time = now.wall.microseconds
    // "If the LIMIT expression evaluates to a negative value, then there is no upper bound on the number of rows returned."
    guard limit > 0, try firstDue() <= time else { return 0 }
    connection.hints.invalidateDue()
    var due: [(due: Int64, id: Int64, kind: Int64, rank: Int64)] = []
    try connection.each(
      "SELECT due, id, kind, rank FROM qudo_delayed WHERE due <= ? ORDER BY due, id LIMIT ?", .integer(time),
      .integer(Int64(limit))
    ) { row throws(QudoError) in due.append((row.integer(0), row.integer(1), row.integer(2), row.integer(3)))
    }
    for job in due {
      try connection.run(
        "DELETE FROM qudo_delayed WHERE due = ? AND id = ?", .integer(job.due), .integer(job.id))
      // A due time that is not an integer never matches.
      guard connection.changes == 1 else {
        throw QudoError(
          .corrupt, "job \(job.id) has an invalid due time: \(Self.changed)", cause: BadRows.delayed)
      }
      try insertReady(job.id...job.id, ReadyRange.SortKey(kind: job.kind, rank: job.rank, due: job.due))
      connection.ready.invalidate(job.kind)
    }
    return due.count
  }

  /// Recovers jobs whose lease expired or whose holder is dead, by holder and then by expiry.
  ///
  /// A recovered job is ready again with its old sort key, or is given up after too many expired leases.
  ///
  /// - Returns: Whether the next claim may find more to recover.
  private func recoverExpired() throws(QudoError) -> Bool {
    let own = connection.instance
    var areLeft = false
    var isOwnDone = own == nil
    for holder in try holders() {
      if !isOwnDone, let own, holder.instance.id > own {
        isOwnDone = true
        if try takeBackExpired(own, firstEnd: firstEnd()) { areLeft = true }
      }
      if try takeBack(holder) { areLeft = true }
    }
    if !isOwnDone, let own, try takeBackExpired(own, firstEnd: firstEnd()) { areLeft = true }
    return areLeft
  }

  private func takeBack(_ holder: Holder) throws(QudoError) -> Bool {
    guard let locks, !holder.instance.isAlive(locks, now) else {
      var areLeft = try takeBackExpired(holder.instance.id, firstEnd: holder.firstEnd)
      if holder.isAhead, try takeBackAhead(holder.instance.id) { areLeft = true }
      return areLeft
    }
    let areLeft = try takeBack(
      "SELECT instance, ends, last, first, token, lost_limit, started, lease FROM qudo_running WHERE instance = ? LIMIT ?",
      .integer(holder.instance.id), .integer(Self.recoveryBatch))
    if !areLeft { try deleteInstance(holder.instance) }
    return areLeft
  }

  private func takeBackExpired(_ instance: Int64, firstEnd: Int64) throws(QudoError) -> Bool {
    guard firstEnd <= now.sinceBoot else { return false }
    return try takeBack(
      "SELECT instance, ends, last, first, token, lost_limit, started, lease FROM qudo_running WHERE instance = ? AND ends <= ? LIMIT ?",
      .integer(instance), .integer(now.sinceBoot), .integer(Self.recoveryBatch))
  }

  /// Recovers leases that expire later than a lease from now could: the clock was set back since they were given.
  private func takeBackAhead(_ instance: Int64) throws(QudoError) -> Bool {
    try takeBack(
      """
      SELECT instance, ends, last, first, token, lost_limit, started, lease FROM qudo_running
      WHERE instance = ? AND ends - lease > ? LIMIT ?
      """, .integer(instance), .integer(now.sinceBoot), .integer(Self.recoveryBatch))
  }

  /// - Returns: Whether there may be more rows.
  @inline(__always)
  private func takeBack(_ sql: StaticString, _ values: Value...) throws(QudoError) -> Bool {
    var ended: [RunningRange] = []
    try connection.each(sql, values) { row throws(QudoError) in ended.append(try RunningRange(row)) }
    return try takeBack(ended)
  }

  private func takeBack(_ ended: [RunningRange]) throws(QudoError) -> Bool {
    guard !ended.isEmpty else { return false }
    connection.hints.noteEnded(until: nil)
    connection.hints.invalidateHolders()
    var room = Self.recoveryBatch
    for range in ended {
      guard room > 0 else { return true }
      var ids: [Int64] = []
      try connection.each(
        "SELECT id FROM qudo_job WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?",
        .integer(range.ids.lowerBound),
        .integer(range.ids.upperBound), .integer(room)
      ) { row throws(QudoError) in ids.append(row.integer(0)) }
      // Fewer jobs than the limit: the rest of the range has no jobs, so remove all of it.
      let end = Int64(ids.count) < room ? range.ids.upperBound : ids.last ?? range.ids.upperBound
      try cut(range, range.ids.lowerBound...end)
      room -= Int64(ids.count)
      for id in ids { try takeBack(id, lostLimit: range.lostLimit) }
    }
    return room <= 0 || Int64(ended.count) >= Self.recoveryBatch
  }

  private func takeBack(_ id: Int64, lostLimit: Int64) throws(QudoError) {
    try connection.run("UPDATE qudo_job SET lost = lost + 1 WHERE id = ?", .integer(id))
    let lost = try connection.integer("SELECT lost FROM qudo_job WHERE id = ?", .integer(id)) ?? 0
    if lost >= lostLimit {
      try log(
        id, .lost, message: "the lease was lost \(lost) times: the worker died or hung each time", final: true
      )
      effects.givenUp += try givenUp(id, lost)
      try deleteJob(id)
    } else {
      effects.recovered += 1
      try reinsertReady(id)
    }
  }

  /// Returns the report of a job that is about to be given up: one element, or none if the job is missing.
  private func givenUp(_ id: Int64, _ lost: Int64) throws(QudoError) -> [GivenUpJob] {
    var jobs: [GivenUpJob] = []
    try connection.each(
      "SELECT (SELECT name FROM qudo_kind WHERE qudo_kind.id = kind), attempt, unique_key FROM qudo_job WHERE id = ?",
      .integer(id)
    ) { row throws(QudoError) in
      jobs.append(
        GivenUpJob(
          id: id, kind: Kind(row.text(0)), attempt: Int(row.integer(1)), expiredLeases: Int(lost),
          uniqueKey: row.isNull(2) ? nil : row.text(2)))
    }
    return jobs
  }

  func nextDue() throws(QudoError) -> Duration? {
    let due = try firstDue()
    return due == FileHints.none ? nil : .microseconds(max(0, due.clampedMinus(now.wall.microseconds)))
  }

  func nextLeaseEnd() throws(QudoError) -> Duration? {
    let end = try holders().reduce(try firstEnd()) { min($0, $1.firstEnd) }
    return end == FileHints.none ? nil : .microseconds(max(0, end.clampedMinus(now.sinceBoot)))
  }

  /// Returns when the first delayed job is due, or ``FileHints/none``.
  func firstDue() throws(QudoError) -> Int64 {
    if let known = connection.hints.firstDue { return known }
    let due: Int64?
    do {
      due = try connection.integer("SELECT min(due) FROM qudo_delayed")
    } catch {
      throw error.of(.delayed)
    }
    connection.hints.found(firstDue: due)
    return due ?? FileHints.none
  }

  /// Returns when the first of this driver's own leases expires, or ``FileHints/none``.
  func firstEnd() throws(QudoError) -> Int64 {
    if let known = connection.hints.firstExpiry { return known }
    guard let own = connection.instance else { return FileHints.none }
    let end: Int64?
    do {
      end = try connection.integer(
        "SELECT ends FROM qudo_running WHERE instance = ? ORDER BY ends, last LIMIT 1", .integer(own))
    } catch {
      throw error.of(.running)
    }
    connection.hints.found(firstEnd: end)
    return end ?? FileHints.none
  }
}
