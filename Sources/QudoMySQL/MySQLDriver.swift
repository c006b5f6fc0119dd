#if MySQL
public import Qudo

/// Jobs in a database of a MySQL (8.0 or newer) or MariaDB (10.6 or newer) server, for a fleet of processes.
///
///     let driver = try MySQLDriver(DatabaseURL(parsing: "mysql://qudo:secret@db1.example.org/jobs?tls=required"))
///
/// Options of the URL, each once:
///
/// | option | meaning | default |
/// |---|---|---|
/// | `name` | what jobs are named by | `host:port/database` |
/// | `password-file` | the path of a file with the password, which is read for each connection; see also ``MySQLLogin`` | none |
/// | `pool` | how many connections at most | 4 |
/// | `connect-timeout` | how long a connection may take | `5s` |
/// | `read-timeout`, `write-timeout` | how long the server may be silent | `30s` |
/// | `tls=required` | encrypted, or not at all; certificate and host name are always checked | `off` |
/// | `tls-ca` | the PEM file of the authorities that are trusted; asks for TLS | the system's |
/// | `tls-cert`, `tls-key` | the client's own certificate; ask for TLS | none |
/// | `socket` | the path of the server's socket, instead of TCP | TCP |
///
/// Time-outs are written as `500ms`, `30s` or `1m30s` and rounded up to whole seconds. An unknown option is refused.
///
/// A job is named by ``name`` and its id, so that all processes must call the database alike: give `name` where some
/// of them reach the server by another host name than others.
///
/// The clock is the server's, for due times and for leases. When it is set forward, leases end early, and jobs that are
/// running are run again by others; when it is set back, the jobs of workers that died wait so much longer. A restart of
/// the server ends no lease: the workers, which are elsewhere, go on.
///
/// A server does not call its clients. While a worker of this process has nothing to do, a statement of the driver looks fifty
/// times a second, on the server, whether there is something to claim.
public struct MySQLDriver: Driver {
  public let name: String
  /// The random id that was made with the tables; empty before the first connection.
  public var generation: [UInt8] { pool.access.generation }
  public let limits: Limits
  public let doorbell: Doorbell
  let pool: Pool
  private let inserter: Inserter

  /// Takes the settings and does not connect: that happens at the first call, and again after a connection was lost.
  ///
  /// The first connection to a database brings its tables up to this version, and makes them in an empty one.
  ///
  /// - Parameters:
  ///   - server: where the database is, as whom, and the options.
  ///   - limits: what an insert refuses. A payload takes twice its length of the server's `max_allowed_packet`.
  ///   - timeout: how long a call may wait for a free connection, and for others who hold what it needs, before it fails as
  ///     `QudoError.Code.busy`. Default 30 s.
  ///   - receipts: how long an idempotency key keeps an enqueue from being done again. Default 24 hours.
  /// - Throws: `QudoError.Code.invalidArgument` for options that are unknown or wrong.
  public init(
    _ server: DatabaseServer, limits: Limits = Limits(), timeout: Duration = .seconds(30), idempotencyKeyLifetime: Duration = .seconds(86_400)
  ) throws(QudoError) {
    try self.init(server, limits: limits, timeout: timeout, idempotencyKeyLifetime: idempotencyKeyLifetime, clock: nil)
  }

  /// As ``init(_:limits:timeout:receipts:)``, from a URL.
  ///
  /// - Throws: `QudoError.Code.invalidArgument` for a URL of a file too.
  public init(
    _ url: DatabaseURL, limits: Limits = Limits(), timeout: Duration = .seconds(30), idempotencyKeyLifetime: Duration = .seconds(86_400)
  ) throws(QudoError) {
    guard case .mysql(let server) = url.place else {
      throw QudoError(.invalidArgument, "\(url) is no database of a server: mysql://user:password@host:port/name is one")
    }
    try self.init(server, limits: limits, timeout: timeout, idempotencyKeyLifetime: idempotencyKeyLifetime)
  }

