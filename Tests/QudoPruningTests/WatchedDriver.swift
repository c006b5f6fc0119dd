import ForwardingDriver
import Qudo

/// A driver that tells of each prune, and fails it when told to.
struct WatchedDriver: ForwardingDriver {
  let base: any LogDriver
  /// What each prune deleted; -1 for one that failed.
  let prunes = AsyncStream<Int>.makeStream()
  let failures = Locked<[QudoError]>([])
  /// Each prune says that it has deleted so many, and deletes nothing.
  var pretended: Int?

  func prune(_ prune: PruneOptions) async throws(QudoError) -> Int {
    if let error = failures.withLock({ $0.popLast() }) {
      prunes.continuation.yield(-1)
      throw error
    }
    let count = if let pretended { pretended } else { try await base.prune(prune) }
    prunes.continuation.yield(count)
    return count
  }
}

/// A driver without logs.
struct PlainDriver: Driver {
  let base: any Driver

  var name: String { base.name }
  var capabilities: Capabilities { base.capabilities }
  var limits: Limits { base.limits }
  var doorbell: Doorbell { base.doorbell }
  var generation: [UInt8] { base.generation }

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
  func jobs(matching query: JobQuery) async throws(QudoError) -> [StoredJob] {
    try await base.jobs(matching: query)
  }
  func count(_ kinds: [Kind]?) async throws(QudoError) -> [JobCount] { try await base.count(kinds) }
  func close() async { await base.close() }
}
