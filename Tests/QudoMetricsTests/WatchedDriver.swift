#if Metrics
import Qudo
import QudoTesting

/// A driver that tells what it was asked for, fails when told to, and takes its time by the clock.
struct WatchedDriver: Driver {
  let base: any Driver
  let clock: ManualClock
  let finds = Locked<[Kind]>([])
  let failures = Locked<[QudoError]>([])
  /// How long a count takes.
  var delay = Duration.zero

  var name: String { base.name }
  var capabilities: Capabilities { base.capabilities }
  var limits: Limits { base.limits }
  var doorbell: Doorbell { base.doorbell }
  var generation: [UInt8] { base.generation }

  func jobs(matching query: JobQuery) async throws(QudoError) -> [StoredJob] {
    finds.withLock { $0 += query.kinds ?? [] }
    return try await base.jobs(matching: query)
  }
  func count(_ kinds: [Kind]?) async throws(QudoError) -> [JobCount] {
    clock.advance(by: delay)
    if let error = failures.withLock({ $0.popLast() }) { throw error }
    return try await base.count(kinds)
  }

  func insert(_ jobs: [NewJob]) async throws(QudoError) -> [InsertResult] { try await base.insert(jobs) }
  func claim(_ request: ClaimRequest) async throws(QudoError) -> Claim { try await base.claim(request) }
  func settle(
    _ settlements: [Settlement], claiming next: ClaimRequest?
  ) async throws(QudoError) -> (results: [SettleResult], claim: Claim?) {
    try await base.settle(settlements, claiming: next)
  }
  func renew(_ leases: [Lease], for duration: Duration) async throws(QudoError) -> [Lease?] {
    try await base.renew(leases, for: duration)
  }
  func promote(limit: Int) async throws(QudoError) -> Int { try await base.promote(limit: limit) }
  func close() async { await base.close() }
}
#endif