  /// - Parameters:
  ///   - clock: the wall time, instead of the server's.
  ///   - observer: hears of each statement of the verbs before it is sent.
  ///   - replacing: says what is sent instead of it.
  init(
    _ server: DatabaseServer, limits: Limits = Limits(), timeout: Duration = .seconds(30), idempotencyKeyLifetime: Duration = .seconds(86_400),
    clock: (@Sendable () -> Timestamp)?, observer: (@Sendable (SQL) -> Void)? = nil, replacing: (@Sendable (SQL) -> [UInt8])? = nil
  ) throws(QudoError) {
    guard timeout > .zero else { throw QudoError(.invalidArgument, "the time-out is not above 0") }
    guard idempotencyKeyLifetime > .zero, idempotencyKeyLifetime <= .seconds(36_525 * 86_400) else {
      throw QudoError(.invalidArgument, "receipts are kept for some time above 0 and at most 100 years")
    }
    let settings = try Settings(server)
    name = settings.name
    self.limits = limits
    pool = Pool(
      ConnectionFactory(settings, timeout: timeout, receipts: idempotencyKeyLifetime, clock: clock, observer: observer, replacing: replacing))
    doorbell = pool.doorbell
    inserter = Inserter(pool)
  }

  /// Connects at once, and makes or migrates the tables.
  ///
  /// - Returns: what the server says about itself.
  /// - Throws: `QudoError` with a code that says why the database cannot be used.
  @discardableResult
  public func connect() async throws(QudoError) -> MySQLServerFacts {
    try await pool.transact { transaction throws(QudoError) in _ = try transaction.look("SELECT 1") }
    guard let facts = pool.access.facts else { throw QudoError(.database, "the server was connected to and is not known") }
    return facts
  }

  /// What the server said about itself when it was last connected to; nil before that.
  public var facts: MySQLServerFacts? { pool.access.facts }

  /// Whether what was acknowledged survives a power cut is known once the server was connected to: see
  /// ``MySQLServerFacts/losesOnPowerCut``.
  public var capabilities: Capabilities {
    let always: Capabilities = [.durable, .multiProcess, .crossProcessWakeup, .remote]
    return pool.access.facts?.losesOnPowerCut.isEmpty == true ? always.union(.survivesPowerLoss) : always
  }

  public func close() async {
    await inserter.close()
    await pool.close()
  }

  public func insert(_ jobs: [NewJob]) async throws(QudoError) -> [InsertResult] {
    for job in jobs { try limits.check(job) }
    return try await inserter.insert(jobs)
  }

  public func claim(_ request: ClaimRequest) async throws(QudoError) -> Claim {
    try await settle([], claiming: request).claim ?? Claim()
  }

  public func settle(
    _ settlements: [Settlement], claiming next: ClaimRequest?
  ) async throws(QudoError) -> (results: [SettleResult], claim: Claim?) {
    for case .completed(let jobs) in settlements.map(\.outcome) {
      for job in jobs { try limits.check(job) }
    }
    let answer = try await pool.transact { transaction throws(QudoError) in
      try transaction.run(settling: settlements, claiming: next)
    }
    if let next, let claim = answer.claim, claim.jobs.count < next.limit {
      pool.jobWatch.missed(next.demands.lazy.filter { $0.limit != 0 }.map(\.kind))
    }
    return answer
  }

  public func renew(_ leases: [Lease], for duration: Duration) async throws(QudoError) -> [Lease?] {
    try await pool.transact { transaction throws(QudoError) in
      let extended = try transaction.renew(leases, for: duration)
      // Done twice it is done once.
      try transaction.commit(leavingReceipt: false)
      return extended
    }
  }

  public func promote(limit: Int) async throws(QudoError) -> Int {
    try await pool.transact { transaction throws(QudoError) in try transaction.promote(limit: limit) }
  }

  public func jobs(matching query: JobQuery) async throws(QudoError) -> [StoredJob] {
    try await pool.transact { transaction throws(QudoError) in try transaction.find(query) }
  }

  public func count(_ kinds: [Kind]?) async throws(QudoError) -> [JobCount] {
    try await pool.transact { transaction throws(QudoError) in try transaction.count(kinds) }
  }
}
#endif
