internal import Qudo

extension Transaction {
  /// How many delayed jobs become ready, and how many ended leases are taken back, in one claim.
  private static let sweep: Int64 = 1000

  func claim(_ request: ClaimRequest) throws(QudoError) -> Claim {
    let areLeft = try takeBackEnded()
    _ = try promote(limit: Int(Self.sweep))
    return Claim(jobs: try take(request), nextDue: try nextDue(), nextLeaseEnd: areLeft ? .zero : try nextLeaseEnd())
  }

  private func take(_ request: ClaimRequest) throws(QudoError) -> [ClaimedJob] {
    guard request.limit > 0 else { return [] }
    let token = Int64.random(in: 1...Int64.max)
    var jobs: [ClaimedJob] = []
    for share in try shares(request) { jobs += try take(share, token: token) }
    if request.abilities.count > 1 {
      jobs.sort { ($1.priority, $0.due.microseconds, $0.id) < ($0.priority, $1.due.microseconds, $1.id) }
    }
    return jobs
  }

  /// How many jobs of a kind are to be taken: the first ones in its own order.
  private struct Share {
    let ability: ClaimRequest.Ability
    let kind: Int64
    var count: Int
  }

  /// The best of all the worker's kinds. Each kind is read in its own order, so that nothing is scanned and no more
  /// than kinds x limit rows are sorted, however many jobs wait.
  private func shares(_ request: ClaimRequest) throws(QudoError) -> [Share] {
    var shares: [Share] = []
    for ability in request.abilities {
      guard let kind = try connection.kindID(ability.kind) else { continue }
      shares.append(Share(ability: ability, kind: kind, count: max(0, min(request.limit, ability.limit ?? request.limit))))
    }
    guard shares.count > 1 else { return shares }
    var candidates: [(rank: Int64, due: Int64, id: Int64, share: Int)] = []
    for index in shares.indices {
      try connection.each(
        "SELECT rank, due, id FROM qudo_ready WHERE kind = ? ORDER BY rank, due, id LIMIT ?", .integer(shares[index].kind),
        .integer(Int64(shares[index].count))
      ) { row throws(QudoError) in candidates.append((row.integer(0), row.integer(1), row.integer(2), index)) }
      shares[index].count = 0
    }
    candidates.sort { ($0.rank, $0.due, $0.id) < ($1.rank, $1.due, $1.id) }
    for candidate in candidates.prefix(request.limit) { shares[candidate.share].count += 1 }
    return shares.filter { $0.count > 0 }
  }

  /// Moves the first `count` jobs of a kind from the ready to the running, in three statements however many they are.
  private func take(_ share: Share, token: Int64) throws(QudoError) -> [ClaimedJob] {
    let ends = end(of: share.ability.lease)
    let (jobs, last, freesKeys) = try first(share, token: token, ends: ends)
    guard let last else { return [] }
    try connection.run(
      """
      INSERT INTO qudo_running(boot, ends, id, token, kind, lost_limit, started)
      SELECT ?, ?, id, ?, kind, ?, ? FROM qudo_ready WHERE kind = ? ORDER BY rank, due, id LIMIT ?
      """,
      .integer(boot), .integer(ends), .integer(token), .integer(Int64(share.ability.lostLimit)),
      .integer(now.wall.microseconds), .integer(share.kind), .integer(Int64(jobs.count)))
    try connection.run(
      "DELETE FROM qudo_ready WHERE kind = ? AND (rank, due, id) <= (?, ?, ?)", .integer(share.kind), .integer(last.rank),
      .integer(last.due), .integer(last.id))
    guard connection.changes == jobs.count else {
      throw QudoError(.corrupt, "a job of kind \(share.ability.kind) waits but is not there: the file was changed by others")
    }
    for id in freesKeys { try connection.run("UPDATE qudo_job SET unique_scope = NULL WHERE id = ?", .integer(id)) }
    return jobs
  }

  private func first(
    _ share: Share, token: Int64, ends: Int64
  ) throws(QudoError) -> (jobs: [ClaimedJob], last: (rank: Int64, due: Int64, id: Int64)?, freesKeys: [Int64]) {
    var jobs: [ClaimedJob] = []
    var last: (rank: Int64, due: Int64, id: Int64)?
    var freesKeys: [Int64] = []
    // CROSS JOIN: "SQLite never reorders tables in a CROSS JOIN".
    try connection.each(
      """
      SELECT r.rank, r.due, r.id, payload, codec, unique_key, unique_scope, attempt, enqueued, meta
      FROM qudo_ready AS r CROSS JOIN qudo_job AS j ON j.id = r.id WHERE r.kind = ? ORDER BY r.rank, r.due, r.id LIMIT ?
      """, .integer(share.kind), .integer(Int64(share.count))
    ) { row throws(QudoError) in
      let (rank, due, id) = (row.integer(0), row.integer(1), row.integer(2))
      last = (rank, due, id)
      if !row.isNull(6), row.integer(6) == UniqueKey.Scope.untilStarted.rawValue { freesKeys.append(id) }
      jobs.append(ClaimedJob(
        lease: Lease(job: id, token: token, boot: boot, ends: ends), kind: share.ability.kind,
        payload: Payload(row.blob(3), codec: CodecID(row.integer(4))), priority: 0 &- Int(rank), uniqueKey: row.isNull(5) ? nil : row.text(5),
        attempt: Int(row.integer(7)), enqueued: Timestamp(microseconds: row.integer(8)), due: Timestamp(microseconds: due),
        meta: Meta(bytes: row.blob(9))))
    }
    return (jobs, last, freesKeys)
  }

