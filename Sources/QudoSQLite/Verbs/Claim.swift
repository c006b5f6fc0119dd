internal import Qudo

extension Transaction {
  /// The maximum number of delayed jobs promoted, and of expired leases recovered, in one claim.
  static let recoveryBatch: Int64 = 1000

  func claim(_ request: ClaimRequest) throws(QudoError) -> Claim {
    try insertCollectedReady()
    let areLeft = try recoverExpired()
    let areExpired = try expireWaiting()
    // Final failures may have enqueued jobs.
    if !effects.givenUp.isEmpty { try insertCollectedReady() }
    let areAhead = try restartDelays(limit: Int(Self.recoveryBatch))
    _ = try promote(limit: Int(Self.recoveryBatch))
    let (givenUp, recovered) = effects.takeRecovered()
    // None that has expired is claimed: the rest of them comes first.
    let jobs = areExpired ? nil : try claimReady(request)
    if jobs?.isEmpty ?? true { try pruneReceiptsWhileIdle() }
    return Claim(
      jobs: jobs ?? [], timeUntilNextDue: areAhead || jobs == nil ? .zero : try timeUntilNextDue(),
      timeUntilNextLeaseExpiry: areLeft ? .zero : try timeUntilNextExpiry(), givenUp: givenUp,
      recovered: recovered, cancelling: try cancelling())
  }

  /// - Returns: Nil if so many jobs wait for tokens of their concurrency keys that the next claim is to go on.
  private func claimReady(_ request: ClaimRequest) throws(QudoError) -> [ClaimedJob]? {
    guard request.limit > 0 else { return [] }
    let running = try withinMaxRunning(try unpaused(try claimable(request.demands)), request.limit)
    let (kinds, rated) = try withinRates(running, request.limit)
    guard try takeKeyTokens(kinds, request.limit) else { return nil }
    let jobs = try claimReady(kinds, request.limit)
    forgetPlaces()
    try takeTokens(rated, for: jobs)
    return jobs
  }

  private func claimReady(_ kinds: [ClaimableKind], _ limit: Int) throws(QudoError) -> [ClaimedJob] {
    let token = Int64.random(in: 1...Int64.max)
    if kinds.count > 1 { return try claimBest(kinds, limit, token: token) }
    guard let kind = kinds.first else { return [] }
    return try claimReady(kind, kind.most(limit), token: token)
  }

  /// Returns the worker's kinds that the file knows.
  func claimable(_ demands: [ClaimRequest.KindDemand]) throws(QudoError) -> [ClaimableKind] {
    try connection.cache.claimable(demands) { kind throws(QudoError) in try kindTable.id(of: kind) }
  }

  func timeUntilNextDue() throws(QudoError) -> Duration? {
    var due = try min(delayedTable.firstDue(), firstPauseEnd(), jobTable.firstExpiry(after: now.wall))
    if let wait = effects.takeUntilNextToken() { due = min(due, now.wall.microseconds.clampedPlus(wait)) }
    return due == FileHints.none ? nil : .microseconds(max(0, due.clampedMinus(now.wall.microseconds)))
  }

  func timeUntilNextExpiry() throws(QudoError) -> Duration? {
    let end = try holders().reduce(try runningTable.firstOwnExpiry()) { min($0, $1.firstEnd) }
    return end == FileHints.none ? nil : .microseconds(max(0, end.clampedMinus(now.sinceBoot)))
  }
}

/// The jobs of a claim, read row by row, and the lease that they get.
struct ClaimedJobs {
  /// The lease, except for the ids.
  let lease: RunningRange
  private(set) var jobs: [ClaimedJob] = []
  /// The jobs whose unique key is free as soon as they start.
  private(set) var freesKeys: [Int64] = []

  init(_ lease: RunningRange) { self.lease = lease }

  @inline(__always)
  mutating func add(_ row: ClaimedRow, _ kind: Kind) {
    let id = row.id
    if row.freesKey { freesKeys.append(id) }
    let lease = Lease(job: id, token: lease.token, holder: lease.instance, expiresAt: lease.ends)
    jobs.append(row.job(kind, lease))
  }
}

extension Transaction {
  /// Returns the lease of a claim that begins now, for no ids yet. The first claim makes this driver an instance.
  func newLease(_ demand: ClaimRequest.KindDemand, token: Int64) throws(QudoError) -> RunningRange {
    let ends = expiry(of: demand.leaseDuration)
    return RunningRange(
      instance: try instance(), ends: ends, ids: 0...0, token: token,
      lostLimit: Int64(demand.maxExpiredLeases), started: now.wall.microseconds, lease: ends - now.sinceBoot)
  }

  /// Returns when a lease that begins now expires: before ``FileHints/none`` in any case.
  func expiry(of lease: Duration) -> Int64 {
    min(now.sinceBoot.clampedPlus(lease.wholeMicroseconds), FileHints.none - 1)
  }

  /// Files id ranges as running.
  func insertRunning(_ ranges: [ClosedRange<Int64>], _ lease: RunningRange) throws(QudoError) {
    var lease = lease
    for ids in ranges {
      lease.ids = ids
      try runningTable.insert(lease)
    }
  }

  func freeKeys(_ claimed: ClaimedJobs) throws(QudoError) {
    for id in claimed.freesKeys { try jobTable.freeKey(of: id) }
  }
}
