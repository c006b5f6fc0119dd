internal import Qudo

// The token alone decides whether a lease is valid. `holder` and `expiresAt` only locate its row: after a renewal, an
// older copy of the lease has the same token and is still valid. A stale copy costs one scan of all running jobs, which
// serves every stale lease of the call.
extension Transaction {
  /// Removes jobs from the running jobs.
  ///
  /// - Returns: For each lease, whether it was valid.
  func removeFromRunning(_ leases: [Lease]) throws(QudoError) -> [Bool] {
    if leases.count == 1 { return [try removeOneFromRunning(leases[0])] }
    var isHeld = Array(repeating: false, count: leases.count)
    var places = TokenLookup(leases)
    for run in LeaseGroups(leases).groups {
      let lease = leases[run.indices[run.indices.startIndex]]
      if let ranges = try held(run.ids, by: lease) {
        for range in ranges { try cut(range, run.ids) }
        ran(lease.holder, until: lease.expiresAt)
        for index in run.indices { isHeld[index] = true }
      } else {
        for index in run.indices { isHeld[index] = try removeFromRunning(leases[index], &places) }
      }
    }
    return isHeld
  }

  /// Removes one job. A job that was claimed alone has its own row, which one statement deletes.
  private func removeOneFromRunning(_ lease: Lease) throws(QudoError) -> Bool {
    try connection.run(
      "DELETE FROM qudo_running WHERE instance = ? AND ends = ? AND last = ? AND first = ? AND token = ?",
      .integer(lease.holder),
      .integer(lease.expiresAt), .integer(lease.job), .integer(lease.job), .integer(lease.token))
    guard connection.changes == 1 else {
      var places = TokenLookup([lease])
      return try removeFromRunning(lease, &places)
    }
    ran(lease.holder, until: lease.expiresAt)
    return true
  }

  private func removeFromRunning(_ lease: Lease, _ places: inout TokenLookup) throws(QudoError) -> Bool {
    guard let range = try range(of: lease, &places) else { return false }
    try cut(range, lease.job...lease.job)
    ran(range.instance, until: range.ends)
    return true
  }

  func renew(_ leases: [Lease], for duration: Duration) throws(QudoError) -> [Lease?] {
    let own = try instance()
    connection.hints.noteEnded(until: nil)
    var results: [Lease?] = Array(repeating: nil, count: leases.count)
    let ends = end(of: duration)
    var places = TokenLookup(leases)
    let term = (instance: own, ends: ends, lease: ends - now.sinceBoot)
    for run in LeaseGroups(leases).groups {
      if let ranges = try held(run.ids, by: leases[run.indices[run.indices.startIndex]]) {
        for range in ranges { try renew(range, run.ids, to: term) }
        for index in run.indices { results[index] = renewed(leases[index], to: term) }
      } else {
        for index in run.indices {
          let lease = leases[index]
          guard let range = try range(of: lease, &places) else { continue }
          try renew(range, lease.job...lease.job, to: term)
          places.add(lease.token, instance: term.instance, ends: term.ends)
          results[index] = renewed(lease, to: term)
        }
      }
    }
    return results
  }

  /// The new values of a renewed lease. The driver that renews becomes the holder.
  private typealias Term = (instance: Int64, ends: Int64, lease: Int64)

  private func renewed(_ lease: Lease, to term: Term) -> Lease {
    Lease(job: lease.job, token: lease.token, holder: term.instance, expiresAt: term.ends)
  }

  private func renew(_ range: RunningRange, _ ids: ClosedRange<Int64>, to term: Term) throws(QudoError) {
    // Compare with the row, not with the lease: another driver may have renewed it.
    if range.instance != term.instance { connection.hints.invalidateHolders() }
    let part = range.ids.clamped(to: ids)
    if part == range.ids {
      try connection.run(
        "UPDATE qudo_running SET instance = ?, ends = ?, lease = ? WHERE instance = ? AND ends = ? AND last = ?",
        .integer(term.instance), .integer(term.ends), .integer(term.lease), .integer(range.instance),
        .integer(range.ends),
        .integer(range.ids.upperBound))
      return try range.checkChanged(connection)
    }
    try cut(range, part)
    var extended = range
    (extended.ids, extended.instance, extended.ends, extended.lease) = (
      part, term.instance, term.ends, term.lease
    )
    try insertRunning(extended)
  }

