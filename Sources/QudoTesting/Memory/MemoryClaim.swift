internal import Qudo

extension MemoryDatabase {
  /// The maximum number of delayed jobs that become ready in one claim.
  private static let sweep = 1000

  mutating func claim(_ request: ClaimRequest, now: ClockReading) -> Claim {
    let (givenUp, recovered) = takeBackEnded(now)
    let expired = expireWaiting(now)
    let areAhead = restartDelays(limit: Self.sweep, now)
    _ = promote(limit: Self.sweep, now: now)
    var claimed: [ClaimedJob] = []
    lastToken += 1
    let chosen = withTokens(request, now)
    for (turn, demand) in chosen ?? [] {
      if let row = jobs[turn.id] { claimed.append(take(row, demand, now: now)) }
    }
    let untilToken = chosen == nil ? nil : takeTokens(request, for: claimed, now)
    let due = [nextDue(now), untilToken].compactMap(\.self).min()
    return Claim(
      jobs: claimed, timeUntilNextDue: areAhead || chosen == nil ? .zero : due,
      timeUntilNextLeaseExpiry: nextLeaseEnd(now), givenUp: givenUp + expired, recovered: recovered,
      cancelling: cancelling())
  }

  // MARK: Rates of concurrency keys

  /// Returns the jobs that the claim takes, and takes the tokens of those whose concurrency key has a rate. Those that find no token are
  /// delayed until one is due for them, and others are chosen in their place.
  ///
  /// - Returns: Nil if so many were delayed that the rest is left to the next claim.
  private mutating func withTokens(_ request: ClaimRequest, _ now: ClockReading)
    -> [(Turn, ClaimRequest.KindDemand)]?
  {
    var moved = 0
    while moved < Self.sweep {
      let chosen = candidates(request, now)
      var keys: [KeyOfKind: RatedKey] = [:]
      var late: [Row] = []
      for row in chosen.compactMap({ jobs[$0.0.id] }) {
        guard let key = row.key, let rate = keyRules[key]?.rate else { continue }
        var rated = keys[key] ?? RatedKey(rate, keyBuckets[key] ?? RateBucket(), now: now.wall)
        if !rated.take() { late.append(row) }
        keys[key] = rated
      }
      for key in keys.keys { keys[key]?.takeTokens() }
      for row in late {
        guard let key = row.key, let token = keys[key]?.nextToken else { continue }
        postpone(row, until: Timestamp(microseconds: token), now)
      }
      for (key, rated) in keys {
        if late.isEmpty {
          if rated.taken > 0 || rated.isAhead { keyBuckets[key] = rated.bucket }
        } else if rated.isAhead {
          keyBuckets[key] = rated.before
        }
      }
      if late.isEmpty { return chosen }
      moved += late.count
    }
    return nil
  }

  /// Delays a ready job. It keeps its place in its key, its attempt and its expired leases.
  private mutating func postpone(_ row: Row, until due: Timestamp, _ now: ClockReading) {
    var row = row
    (row.due, row.delayed) = (due, now.wall)
    hasAdmitted = true
    wait(row, now: now)
  }

  /// Lets no job begin of the key of a job, if it has a rate.
  mutating func throttle(keyOf job: Int64, for duration: Duration, now: ClockReading) -> Bool {
    guard let key = jobs[job]?.key, let rate = keyRules[key]?.rate else { return false }
    keyBuckets[key, default: RateBucket()].throttle(
      rate, for: duration, now: now.wall.microseconds)
    return true
  }

  private mutating func candidates(_ request: ClaimRequest, _ now: ClockReading)
    -> [(Turn, ClaimRequest.KindDemand)]
  {
    guard request.limit > 0 else { return [] }
    var all: [(turn: Turn, demand: ClaimRequest.KindDemand)] = []
    for demand in request.demands where !isPaused(demand.kind, now) {
      var ready: [Turn] = []
      var running = 0
      for row in jobs.values where row.kind == demand.kind {
        if case .ready = row.place { ready.append(row.turn) }
        if row.isRunning { running += 1 }
      }
      let wanted = demand.limit ?? request.limit
      let left = demand.maxRunning.map { max(0, $0) - running } ?? .max
      if left < min(wanted, request.limit) { isAtMaxRunning = true }
      let tokens = tokens(demand, now) ?? .max
      all += ready.sorted().prefix(max(0, min(wanted, left, tokens))).map { ($0, demand) }
    }
    return Array(all.sorted { $0.turn < $1.turn }.prefix(request.limit))
  }

