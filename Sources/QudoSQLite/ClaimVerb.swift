internal import Qudo

extension Transaction {
  /// How many delayed jobs become ready, and how many ended leases are taken back, in one claim.
  private static let sweep: Int64 = 1000
  private static let changed = "the file is damaged, or was changed by others"

  func claim(_ request: ClaimRequest) throws(QudoError) -> Claim {
    try enterReady()
    let areLeft = try takeBackEnded()
    _ = try promote(limit: Int(Self.sweep))
    return Claim(jobs: try take(request), nextDue: try nextDue(), nextLeaseEnd: areLeft ? .zero : try nextLeaseEnd())
  }

  private func take(_ request: ClaimRequest) throws(QudoError) -> [ClaimedJob] {
    guard request.limit > 0 else { return [] }
    let kinds = try connection.claimable(request.abilities)
    let token = Int64.random(in: 1...Int64.max)
    if kinds.count > 1 { return try takeBest(kinds, request.limit, token: token) }
    guard let kind = kinds.first else { return [] }
    return try take(kind, kind.most(request.limit), token: token)
  }

  /// Moves the first `count` jobs of a kind from the ready to the running, in three statements however many they are.
  func take(_ kind: ClaimableKind, _ count: Int, token: Int64) throws(QudoError) -> [ClaimedJob] {
    let ends = end(of: kind.ability.lease)
    var reading = Reading(token: token, boot: boot)
    var last: ReadyKey?
    // CROSS JOIN: "SQLite never reorders tables in a CROSS JOIN".
    try connection.each(
      """
      SELECT payload, codec, unique_key, unique_scope, attempt, enqueued, meta, r.rank, r.due, r.id
      FROM qudo_ready AS r CROSS JOIN qudo_job AS j ON j.id = r.id WHERE r.kind = ? ORDER BY r.rank, r.due, r.id LIMIT ?
      """, .integer(kind.number), .integer(Int64(count))
    ) { row throws(QudoError) in last = reading.read(row, kind.ability.kind, ends: ends) }
    guard let last else { return [] }
    connection.memory.runs(until: ends)
    if reading.jobs.count == 1 {
      try start(last, kind, ends: ends, token: token)
    } else {
      try connection.run(
        """
        INSERT INTO qudo_running(boot, ends, id, token, kind, lost_limit, started)
        SELECT ?, ?, id, ?, kind, ?, ? FROM qudo_ready WHERE kind = ? ORDER BY rank, due, id LIMIT ?
        """,
        .integer(boot), .integer(ends), .integer(token), .integer(Int64(kind.ability.lostLimit)),
        .integer(now.wall.microseconds), .integer(kind.number), .integer(Int64(reading.jobs.count)))
      try leaveReady(kind, reading.jobs.count, upTo: last)
    }
    connection.ready.forget(kind.number)
    try freeKeys(reading)
    return reading.jobs
  }

  /// Moves one that was just read.
  private func start(_ key: ReadyKey, _ kind: ClaimableKind, ends: Int64, token: Int64) throws(QudoError) {
    try connection.run(
      "INSERT INTO qudo_running(boot, ends, id, token, kind, lost_limit, started) VALUES(?, ?, ?, ?, ?, ?, ?)", .integer(boot),
      .integer(ends), .integer(key.id), .integer(token), .integer(kind.number), .integer(Int64(kind.ability.lostLimit)),
      .integer(now.wall.microseconds))
    try connection.run(
      "DELETE FROM qudo_ready WHERE kind = ? AND rank = ? AND due = ? AND id = ?", .integer(kind.number), .integer(key.rank),
      .integer(key.due), .integer(key.id))
  }

  /// The first ones of a kind are ready no more.
  func leaveReady(_ kind: ClaimableKind, _ count: Int, upTo last: ReadyKey) throws(QudoError) {
    try connection.run(
      "DELETE FROM qudo_ready WHERE kind = ? AND (rank, due, id) <= (?, ?, ?)", .integer(kind.number), .integer(last.rank),
      .integer(last.due), .integer(last.id))
    guard connection.changes == count else {
      throw QudoError(.corrupt, "a job of kind \(kind.ability.kind) waits but is not there: the file was changed by others")
    }
  }

  func freeKeys(_ reading: Reading) throws(QudoError) {
    for id in reading.freesKeys { try connection.run("UPDATE qudo_job SET unique_scope = NULL WHERE id = ?", .integer(id)) }
  }

  /// Claimed jobs, read from rows.
  struct Reading {
    let token: Int64
    let boot: Int64
    var jobs: [ClaimedJob] = []
    /// Those whose unique key is held until they start.
    var freesKeys: [Int64] = []

    /// - Parameter row: payload, codec, unique key and its scope, attempt, time of the enqueue, meta, rank, due time, id.
    mutating func read(_ row: Statement, _ kind: Kind, ends: Int64) -> ReadyKey {
      let key = ReadyKey(rank: row.integer(7), due: row.integer(8), id: row.integer(9))
      if !row.isNull(3), row.integer(3) == UniqueKey.Scope.untilStarted.rawValue { freesKeys.append(key.id) }
      jobs.append(ClaimedJob(
        lease: Lease(job: key.id, token: token, boot: boot, ends: ends), kind: kind,
        payload: Payload(row.blob(0), codec: CodecID(row.integer(1))), priority: 0 &- Int(key.rank),
        uniqueKey: row.isNull(2) ? nil : row.text(2), attempt: Int(row.integer(4)),
        enqueued: Timestamp(microseconds: row.integer(5)), due: Timestamp(microseconds: key.due), meta: Meta(bytes: row.blob(6))))
      return key
    }
  }