  /// Updates the hints after jobs with this holder and expiry stopped running.
  func ran(_ holder: Int64, until ends: Int64) {
    if holder == connection.instance {
      connection.hints.noteEnded(until: ends)
    } else {
      connection.hints.invalidateHolders()
    }
  }

  // MARK: Rows

  /// Files jobs as running.
  func insertRunning(_ range: RunningRange) throws(QudoError) {
    try connection.run(
      "INSERT INTO qudo_running(instance, ends, last, first, token, lost_limit, started, lease) VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
      .integer(range.instance), .integer(range.ends), .integer(range.ids.upperBound),
      .integer(range.ids.lowerBound),
      .integer(range.token), .integer(range.lostLimit), .integer(range.started), .integer(range.lease))
  }

  /// Removes jobs from a row, which leaves up to two rows.
  func cut(_ range: RunningRange, _ ids: ClosedRange<Int64>) throws(QudoError) {
    let part = range.ids.clamped(to: ids)
    if part == range.ids {
      try connection.run(
        "DELETE FROM qudo_running WHERE instance = ? AND ends = ? AND last = ?", .integer(range.instance),
        .integer(range.ends),
        .integer(range.ids.upperBound))
      return try range.checkChanged(connection)
    }
    if part.upperBound == range.ids.upperBound {
      try connection.run(
        "UPDATE qudo_running SET last = ? WHERE instance = ? AND ends = ? AND last = ?",
        .integer(part.lowerBound - 1), .integer(range.instance),
        .integer(range.ends), .integer(range.ids.upperBound))
      return try range.checkChanged(connection)
    }
    try connection.run(
      "UPDATE qudo_running SET first = ? WHERE instance = ? AND ends = ? AND last = ?",
      .integer(part.upperBound + 1), .integer(range.instance),
      .integer(range.ends), .integer(range.ids.upperBound))
    try range.checkChanged(connection)
    guard part.lowerBound > range.ids.lowerBound else { return }
    var rest = range
    rest.ids = range.ids.lowerBound...part.lowerBound - 1
    try insertRunning(rest)
  }

  /// Returns the rows that hold these jobs at the lease's holder, expiry and token, or nil if a job is missing.
  private func held(_ ids: ClosedRange<Int64>, by lease: Lease) throws(QudoError) -> [RunningRange]? {
    var ranges: [RunningRange] = []
    var next = ids.lowerBound
    while true {
      var found: RunningRange?
      try connection.each(
        """
        SELECT instance, ends, last, first, token, lost_limit, started, lease FROM qudo_running WHERE instance = ? AND ends = ? AND last >= ?
        ORDER BY last LIMIT 1
        """, .integer(lease.holder), .integer(lease.expiresAt), .integer(next)
      ) { row throws(QudoError) in found = try RunningRange(row) }
      guard let range = found, range.ids.contains(next), range.token == lease.token else { return nil }
      ranges.append(range)
      if range.ids.upperBound >= ids.upperBound { return ranges }
      next = range.ids.upperBound + 1
    }
  }

  private func range(of lease: Lease, _ places: inout TokenLookup) throws(QudoError) -> RunningRange? {
    if let ranges = try held(lease.job...lease.job, by: lease) { return ranges.first }
    if !places.areKnown {
      places.begin()
      try connection.each("SELECT token, instance, ends FROM qudo_running") { row throws(QudoError) in
        places.add(row.integer(0), instance: row.integer(1), ends: row.integer(2))
      }
    }
    for place in places.of(lease.token) {
      let there = Lease(job: lease.job, token: lease.token, holder: place.instance, expiresAt: place.ends)
      if let ranges = try held(lease.job...lease.job, by: there) { return ranges.first }
    }
    return nil
  }
}

/// The holders and expiries of the rows with the tokens of a call's leases. Removing jobs from a row changes neither.
private struct TokenLookup {
  struct Match: Hashable {
    let instance: Int64
    let ends: Int64
  }
  private let leases: [Lease]
  private var byToken: [Int64: Set<Match>] = [:]
  /// Whether all running jobs were scanned, or are about to be.
  private(set) var areKnown = false

  init(_ leases: [Lease]) { self.leases = leases }

  mutating func begin() {
    areKnown = true
    for lease in leases { byToken[lease.token] = [] }
  }

  /// Records a row, if its token belongs to one of the call's leases.
  mutating func add(_ token: Int64, instance: Int64, ends: Int64) {
    byToken[token]?.insert(Match(instance: instance, ends: ends))
  }

  func of(_ token: Int64) -> Set<Match> { byToken[token] ?? [] }
}