  /// Returns how many jobs of a kind its rate lets begin; nil without a rate.
  private func tokens(_ demand: ClaimRequest.KindDemand, _ now: ClockReading) -> Int? {
    demand.rate.map { (buckets[demand.kind] ?? RateBucket()).tokens($0, now: now.wall.microseconds) }
  }

  /// Takes the tokens of claimed jobs.
  ///
  /// - Returns: The time until a rate lets the next job begin, if one held up jobs that the claim wanted.
  private mutating func takeTokens(_ request: ClaimRequest, for claimed: [ClaimedJob], _ now: ClockReading)
    -> Duration?
  {
    var waits: [Int64] = []
    for demand in request.demands where request.limit > 0 && !isPaused(demand.kind, now) {
      guard let rate = demand.rate, let tokens = tokens(demand, now) else { continue }
      let count = claimed.count { $0.kind == demand.kind }
      let running = jobs.values.count { $0.kind == demand.kind && $0.isRunning }
      let left = demand.maxRunning.map { max(0, max(0, $0) - running + count) } ?? .max
      let wanted = min(demand.limit ?? request.limit, request.limit, left)
      // A kind at its maximum of running jobs waits for one of them, and not for a token.
      guard wanted > 0 else { continue }
      var bucket = buckets[demand.kind] ?? RateBucket()
      if count > 0 || bucket.isAhead(of: rate, now: now.wall.microseconds) {
        bucket.take(count, rate, now: now.wall.microseconds)
      }
      buckets[demand.kind] = bucket
      guard tokens < wanted, count == tokens else { continue }
      if let wait = bucket.wait(rate, now: now.wall.microseconds) { waits.append(wait) }
    }
    return waits.min().map { .microseconds($0) }
  }

  mutating func throttle(_ kind: Kind, _ rate: RateLimit, for duration: Duration, now: ClockReading) {
    buckets[kind, default: RateBucket()].throttle(rate, for: duration, now: now.wall.microseconds)
  }

  /// Returns ``isAtMaxRunning``, and forgets it.
  mutating func takeAtMaxRunning() -> Bool {
    defer { isAtMaxRunning = false }
    return isAtMaxRunning
  }

  private mutating func take(_ row: Row, _ demand: ClaimRequest.KindDemand, now: ClockReading) -> ClaimedJob {
    var row = row
    let lease = Lease(
      job: row.id, token: lastToken, holder: holder(), expiresAt: end(of: demand.leaseDuration, now))
    row.claimed = now.wall
    row.place = .running(lease, lostLimit: demand.maxExpiredLeases, boot: now.boot)
    if row.unique?.scope == .untilStarted { row.holdsKey = false }
    jobs[row.id] = row
    return ClaimedJob(
      lease: lease, kind: row.kind, payload: row.payload, priority: row.priority, uniqueKey: row.unique?.key,
      attempt: row.attempt, enqueuedAt: row.enqueued, dueAt: row.due, metadata: row.meta)
  }

  func end(of duration: Duration, _ now: ClockReading) -> Int64 {
    let (sum, overflow) = now.sinceBoot.addingReportingOverflow(duration.wholeMicroseconds)
    return overflow ? .max - 1 : min(sum, .max - 1)
  }

  func hasEnded(_ lease: Lease, boot: String, _ now: ClockReading) -> Bool {
    boot != now.boot || deadHolders.contains(lease.holder) || lease.expiresAt <= now.sinceBoot
  }

