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
    for group in LeaseGroups(leases).groups {
      let lease = leases[group.indices[group.indices.startIndex]]
      if let ranges = try held(group.ids, by: lease) {
        for range in ranges { try runningTable.cut(range, group.ids) }
        let count = ranges.reduce(0) { $0 + $1.ids.clamped(to: group.ids).count }
        noteEnded(lease.holder, until: lease.expiresAt, count: count)
        for index in group.indices { isHeld[index] = true }
      } else {
        for index in group.indices { isHeld[index] = try removeFromRunning(leases[index], &places) }
      }
    }
    return isHeld
  }

  /// Removes one job. A job that was claimed alone has its own row, which one statement deletes.
  private func removeOneFromRunning(_ lease: Lease) throws(QudoError) -> Bool {
    guard try runningTable.removeAlone(lease) else {
      var places = TokenLookup([lease])
      return try removeFromRunning(lease, &places)
    }
    noteEnded(lease.holder, until: lease.expiresAt, count: 1)
    return true
  }

  private func removeFromRunning(_ lease: Lease, _ places: inout TokenLookup) throws(QudoError) -> Bool {
    guard let range = try range(of: lease, &places) else { return false }
    try runningTable.cut(range, lease.job...lease.job)
    noteEnded(range.instance, until: range.ends)
    return true
  }

  func renew(_ leases: [Lease], for duration: Duration) throws(QudoError) -> [Lease?] {
    let ends = expiry(of: duration)
    let term = LeaseTerm(instance: try instance(), ends: ends, length: ends - now.sinceBoot)
    connection.hints.noteEnded(until: nil)
    var results: [Lease?] = Array(repeating: nil, count: leases.count)
    var places = TokenLookup(leases)
    for group in LeaseGroups(leases).groups {
      if let ranges = try held(group.ids, by: leases[group.indices[group.indices.startIndex]]) {
        for range in ranges { try renew(range, group.ids, to: term) }
        for index in group.indices { results[index] = leases[index].renewed(to: term) }
      } else {
        for index in group.indices {
          let lease = leases[index]
          guard let range = try range(of: lease, &places) else { continue }
          try renew(range, lease.job...lease.job, to: term)
          places.add(lease.token, instance: term.instance, ends: term.ends)
          results[index] = lease.renewed(to: term)
        }
      }
    }
    return results
  }

  private func renew(_ range: RunningRange, _ ids: ClosedRange<Int64>, to term: LeaseTerm) throws(QudoError) {
    // Compare with the row, not with the lease: another driver may have renewed it.
    if range.instance != term.instance { connection.hints.invalidateHolders() }
    try runningTable.renew(range, ids, to: term)
  }

  /// Updates the hints after jobs with this holder and expiry stopped running.
  ///
  /// - Parameter count: The number of jobs; nil if it is unknown.
  func noteEnded(_ holder: Int64, until ends: Int64, count: Int? = nil) {
    if holder == connection.instance {
      connection.hints.noteEnded(until: ends, count: count)
    } else {
      connection.hints.invalidateHolders()
    }
  }

  /// Returns the rows that hold these jobs at the lease's holder, expiry and token, or nil if a job is missing.
  private func held(_ ids: ClosedRange<Int64>, by lease: Lease) throws(QudoError) -> [RunningRange]? {
    var ranges: [RunningRange] = []
    var next = ids.lowerBound
    while true {
      guard let range = try runningTable.row(from: next, at: lease), range.ids.contains(next),
        range.token == lease.token
      else { return nil }
      ranges.append(range)
      if range.ids.upperBound >= ids.upperBound { return ranges }
      next = range.ids.upperBound + 1
    }
  }

  private func range(of lease: Lease, _ places: inout TokenLookup) throws(QudoError) -> RunningRange? {
    if let ranges = try held(lease.job...lease.job, by: lease) { return ranges.first }
    if !places.areKnown {
      places.begin()
      try runningTable.tokens { token, instance, ends in places.add(token, instance: instance, ends: ends) }
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

extension Lease {
  fileprivate func renewed(to term: LeaseTerm) -> Lease {
    Lease(job: job, token: token, holder: term.instance, expiresAt: term.ends)
  }
}

/// Leases grouped for look-ups: a group has one token, holder and expiry, and consecutive job ids.
struct LeaseGroups {
  struct Group {
    var ids: ClosedRange<Int64>
    /// The positions of the leases in the original array, in id order.
    var indices: ArraySlice<Int>
  }
  private(set) var groups: [Group] = []

  init(_ leases: [Lease]) {
    var order = Array(leases.indices)
    // The leases of one claim usually arrive in id order.
    if zip(leases, leases.dropFirst()).contains(where: { $0.job > $1.job }) {
      order.sort { (leases[$0].job, $0) < (leases[$1].job, $1) }
    }
    var start = 0
    while start < order.count {
      let first = leases[order[start]]
      var end = start + 1
      while end < order.count {
        let next = leases[order[end]]
        guard next.job == first.job &+ Int64(end - start), next.token == first.token,
          next.expiresAt == first.expiresAt, next.holder == first.holder
        else { break }
        end += 1
      }
      groups.append(Group(ids: first.job...first.job &+ Int64(end - start - 1), indices: order[start..<end]))
      start = end
    }
  }
}
