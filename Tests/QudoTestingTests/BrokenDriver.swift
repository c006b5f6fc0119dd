import Qudo
import QudoTesting

/// Gives each job the same id.
struct BrokenDriver: LogDriver {
  let inner: MemoryDriver

  var name: String { inner.name }
  var capabilities: Capabilities { inner.capabilities }
  var limits: Limits { inner.limits }
  var doorbell: Doorbell { inner.doorbell }

  func insert(_ jobs: [NewJob]) async throws(QudoError) -> [InsertResult] { try await inner.insert(jobs).map { _ in .inserted(1) } }
  func claim(_ request: ClaimRequest) async throws(QudoError) -> Claim { try await inner.claim(request) }
  func settle(
    _ settlements: [Settlement], claiming next: ClaimRequest?
  ) async throws(QudoError) -> (results: [SettleResult], claim: Claim?) { try await inner.settle(settlements, claiming: next) }
  func extend(_ leases: [Lease], by duration: Duration) async throws(QudoError) -> [Lease?] { try await inner.extend(leases, by: duration) }
  func promote(limit: Int) async throws(QudoError) -> Int { try await inner.promote(limit: limit) }
  func find(_ query: JobQuery) async throws(QudoError) -> [StoredJob] { try await inner.find(query) }
  func count(_ kinds: [Kind]?) async throws(QudoError) -> [JobCount] { try await inner.count(kinds) }
  func failures(_ query: LogQuery) async throws(QudoError) -> [FailureRecord] { try await inner.failures(query) }
  func statuses(_ query: LogQuery) async throws(QudoError) -> [StatusRecord] { try await inner.statuses(query) }
  func replay(_ failures: [Int64]) async throws(QudoError) -> [ReplayResult] { try await inner.replay(failures) }
  func prune(_ prune: Prune) async throws(QudoError) -> Int { try await inner.prune(prune) }
  func close() async { await inner.close() }
}