  func end(of lease: Duration) -> Int64 {
    let (sum, overflow) = now.sinceBoot.addingReportingOverflow(lease.wholeMicroseconds)
    return overflow ? .max : sum
  }

  /// Delayed jobs that are due become ready, earliest first.
  func promote(limit: Int) throws(QudoError) -> Int {
    let time = now.wall.microseconds
    // "If the LIMIT expression evaluates to a negative value, then there is no upper bound on the number of rows returned."
    guard limit > 0, let first = try connection.integer("SELECT min(due) FROM qudo_delayed"), first <= time else { return 0 }
    var due: [(due: Int64, id: Int64, kind: Int64, rank: Int64)] = []
    try connection.each(
      "SELECT due, id, kind, rank FROM qudo_delayed WHERE due <= ? ORDER BY due, id LIMIT ?", .integer(time), .integer(Int64(limit))
    ) { row throws(QudoError) in due.append((row.integer(0), row.integer(1), row.integer(2), row.integer(3))) }
    for job in due {
      try connection.run("DELETE FROM qudo_delayed WHERE due = ? AND id = ?", .integer(job.due), .integer(job.id))
      try connection.run(
        "INSERT INTO qudo_ready VALUES(?, ?, ?, ?)", .integer(job.kind), .integer(job.rank), .integer(job.due), .integer(job.id))
    }
    return due.count
  }

  /// Jobs whose lease ended, or belongs to another boot, wait again where they stood, or end as lost.
  ///
  /// - Returns: whether some may be left for the next claim.
  private func takeBackEnded() throws(QudoError) -> Bool {
    var most = 0
    for (condition, last) in [("boot < ?", boot), ("boot > ?", boot)] {
      let sql = "SELECT boot, ends, id, lost_limit FROM qudo_running WHERE \(condition) LIMIT ?"
      most = max(most, try takeBack(sql, .integer(last), .integer(Self.sweep)))
    }
    most = max(most, try takeBack(
      "SELECT boot, ends, id, lost_limit FROM qudo_running WHERE boot = ? AND ends <= ? LIMIT ?", .integer(boot),
      .integer(now.sinceBoot), .integer(Self.sweep)))
    return most >= Self.sweep
  }

  /// - Returns: how many there were.
  private func takeBack(_ sql: String, _ values: Value...) throws(QudoError) -> Int {
    var ended: [(boot: Int64, ends: Int64, id: Int64, limit: Int64)] = []
    let statement = try connection.statement(sql)
    do {
      defer { statement.reset() }
      try statement.bind(values)
      while try statement.step() {
        ended.append((statement.integer(0), statement.integer(1), statement.integer(2), statement.integer(3)))
      }
    }
    for lease in ended {
      try connection.run(
        "DELETE FROM qudo_running WHERE boot = ? AND ends = ? AND id = ?", .integer(lease.boot), .integer(lease.ends), .integer(lease.id))
      try connection.run("UPDATE qudo_job SET lost = lost + 1 WHERE id = ?", .integer(lease.id))
      let lost = try connection.integer("SELECT lost FROM qudo_job WHERE id = ?", .integer(lease.id)) ?? 0
      if lost >= lease.limit {
        try log(lease.id, .lost, message: "the lease was lost \(lost) times: the worker died or hung each time", final: true)
        try forget(lease.id)
      } else {
        try connection.run("INSERT INTO qudo_ready SELECT kind, rank, due, id FROM qudo_job WHERE id = ?", .integer(lease.id))
      }
    }
    return ended.count
  }

  private func nextDue() throws(QudoError) -> Duration? {
    guard let due = try connection.integer("SELECT min(due) FROM qudo_delayed") else { return nil }
    return .microseconds(max(0, due - now.wall.microseconds))
  }

  private func nextLeaseEnd() throws(QudoError) -> Duration? {
    guard let end = try connection.integer("SELECT ends FROM qudo_running WHERE boot = ? ORDER BY ends, id LIMIT 1", .integer(boot))
    else { return nil }
    return .microseconds(max(0, end - now.sinceBoot))
  }
}
