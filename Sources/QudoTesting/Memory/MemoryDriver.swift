public import Qudo

/// A driver for tests that keeps jobs in memory. It is the reference model, which keeps every driver's
/// promises in the simplest way.
///
/// It has all verbs. Its jobs disappear with it: it has no capability that needs a disk or several processes. Copies
/// share their jobs.
public struct MemoryDriver: ControlDriver, TransactionalDriver {
  private struct State {
    var database = MemoryDatabase()
    var isClosed = false
    /// The number of drivers that share the database.
    var drivers = 1
  }

  public let name: String
  public let capabilities: Capabilities = [
    .monotonicLeases, .control, .schedules, .maxRunning, .rateLimits, .concurrencyKeys, .groups, .keyStops,
    .keyRates,
  ]
  public let limits: Limits
  public let doorbell = Doorbell()
  public let generation = IdempotencyKey().bytes
  private let clock: any QueueClock
  private let state: Locked<State>
  /// The index of this driver among those that share the database. Closing the first one closes the database
  /// for all.
  private let index: Int

  /// Creates an empty database. Most tests pass a ``ManualClock``; the default is the machine's clock.
  public init(name: String = "memory", limits: Limits = Limits(), clock: any QueueClock = SystemClock()) {
    self.name = name
    self.limits = limits
    self.clock = clock
    state = Locked(State())
    index = 0
  }

  /// Creates a model of a server, whose own clock decides when jobs are due.
  package static func server(limits: Limits, clock: any QueueClock) -> MemoryDriver {
    let driver = MemoryDriver(limits: limits, clock: clock)
    driver.state.withLock { $0.database.knowsDelays = false }
    return driver
  }

  /// Creates another driver of the same jobs, like another process. Closing it makes its running jobs
  /// recoverable at once.
  package init(sharing other: MemoryDriver) {
    (name, limits, clock, state) = (other.name, other.limits, other.clock, other.state)
    index = state.withLock { state in
      defer { state.drivers += 1 }
      return state.drivers
    }
  }

  public func insert(_ jobs: [NewJob]) async throws(QudoError) -> [InsertResult] { try store(jobs) }

  /// Stores jobs at once. A database in memory has no connection to join, so rolling back the application's
  /// transaction has no effect.
  public func insert(_ jobs: [NewJob], in connection: OpaquePointer?) throws(QudoError) -> [InsertResult] {
    try store(jobs)
  }

  private func store(_ jobs: [NewJob]) throws(QudoError) -> [InsertResult] {
    for job in jobs { try limits.check(job) }
    let bounds = try MaxWaiting.bounds(of: jobs)
    let results = try verb { database, now throws(QudoError) in
      try database.insert(jobs, bounds, now: now)
    }
    if results.contains(where: \.mayBeClaimed) { doorbell.ring() }
    return results
  }

  public func claim(_ request: ClaimRequest) async throws(QudoError) -> Claim {
    let claim = try verb { $0.claim(request, now: $1) }
    // A final failure may have enqueued another job.
    if !claim.givenUp.isEmpty { doorbell.ring() }
    return claim
  }

  public func settle(
    _ settlements: [Settlement], claiming next: ClaimRequest?
  ) async throws(QudoError) -> (results: [SettleResult], claim: Claim?) {
    for case .completed(let jobs) in settlements.map(\.outcome) {
      for job in jobs { try limits.check(job) }
    }
    var wasAtMaxRunning = false
    let answer = try verb { database, now in
      if !settlements.isEmpty { wasAtMaxRunning = database.takeAtMaxRunning() }
      return (
        results: database.settle(settlements, now: now), claim: next.map { database.claim($0, now: now) }
      )
    }
    if wasAtMaxRunning
      || zip(settlements, answer.results).contains(where: { $1.mayBeClaimed(after: $0.outcome) })
      || answer.claim?.givenUp.isEmpty == false
    {
      doorbell.ring()
    }
    return answer
  }

  public func renew(_ leases: [Lease], for duration: Duration) async throws(QudoError) -> [Lease?] {
    try verb { $0.renew(leases, for: duration, now: $1) }
  }

  public func promote(limit: Int) async throws(QudoError) -> Int {
    try verb { database, now in
      if limit > 0 { _ = database.restartDelays(limit: limit, now) }
      return database.promote(limit: limit, now: now)
    }
  }

