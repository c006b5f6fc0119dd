public import Qudo

/// A driver that does what another one does, but for the verbs that it has itself.
public protocol ForwardingDriver: ControlDriver, ScheduleDriver {
  var base: any LogDriver { get }
}

extension ForwardingDriver {
  public var name: String { base.name }
  public var capabilities: Capabilities { base.capabilities }
  public var limits: Limits { base.limits }
  public var doorbell: Doorbell { base.doorbell }
  public var generation: [UInt8] { base.generation }

  public func insert(_ jobs: [NewJob]) async throws(QudoError) -> [InsertResult] {
    try await base.insert(jobs)
  }
  public func claim(_ request: ClaimRequest) async throws(QudoError) -> Claim {
    try await base.claim(request)
  }
  public func settle(
    _ settlements: [Settlement], claiming next: ClaimRequest?
  ) async throws(QudoError) -> (results: [SettleResult], claim: Claim?) {
    try await base.settle(settlements, claiming: next)
  }
  public func renew(_ leases: [Lease], for duration: Duration) async throws(QudoError) -> [Lease?] {
    try await base.renew(leases, for: duration)
  }
  public func promote(limit: Int) async throws(QudoError) -> Int { try await base.promote(limit: limit) }
  public func jobs(matching query: JobQuery) async throws(QudoError) -> [StoredJob] {
    try await base.jobs(matching: query)
  }
  public func count(_ kinds: [Kind]?) async throws(QudoError) -> [JobCount] { try await base.count(kinds) }
  public func failures(_ query: LogQuery) async throws(QudoError) -> [FailureRecord] {
    try await base.failures(query)
  }
  public func statuses(_ query: LogQuery) async throws(QudoError) -> [StatusRecord] {
    try await base.statuses(query)
  }
  public func outcomes(of jobs: [Int64]) async throws(QudoError) -> [JobOutcome] {
    try await base.outcomes(of: jobs)
  }
  public func job(withUniqueKey key: String, kind: Kind) async throws(QudoError) -> Int64? {
    try await base.job(withUniqueKey: key, kind: kind)
  }
  public func replay(_ failures: [Int64], changing change: JobChange, unique: UniqueKey?)
    async throws(QudoError) -> [ReplayResult]
  {
    try await base.replay(failures, changing: change, unique: unique)
  }
  public func resolve(_ failures: [Int64]) async throws(QudoError) -> [ResolveResult] {
    try await base.resolve(failures)
  }
  public func prune(_ prune: PruneOptions) async throws(QudoError) -> Int { try await base.prune(prune) }
  public func cancel(_ jobs: [Int64], reason: String?) async throws(QudoError) -> [CancelResult] {
    try await base.control().cancel(jobs, reason: reason)
  }
  public func cancel(matching query: JobQuery, reason: String?) async throws(QudoError) -> [CancelledJob] {
    try await base.control().cancel(matching: query, reason: reason)
  }
  public func change(_ jobs: [Int64], _ change: JobChange) async throws(QudoError) -> [ChangeResult] {
    try await base.control().change(jobs, change)
  }
  public func change(matching query: JobQuery, _ change: JobChange) async throws(QudoError) -> [ChangedJob] {
    try await base.control().change(matching: query, change)
  }
  public func recover(_ jobs: [Int64]) async throws(QudoError) -> [RecoverResult] {
    try await base.control().recover(jobs)
  }
  public func setFailureRoutes(_ routes: [FailureRoute]) async throws(QudoError) {
    try await base.control().setFailureRoutes(routes)
  }
  public func failureRoutes() async throws(QudoError) -> [FailureRoute] {
    try await base.control().failureRoutes()
  }
  public func recover(matching query: JobQuery) async throws(QudoError) -> [RecoveredJob] {
    try await base.control().recover(matching: query)
  }
  public func pause(_ kinds: [Kind]?, until end: Due?, reason: String?) async throws(QudoError) {
    try await base.control().pause(kinds, until: end, reason: reason)
  }
  public func resume(_ kinds: [Kind]?) async throws(QudoError) -> [Pause] {
    try await base.control().resume(kinds)
  }
  public func throttle(_ kind: Kind, _ rate: RateLimit, for duration: Duration) async throws(QudoError) {
    try await base.control().throttle(kind, rate, for: duration)
  }
  public func throttle(keyOf job: Int64, for duration: Duration) async throws(QudoError) -> Bool {
    try await base.control().throttle(keyOf: job, for: duration)
  }
  public func pauses() async throws(QudoError) -> [Pause] { try await base.control().pauses() }
  public func concurrencyKeys(_ query: ConcurrencyKeyQuery) async throws(QudoError) -> [ConcurrencyKeyStatus]
  {
    try await base.control().concurrencyKeys(query)
  }
  public func keyStops(_ kinds: [Kind]?, after failure: Int64, limit: Int) async throws(QudoError)
    -> [KeyStop]
  {
    try await base.control().keyStops(kinds, after: failure, limit: limit)
  }
  public func resume(keys: [String], of kind: Kind) async throws(QudoError) -> [KeyStop] {
    try await base.control().resume(keys: keys, of: kind)
  }
  public func schedules(_ names: [String]?) async throws(QudoError) -> [StoredSchedule] {
    try await base.scheduling().schedules(names)
  }
  public func dueSchedules(after name: String?, limit: Int) async throws(QudoError) -> DueSchedules {
    try await base.scheduling().dueSchedules(after: name, limit: limit)
  }
  public func store(_ schedules: [StoredSchedule]) async throws(QudoError) -> [Bool] {
    try await base.scheduling().store(schedules)
  }
  public func removeSchedules(_ names: [String]) async throws(QudoError) -> [Bool] {
    try await base.scheduling().removeSchedules(names)
  }
  public func advance(_ ticks: [ScheduleTick]) async throws(QudoError) -> [TickResult] {
    try await base.scheduling().advance(ticks)
  }
  public func close() async { await base.close() }
}
