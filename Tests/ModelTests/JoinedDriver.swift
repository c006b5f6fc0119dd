import CSQLite
import Qudo
import QudoSQLite

/// A driver whose inserts are an application's own transactions, on the application's own connection.
final class JoinedDriver: LogDriver, @unchecked Sendable {  // reason: a script uses one connection after the other
  private let inner: SQLiteDriver
  private var handle: OpaquePointer?

  init(_ inner: SQLiteDriver, path: String) throws {
    self.inner = inner
    guard sqlite3_open(path, &handle) == SQLITE_OK else { throw QudoError(.cannotOpen, "no connection of the application's") }
    sqlite3_exec(handle, "PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 0", nil, nil, nil)
  }

  deinit { sqlite3_close(handle) }

  var name: String { inner.name }
  var capabilities: Capabilities { inner.capabilities }
  var limits: Limits { inner.limits }
  var doorbell: Doorbell { inner.doorbell }

  func insert(_ jobs: [NewJob]) async throws(QudoError) -> [InsertResult] { try inner.insert(jobs, in: handle) }
  func claim(_ request: ClaimRequest) async throws(QudoError) -> Claim { try await inner.claim(request) }
  func settle(
    _ settlements: [Settlement], claiming next: ClaimRequest?
  ) async throws(QudoError) -> (results: [SettleResult], claim: Claim?) { try await inner.settle(settlements, claiming: next) }
  func extend(_ leases: [Lease], by duration: Duration) async throws(QudoError) -> [Lease?] {
    try await inner.extend(leases, by: duration)
  }
  func promote(limit: Int) async throws(QudoError) -> Int { try await inner.promote(limit: limit) }
  func find(_ query: JobQuery) async throws(QudoError) -> [StoredJob] { try await inner.find(query) }
  func count(_ kinds: [Kind]?) async throws(QudoError) -> [JobCount] { try await inner.count(kinds) }
  func failures(_ query: LogQuery) async throws(QudoError) -> [FailureRecord] { try await inner.failures(query) }
  func statuses(_ query: LogQuery) async throws(QudoError) -> [StatusRecord] { try await inner.statuses(query) }
  func replay(_ failures: [Int64]) async throws(QudoError) -> [ReplayResult] { try await inner.replay(failures) }
  func prune(_ prune: Prune) async throws(QudoError) -> Int { try await inner.prune(prune) }

  func close() async {
    sqlite3_close(handle)
    handle = nil
    await inner.close()
  }
}