  public func jobs(matching query: JobQuery) async throws(QudoError) -> [StoredJob] {
    try query.filter.check()
    return try verb { $0.find(query, now: $1) }
  }

  public func count(_ kinds: [Kind]?) async throws(QudoError) -> [JobCount] {
    try verb { $0.count(kinds, now: $1) }
  }

  public func failures(_ query: LogQuery) async throws(QudoError) -> [FailureRecord] {
    try query.failures?.check()
    return try verb { database, _ in
      database.listedFailures.filter { query.failures?.fits($0) ?? true }.select(query).map { row in
        var row = row
        if query.omitsPayloads { row.payload = nil }
        return row
      }
    }
  }

  public func statuses(_ query: LogQuery) async throws(QudoError) -> [StatusRecord] {
    try verb { database, _ in database.statuses.select(query) }
  }

  public func outcomes(of jobs: [Int64]) async throws(QudoError) -> [JobOutcome] {
    try verb { $0.outcomes(of: jobs, now: $1) }
  }

  public func job(withUniqueKey key: String, kind: Kind) async throws(QudoError) -> Int64? {
    try verb { database, _ in database.job(withUniqueKey: key, kind: kind) }
  }

  public func resolve(_ failures: [Int64]) async throws(QudoError) -> [ResolveResult] {
    try verb { database, now in failures.map { database.resolve($0, now: now) } }
  }

  public func replay(_ failures: [Int64], changing change: JobChange, unique: UniqueKey?)
    async throws(QudoError) -> [ReplayResult]
  {
    let limits = limits
    let results = try verb { database, now throws(QudoError) in
      try database.replay(failures, change, unique, limits: limits, now: now)
    }
    if results.contains(where: { if case .replayed = $0 { true } else { false } }) { doorbell.ring() }
    return results
  }

  public func cancel(_ jobs: [Int64], reason: String?) async throws(QudoError) -> [CancelResult] {
    try check(reason: reason)
    let results = try verb { $0.cancel(jobs, reason: reason, now: $1) }
    if results.contains(.cancelling) { doorbell.ring() }
    return results
  }

  public func cancel(matching query: JobQuery, reason: String?) async throws(QudoError) -> [CancelledJob] {
    try check(reason: reason)
    try query.filter.check()
    let jobs = try verb { $0.cancel(matching: query, reason: reason, now: $1) }
    if jobs.contains(where: { $0.result == .cancelling }) { doorbell.ring() }
    return jobs
  }

  public func change(_ jobs: [Int64], _ change: JobChange) async throws(QudoError) -> [ChangeResult] {
    try check(change)
    let limits = limits
    let results = try verb { database, now throws(QudoError) in
      try database.change(jobs, change, limits: limits, now: now)
    }
    if results.contains(.changed) { doorbell.ring() }
    return results
  }

  public func change(matching query: JobQuery, _ change: JobChange) async throws(QudoError) -> [ChangedJob] {
    try check(change)
    try query.filter.check()
    let limits = limits
    let jobs = try verb { database, now throws(QudoError) in
      let ids = database.find(query, now: now).map(\.id)
      let results = try database.change(ids, change, limits: limits, now: now)
      return zip(ids, results).map { ChangedJob(id: $0, result: $1) }
    }
    if jobs.contains(where: { $0.result == .changed }) { doorbell.ring() }
    return jobs
  }

  public func recover(_ jobs: [Int64]) async throws(QudoError) -> [RecoverResult] {
    let results = try verb { $0.recover(jobs, now: $1) }
    if results.contains(.recovered) { doorbell.ring() }
    return results
  }

  public func setFailureRoutes(_ routes: [FailureRoute]) async throws(QudoError) {
    for route in routes { try route.check() }
    try verb { database, _ in database.setRoutes(routes) }
  }

  public func failureRoutes() async throws(QudoError) -> [FailureRoute] {
    try verb { database, _ in database.failureRoutes() }
  }

  public func recover(matching query: JobQuery) async throws(QudoError) -> [RecoveredJob] {
    try query.filter.check()
    let query = running(query)
    let jobs = try verb { database, now in
      let ids = database.find(query, now: now).map(\.id)
      return zip(ids, database.recover(ids, now: now)).map { RecoveredJob(id: $0, result: $1) }
    }
    if jobs.contains(where: { $0.result == .recovered }) { doorbell.ring() }
    return jobs
  }

