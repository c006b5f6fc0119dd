internal import Qudo

/// Why a failure is in the log.
extension FailureReason {
  var number: Int64 {
    switch self {
    case .failed: 0
    case .lost: 1
    case .aborted: 2
    }
  }
}

extension Transaction {
  func settle(_ settlements: [Settlement]) throws(QudoError) -> [SettleResult] {
    var results: [SettleResult] = []
    results.reserveCapacity(settlements.count)
    for settlement in settlements {
      guard try giveUp(settlement.lease) else {
        results.append(.leaseLost)
        continue
      }
      results.append(.settled(replacements: try write(settlement.outcome, of: settlement.lease.job)))
    }
    return results
  }

  /// True if this was the current lease. The token decides, not the time.
  private func giveUp(_ lease: Lease) throws(QudoError) -> Bool {
    try connection.run(
      "DELETE FROM qudo_running WHERE boot = ? AND ends = ? AND id = ? AND token = ?", .integer(lease.boot),
      .integer(lease.ends), .integer(lease.job), .integer(lease.token))
    return connection.changes == 1
  }

  private func write(_ outcome: Settlement.Outcome, of id: Int64) throws(QudoError) -> [InsertResult] {
    switch outcome {
    case .completed(let replacements):
      // The old row goes first, so that a replacement may carry the same unique key.
      try forget(id)
      return try insert(replacements)
    case .retry(let delay, let message):
      try log(id, .failed, message: message, final: false)
      try wait(again: id, due: due(.after(delay)), attempts: 1)
    case .snoozed(let delay, let counts):
      try wait(again: id, due: due(.after(delay)), attempts: counts ? 1 : 0)
    case .aborted(let message):
      try log(id, .aborted, message: message, final: true)
      try forget(id)
    case .failed(let message):
      try log(id, .failed, message: message, final: true)
      try forget(id)
    case .released:
      effects.wakes = true
      try connection.run("INSERT INTO qudo_ready SELECT kind, rank, due, id FROM qudo_job WHERE id = ?", .integer(id))
    }
    return []
  }

  private func wait(again id: Int64, due: Int64, attempts: Int64) throws(QudoError) {
    effects.wakes = true
    try connection.run("UPDATE qudo_job SET due = ?, attempt = attempt + ? WHERE id = ?", .integer(due), .integer(attempts), .integer(id))
    let table = due <= now.wall.microseconds ? "qudo_ready" : "qudo_delayed"
    try connection.run("INSERT INTO \(table)(kind, rank, due, id) SELECT kind, rank, due, id FROM qudo_job WHERE id = ?", .integer(id))
  }

  /// Only a final failure carries the payload; an earlier one points to the job.
  func log(_ id: Int64, _ reason: FailureReason, message: String, final: Bool) throws(QudoError) {
    try connection.run(
      """
      INSERT INTO qudo_failure(job, kind, attempt, failed_at, reason, final, message, rank, unique_key, codec, meta, payload)
      SELECT id, kind, attempt, ?1, ?2, ?3, ?4, rank, unique_key, codec, iif(?3, meta, NULL), iif(?3, payload, NULL)
      FROM qudo_job WHERE id = ?5
      """,
      .integer(now.wall.microseconds), .integer(reason.number), .integer(final ? 1 : 0), .text(message), .integer(id))
  }

  func extend(_ leases: [Lease], by duration: Duration) throws(QudoError) -> [Lease?] {
    var results: [Lease?] = []
    for lease in leases {
      let extended = Lease(job: lease.job, token: lease.token, boot: lease.boot, ends: end(of: duration))
      try connection.run(
        "UPDATE qudo_running SET ends = ? WHERE boot = ? AND ends = ? AND id = ? AND token = ?", .integer(extended.ends),
        .integer(lease.boot), .integer(lease.ends), .integer(lease.job), .integer(lease.token))
      results.append(connection.changes == 1 ? extended : nil)
    }
    return results
  }

  func count() throws(QudoError) -> [JobCount] {
    var counts: [Kind: JobCount] = [:]
    let tables: [(String, WritableKeyPath<JobCount, Int>)] = [
      ("qudo_ready", \.ready), ("qudo_delayed", \.delayed), ("qudo_running", \.running),
    ]
    for (table, state) in tables {
      try connection.each(
        "SELECT name, n FROM (SELECT kind, count(*) AS n FROM \(table) GROUP BY kind) AS c JOIN qudo_kind ON qudo_kind.id = c.kind"
      ) { row throws(QudoError) in
        let kind = Kind(row.text(0))
        counts[kind, default: JobCount(kind)][keyPath: state] = Int(row.integer(1))
      }
    }
    return counts.values.sorted { $0.kind < $1.kind }
  }
}