  /// At most one less than ``Memory/none``.
  func end(of lease: Duration) -> Int64 {
    min(now.sinceBoot.clampedPlus(lease.wholeMicroseconds), Memory.none - 1)
  }

  /// Delayed jobs that are due become ready, earliest first.
  func promote(limit: Int) throws(QudoError) -> Int {
    let time = now.wall.microseconds
    // "If the LIMIT expression evaluates to a negative value, then there is no upper bound on the number of rows returned."
    guard limit > 0, try firstDue() <= time else { return 0 }
    connection.memory.forgetDue()
    var due: [(due: Int64, id: Int64, kind: Int64, rank: Int64)] = []
    try connection.each(
      "SELECT due, id, kind, rank FROM qudo_delayed WHERE due <= ? ORDER BY due, id LIMIT ?", .integer(time), .integer(Int64(limit))
    ) { row throws(QudoError) in due.append((row.integer(0), row.integer(1), row.integer(2), row.integer(3))) }
    for job in due {
      try connection.run("DELETE FROM qudo_delayed WHERE due = ? AND id = ?", .integer(job.due), .integer(job.id))
      // Of a time that is no integer this finds nothing, each time.
      guard connection.changes == 1 else { throw QudoError(.corrupt, "job \(job.id) waits until a time that is none: \(Self.changed)") }
      try connection.run(
        "INSERT INTO qudo_ready(kind, rank, due, id) VALUES(?, ?, ?, ?)", .integer(job.kind), .integer(job.rank), .integer(job.due),
        .integer(job.id))
      connection.ready.forget(job.kind)
    }
    return due.count
  }

  /// Jobs whose lease ended, or belongs to another boot, wait again where they stood, or end as lost.
  ///
  /// - Returns: whether some may be left for the next claim.
  private func takeBackEnded() throws(QudoError) -> Bool {
    var most = 0
    if !connection.memory.hasSweptBoots {
      most = try takeBack("SELECT boot, ends, id, lost_limit FROM qudo_running WHERE boot < ? LIMIT ?", .integer(boot), .integer(Self.sweep))
      most = max(most, try takeBack(
        "SELECT boot, ends, id, lost_limit FROM qudo_running WHERE boot > ? LIMIT ?", .integer(boot), .integer(Self.sweep)))
      // Only others can add to them.
      connection.memory.hasSweptBoots = most < Self.sweep
    }
    if try firstEnd() <= now.sinceBoot {
      most = max(most, try takeBack(
        "SELECT boot, ends, id, lost_limit FROM qudo_running WHERE boot = ? AND ends <= ? LIMIT ?", .integer(boot),
        .integer(now.sinceBoot), .integer(Self.sweep)))
    }
    return most >= Self.sweep
  }

  /// - Returns: how many there were.
  @inline(__always)
  private func takeBack(_ sql: StaticString, _ values: Value...) throws(QudoError) -> Int {
    var ended: [(boot: Int64, ends: Int64, id: Int64, limit: Int64)] = []
    try connection.each(sql, values) { row throws(QudoError) in
      ended.append((row.integer(0), row.integer(1), row.integer(2), row.integer(3)))
    }
    try takeBack(ended)
    return ended.count
  }

  private func takeBack(_ ended: [(boot: Int64, ends: Int64, id: Int64, limit: Int64)]) throws(QudoError) {
    if !ended.isEmpty { connection.memory.ran(until: nil) }
    for lease in ended {
      try connection.run(
        "DELETE FROM qudo_running WHERE boot = ? AND ends = ? AND id = ?", .integer(lease.boot), .integer(lease.ends), .integer(lease.id))
      guard connection.changes == 1 else { throw QudoError(.corrupt, "the lease of job \(lease.id) ends at a time that is none: \(Self.changed)") }
      try connection.run("UPDATE qudo_job SET lost = lost + 1 WHERE id = ?", .integer(lease.id))
      let lost = try connection.integer("SELECT lost FROM qudo_job WHERE id = ?", .integer(lease.id)) ?? 0
      if lost >= lease.limit {
        try log(lease.id, .lost, message: "the lease was lost \(lost) times: the worker died or hung each time", final: true)
        try forget(lease.id)
      } else {
        try enterAgain(lease.id)
      }
    }
  }

  private func nextDue() throws(QudoError) -> Duration? {
    let due = try firstDue()
    return due == Memory.none ? nil : .microseconds(max(0, due.clampedMinus(now.wall.microseconds)))
  }

  private func nextLeaseEnd() throws(QudoError) -> Duration? {
    let end = try firstEnd()
    return end == Memory.none ? nil : .microseconds(max(0, end.clampedMinus(now.sinceBoot)))
  }

  /// When the first delayed job is due, or ``Memory/none``.
  private func firstDue() throws(QudoError) -> Int64 {
    if let known = connection.memory.firstDue { return known }
    let due = try connection.integer("SELECT min(due) FROM qudo_delayed")
    connection.memory.found(firstDue: due)
    return due ?? Memory.none
  }

  /// When the first lease of this boot ends, or ``Memory/none``.
  private func firstEnd() throws(QudoError) -> Int64 {
    if let known = connection.memory.firstEnd { return known }
    let end = try connection.integer("SELECT ends FROM qudo_running WHERE boot = ? ORDER BY ends, id LIMIT 1", .integer(boot))
    connection.memory.found(firstEnd: end)
    return end ?? Memory.none
  }
}