  public func pause(_ kinds: [Kind]?, until end: Due?, reason: String?) async throws(QudoError) {
    try checkPause(kinds, until: end, reason: reason, now: clock.now().wall)
    try verb { $0.pause(kinds, until: end, reason: reason, now: $1) }
    doorbell.ring()
  }

  public func resume(_ kinds: [Kind]?) async throws(QudoError) -> [Pause] {
    let ended = try verb { $0.resume(kinds, now: $1) }
    if !ended.isEmpty { doorbell.ring() }
    return ended
  }

  public func keyStops(_ kinds: [Kind]?, after failure: Int64, limit: Int) async throws(QudoError)
    -> [KeyStop]
  {
    try verb { database, _ in
      let stops = database.keyStops.map(\.stop).filter { $0.failure > failure }
      return Array(stops.filter { kinds?.contains($0.kind) ?? true }.prefix(max(0, limit)))
    }
  }

  public func concurrencyKeys(_ query: ConcurrencyKeyQuery) async throws(QudoError) -> [ConcurrencyKeyStatus]
  {
    try verb { database, now in
      let found = database.keysInUse.filter { key in
        (query.kinds?.contains(key.kind) ?? true)
          && (query.keys?.contains { $0.utf8.elementsEqual(key.bytes) } ?? true)
          && query.after.map { MemoryDatabase.KeyOfKind($0.kind, $0.key) < key } ?? true
      }
      return found.sorted().prefix(max(0, query.limit)).map { database.status(of: $0, now: now) }
    }
  }

  public func resume(keys: [String], of kind: Kind) async throws(QudoError) -> [KeyStop] {
    try checkResume(keys, of: kind)
    return try verb { $0.resume(keys: keys, of: kind, now: $1) }
  }

  public func throttle(_ kind: Kind, _ rate: RateLimit, for duration: Duration) async throws(QudoError) {
    try checkThrottle(kind, rate, for: duration)
    try verb { $0.throttle(kind, rate, for: duration, now: $1) }
  }

  public func throttle(keyOf job: Int64, for duration: Duration) async throws(QudoError) -> Bool {
    try checkThrottle(for: duration)
    return try verb { $0.throttle(keyOf: job, for: duration, now: $1) }
  }

  public func pauses() async throws(QudoError) -> [Pause] { try verb { $0.pauses($1) } }

  public func prune(_ prune: PruneOptions) async throws(QudoError) -> Int {
    try verb { database, now in database.prune(prune, now: now.wall) }
  }

  public func close() async {
    state.withLock { state in
      guard index != 0 else { return state.isClosed = true }
      state.database.caller = index
      state.database.loseHolder()
    }
  }

  /// Runs a verb atomically, at one point in time.
  func verb<Result: Sendable>(
    _ body: (inout MemoryDatabase, ClockReading) throws(QudoError) -> Result
  ) throws(QudoError) -> Result {
    let (result, hasAdmitted) = try state.withLock { state throws(QudoError) -> (Result, Bool) in
      guard !state.isClosed else { throw QudoError(.closed, "the database was closed") }
      state.database.caller = index
      state.database.hasAdmitted = false
      let result = try body(&state.database, clock.now())
      return (result, state.database.hasAdmitted)
    }
    if hasAdmitted { doorbell.ring() }
    return result
  }
}

extension MemoryDriver {
  /// ``Claim/timeUntilNextDue`` without the expiries of running jobs.
  func timeUntilNextDueOfWaiting() throws(QudoError) -> Duration? {
    try verb { $0.nextDue($1, countingRunning: false) }
  }
}

extension InsertResult {
  var mayBeClaimed: Bool {
    switch self {
    case .inserted, .overwritten: true
    case .existing, .conflict: false
    }
  }
}

extension SettleResult {
  fileprivate func mayBeClaimed(after outcome: Settlement.Outcome) -> Bool {
    guard case .settled(let replacements) = self else { return false }
    return switch outcome {
    // A final failure may have enqueued another job.
    case .retry, .snoozed, .released, .failed, .aborted: true
    case .completed: replacements.contains(where: \.mayBeClaimed)
    }
  }
}
