/// Stands in for the single driver if there are several: an optional would cost an enqueue 10% in
/// instructions.
struct ClosedDriver: Driver {
  let name = ""
  let capabilities: Capabilities = []
  let limits = Limits()
  let doorbell = Doorbell()

  private var error: QudoError { QudoError(.closed, "no driver: create the queue with one") }

  func insert(_ jobs: [NewJob]) async throws(QudoError) -> [InsertResult] { throw error }
  func claim(_ request: ClaimRequest) async throws(QudoError) -> Claim { throw error }
  func settle(
    _ settlements: [Settlement], claiming next: ClaimRequest?
  ) async throws(QudoError) -> (results: [SettleResult], claim: Claim?) { throw error }
  func renew(_ leases: [Lease], for duration: Duration) async throws(QudoError) -> [Lease?] { throw error }
  func promote(limit: Int) async throws(QudoError) -> Int { throw error }
  func jobs(matching query: JobQuery) async throws(QudoError) -> [StoredJob] { throw error }
  func count(_ kinds: [Kind]?) async throws(QudoError) -> [JobCount] { throw error }
  func close() async {}
}
