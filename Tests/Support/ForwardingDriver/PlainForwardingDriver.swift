public import Qudo

/// A driver without logs and control verbs that does what another one does, but for the verbs that it has itself.
public protocol PlainForwardingDriver: Driver {
  var base: any Driver { get }
}

extension PlainForwardingDriver {
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
  public func close() async { await base.close() }
}