  /// Recovers jobs whose lease expired or whose holder is dead. They keep their place among the ready jobs,
  /// or end as lost. The order is by holder, then by lease expiry.
  ///
  /// - Returns: the jobs given up, and the number of jobs recovered.
  private mutating func takeBackEnded(_ now: ClockReading) -> (givenUp: [GivenUpJob], recovered: Int) {
    var givenUp: [GivenUpJob] = []
    var recovered = 0
    var ended: [(lease: Lease, limit: Int)] = []
    for row in jobs.values {
      if case .running(let lease, let limit, let boot) = row.place, hasEnded(lease, boot: boot, now) {
        ended.append((lease, limit))
      }
    }
    ended.sort {
      ($0.lease.holder, $0.lease.expiresAt, $0.lease.job) < (
        $1.lease.holder, $1.lease.expiresAt, $1.lease.job
      )
    }
    for (lease, limit) in ended {
      guard var row = jobs[lease.job] else { continue }
      guard row.cancelReason == nil else {
        end(cancelled: row, now: now)
        continue
      }
      row.lost += 1
      row.place = .ready
      jobs[row.id] = row
      guard row.lost >= limit else {
        recovered += 1
        continue
      }
      fail(row, .lost, "the lease was lost \(row.lost) times: the worker died or hung each time", now: now)
      givenUp.append(
        GivenUpJob(
          id: row.id, kind: row.kind, attempt: row.attempt, expiredLeases: row.lost,
          uniqueKey: row.unique?.key))
    }
    return (givenUp, recovered)
  }

  /// Moves the waiting jobs whose expiry has passed to the failure log, in the order of their ids.
  private mutating func expireWaiting(_ now: ClockReading) -> [GivenUpJob] {
    let expired = jobs.values.filter { row in
      !row.isRunning && row.expires.map { $0 <= now.wall } ?? false
    }
    return expired.sorted { $0.id < $1.id }.map { row in
      // An expiry before it may have admitted it.
      let row = jobs[row.id] ?? row
      log(row, .expired, "the job still waited at its expiry", isFinal: true, now: now)
      leave(row, now: now)
      return GivenUpJob(
        id: row.id, kind: row.kind, reason: .expired, attempt: row.attempt, expiredLeases: row.lost,
        uniqueKey: row.unique?.key)
    }
  }

  /// Restarts relative delays that began later than now, because the wall clock was set back since.
  ///
  /// - Returns: true if some may be left.
  mutating func restartDelays(limit: Int, _ now: ClockReading) -> Bool {
    guard knowsDelays else { return false }
    var ahead: [(delayed: Timestamp, due: Timestamp, id: Int64)] = []
    for row in jobs.values {
      if case .delayed = row.place, let delayed = row.delayed, delayed > now.wall {
        ahead.append((delayed, row.due, row.id))
      }
    }
    ahead.sort { $0 > $1 }
    for (delayed, due, id) in ahead.prefix(limit) {
      jobs[id]?.due = now.wall.advanced(by: .microseconds(due.microseconds - delayed.microseconds))
      jobs[id]?.delayed = now.wall
    }
    return ahead.count >= limit
  }

  /// Makes due delayed jobs ready, earliest first.
  mutating func promote(limit: Int, now: ClockReading) -> Int {
    var due: [(time: Timestamp, id: Int64)] = []
    for row in jobs.values where row.due <= now.wall {
      if case .delayed = row.place { due.append((row.due, row.id)) }
    }
    let promoted = due.sorted(by: <).prefix(max(0, limit))
    for (_, id) in promoted {
      guard let row = jobs[id] else { continue }
      wait(row, now: now)
    }
    return promoted.count
  }

  /// - Parameter countingRunning: Whether expiries of running jobs count, which do not expire.
  func nextDue(_ now: ClockReading, countingRunning: Bool = true) -> Duration? {
    let due = jobs.values.compactMap { row -> Int64? in
      if case .delayed = row.place { row.due.microseconds } else { nil }
    }
    // Those that have passed and are left are of running jobs.
    let expiries = jobs.values.compactMap { row -> Int64? in
      if !countingRunning, case .running = row.place { nil } else { row.expires?.microseconds }
    }.filter { $0 > now.wall.microseconds }
    // The end of a pause makes jobs claimable, too.
    let next = (due + expiries + pauses(now).compactMap(\.endsAt?.microseconds)).min()
    return next.map { .microseconds(max(0, $0 - now.wall.microseconds)) }
  }

  private func nextLeaseEnd(_ now: ClockReading) -> Duration? {
    let next = jobs.values.compactMap { row -> Int64? in
      if case .running(let lease, _, _) = row.place { lease.expiresAt } else { nil }
    }.min()
    return next.map { .microseconds(max(0, $0 - now.sinceBoot)) }
  }
}
