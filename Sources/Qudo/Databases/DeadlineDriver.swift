/// A driver for a worker that ends each call by its deadline and updates the database's health.
///
/// The base driver runs on its own thread, so that a hanging database blocks no other thread.
struct DeadlineDriver: Driver {
  let member: DatabaseMember
  let base: any Driver
  private let thread = SerialThread("qudo.database")

  init(member: DatabaseMember, base: any Driver) { (self.member, self.base) = (member, base) }

  var name: String { base.name }
  var capabilities: Capabilities { base.capabilities }
  var limits: Limits { base.limits }
  var doorbell: Doorbell { base.doorbell }
  var generation: [UInt8] { base.generation }

  private func call<Value: Sendable>(
    isRead: Bool = false, late: (@Sendable (any Driver, Value) async -> Void)? = nil,
    _ verb: @escaping @Sendable (any Driver) async throws(QudoError) -> Value
  ) async throws(QudoError) -> Value {
    let (end, isTooLate) = member.options.clock.sinceBoot().addingReportingOverflow(
      member.options.callTimeout.wholeMicroseconds)
    return try await member.call(until: isTooLate ? .max : end, on: thread, isRead: isRead, late: late, verb)
  }

  func insert(_ jobs: [NewJob]) async throws(QudoError) -> [InsertResult] {
    try await call { driver throws(QudoError) in try await driver.insert(jobs) }
  }

  func claim(_ request: ClaimRequest) async throws(QudoError) -> Claim {
    try await call(late: { await Self.giveBack($1, $0) }) { driver throws(QudoError) in
      try await driver.claim(request)
    }
  }

  func settle(
    _ settlements: [Settlement], claiming next: ClaimRequest?
  ) async throws(QudoError) -> (results: [SettleResult], claim: Claim?) {
    try await call(late: { driver, answer in
      if let claim = answer.claim { await Self.giveBack(claim, driver) }
    }) { driver throws(QudoError) in
      try await driver.settle(settlements, claiming: next)
    }
  }

  /// Releases jobs that came after the deadline. If that fails, their leases expire.
  private static func giveBack(_ claim: Claim, _ driver: any Driver) async {
    if !claim.jobs.isEmpty { _ = try? await driver.release(claim.jobs.map(\.lease)) }
  }

  func renew(_ leases: [Lease], for duration: Duration) async throws(QudoError) -> [Lease?] {
    try await call { driver throws(QudoError) in try await driver.renew(leases, for: duration) }
  }

  func promote(limit: Int) async throws(QudoError) -> Int {
    try await call { driver throws(QudoError) in try await driver.promote(limit: limit) }
  }

  func jobs(matching query: JobQuery) async throws(QudoError) -> [StoredJob] {
    try await call(isRead: true) { driver throws(QudoError) in try await driver.jobs(matching: query) }
  }

  func count(_ kinds: [Kind]?) async throws(QudoError) -> [JobCount] {
    try await call(isRead: true) { driver throws(QudoError) in try await driver.count(kinds) }
  }

  /// Stores where final failures go; nil if the base driver cannot.
  var routing: (@Sendable ([FailureRoute]) async throws(QudoError) -> Void)? {
    guard base is any ControlDriver else { return nil }
    return { routes throws(QudoError) in
      try await call { driver throws(QudoError) in
        try await (driver as? any ControlDriver)?.setFailureRoutes(routes)
      }
    }
  }

  /// Prunes the logs of a driver that has them.
  func prune(_ options: PruneOptions) async throws(QudoError) -> Int {
    // As a read: rows that may or may not have been deleted matter to no caller.
    try await call(isRead: true) { driver throws(QudoError) in try await driver.logs().prune(options) }
  }

  func close() async { await base.close() }
}
