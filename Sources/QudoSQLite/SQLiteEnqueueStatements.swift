public import Qudo

/// The driver of a queue that only makes `Queue.statements(for:)`, for a file that another copy of SQLite has open in
/// this process: it opens nothing, and each of its verbs throws `QudoError.Code.closed`.
public struct SQLiteEnqueueStatements: Driver {
  public let name: String
  public let limits: Limits
  public let doorbell = Doorbell()
  public let capabilities: Capabilities = []
  let clock: any QueueClock

  /// - Parameters:
  ///   - name: what the file's jobs are named by, for messages only.
  ///   - limits: what is refused. Give those of the file's drivers.
  ///   - clock: what due times go by. Default: the machine's.
  public init(name: String = "unopened", limits: Limits = Limits(), clock: any QueueClock = SystemClock()) {
    self.name = name
    self.limits = limits
    self.clock = clock
  }

  private var refusal: QudoError {
    QudoError(.closed, "this driver opens no file: execute what the queue's statements(for:) gives, or use a SQLiteDriver")
  }

  public func insert(_ jobs: [NewJob]) async throws(QudoError) -> [InsertResult] { throw refusal }
  public func claim(_ request: ClaimRequest) async throws(QudoError) -> Claim { throw refusal }
  public func settle(
    _ settlements: [Settlement], claiming next: ClaimRequest?
  ) async throws(QudoError) -> (results: [SettleResult], claim: Claim?) { throw refusal }
  public func renew(_ leases: [Lease], for duration: Duration) async throws(QudoError) -> [Lease?] { throw refusal }
  public func promote(limit: Int) async throws(QudoError) -> Int { throw refusal }
  public func jobs(matching query: JobQuery) async throws(QudoError) -> [StoredJob] { throw refusal }
  public func count(_ kinds: [Kind]?) async throws(QudoError) -> [JobCount] { throw refusal }
  public func close() async {}
}
