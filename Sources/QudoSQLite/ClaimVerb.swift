internal import Qudo

extension Transaction {
  /// How many delayed jobs become ready, and how many ended leases are taken back, in one claim.
  private static let sweep: Int64 = 1000

  func claim(_ request: ClaimRequest) throws(QudoError) -> Claim {
    let areLeft = try takeBackEnded()
    _ = try promote(limit: Int(Self.sweep))
    var jobs: [ClaimedJob] = []
    if request.limit > 0 {
      let token = Int64.random(in: 1...Int64.max)
      for candidate in try candidates(request) { jobs.append(try take(candidate, token: token)) }
    }
    return Claim(jobs: jobs, nextDue: try nextDue(), nextLeaseEnd: areLeft ? .zero : try nextLeaseEnd())
  }

  private struct Candidate {
    let rank: Int64
    let due: Int64
    let id: Int64
    let kind: Int64
    let ability: ClaimRequest.Ability
  }

  /// The best of all the worker's kinds. Each kind is read in its own order, so that nothing is scanned and no more
  /// than kinds x limit rows are sorted, however many jobs wait.
  private func candidates(_ request: ClaimRequest) throws(QudoError) -> ArraySlice<Candidate> {
    var all: [Candidate] = []
    for ability in request.abilities {
      guard let kind = try connection.kindID(ability.kind) else { continue }
      try connection.each(
        "SELECT rank, due, id FROM qudo_ready WHERE kind = ? ORDER BY rank, due, id LIMIT ?", .integer(kind),
        .integer(Int64(min(request.limit, ability.limit ?? request.limit)))
      ) { row throws(QudoError) in
        all.append(Candidate(rank: row.integer(0), due: row.integer(1), id: row.integer(2), kind: kind, ability: ability))
      }
    }
    if request.abilities.count > 1 { all.sort { ($0.rank, $0.due, $0.id) < ($1.rank, $1.due, $1.id) } }
    return all.prefix(request.limit)
  }

  private func take(_ candidate: Candidate, token: Int64) throws(QudoError) -> ClaimedJob {
    let lease = Lease(job: candidate.id, token: token, boot: boot, ends: end(of: candidate.ability.lease))
    try connection.run(
      "DELETE FROM qudo_ready WHERE kind = ? AND rank = ? AND due = ? AND id = ?", .integer(candidate.kind),
      .integer(candidate.rank), .integer(candidate.due), .integer(candidate.id))
    try connection.run(
      "INSERT INTO qudo_running(boot, ends, id, token, kind, lost_limit, started) VALUES(?, ?, ?, ?, ?, ?, ?)",
      .integer(lease.boot), .integer(lease.ends), .integer(lease.job), .integer(lease.token), .integer(candidate.kind),
      .integer(Int64(candidate.ability.lostLimit)), .integer(now.wall.microseconds))
    return try body(lease, candidate)
  }

  private func body(_ lease: Lease, _ candidate: Candidate) throws(QudoError) -> ClaimedJob {
    var job: ClaimedJob?
    var freesKey = false
    try connection.each(
      "SELECT payload, codec, unique_key, unique_scope, attempt, enqueued, meta FROM qudo_job WHERE id = ?", .integer(lease.job)
    ) { row throws(QudoError) in
      freesKey = !row.isNull(3) && row.integer(3) == UniqueKey.Scope.untilStarted.rawValue
      job = ClaimedJob(
        lease: lease, kind: candidate.ability.kind, payload: Payload(row.blob(0), codec: CodecID(row.integer(1))),
        priority: -Int(candidate.rank), uniqueKey: row.isNull(2) ? nil : row.text(2), attempt: Int(row.integer(4)),
        enqueued: Timestamp(microseconds: row.integer(5)), due: Timestamp(microseconds: candidate.due), meta: row.isNull(6) ? nil : row.blob(6))
    }
    guard let job else { throw QudoError(.corrupt, "job \(lease.job) waits but is not there: the file was changed by others") }
    if freesKey { try connection.run("UPDATE qudo_job SET unique_scope = NULL WHERE id = ?", .integer(lease.job)) }
    return job
  }

  func end(of lease: Duration) -> Int64 {
    let (sum, overflow) = now.sinceBoot.addingReportingOverflow(lease.wholeMicroseconds)
    return overflow ? .max : sum
  }

  /// Delayed jobs that are due become ready, earliest first.
  func promote(limit: Int) throws(QudoError) -> Int {
    let time = now.wall.microseconds
    guard let first = try connection.integer("SELECT min(due) FROM qudo_delayed"), first <= time else { return 0 }
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
