#if MySQL
public import Qudo
internal import QudoSQLSupport

/// A driver that stores jobs on a MySQL (8.0 or newer) or MariaDB (10.6 or newer) server, for a fleet of
/// processes.
///
/// For example:
///
///     let driver = try MySQLDriver(
///       DatabaseURL(parsing: "mysql://qudo:secret@db1.example.org/jobs?tls=required"))
///
/// The URL accepts these options, each at most once:
///
/// | option | meaning | default |
/// |---|---|---|
/// | `name` | the database's name in job names | `host:port/database` |
/// | `password-file` | the path of a password file, read for each connection; see ``MySQLLogin`` | none |
/// | `pool` | the maximum number of connections | 4 |
/// | `connect-timeout` | the maximum time to connect | `5s` |
/// | `read-timeout`, `write-timeout` | the maximum silence of the server | `30s` |
/// | `tls=required` | refuses unencrypted connections, and verifies certificate and host name | `off` |
/// | `tls-ca` | the PEM file of the trusted authorities; implies `tls=required` | the system's |
/// | `tls-cert`, `tls-key` | the client's certificate and its key; imply `tls=required` | none |
/// | `socket` | the path of the server's socket, instead of TCP | TCP |
///
/// Write timeouts as `500ms`, `30s` or `1m30s`; the driver rounds them up to whole seconds. It throws on an
/// unknown option.
///
/// The ``name`` and an id identify a job, so all processes must use the same name. If they reach the server
/// by different host names, set the option `name`.
///
/// The server's clock decides due times and leases. If it is set forward, leases expire early, and other
/// workers run the running jobs again. If it is set back, the jobs of dead workers wait that much longer.
/// Leases survive a restart of the server, because the workers run elsewhere.
///
/// A server does not call its clients. While a worker of this process is idle, a statement of the driver
/// checks for jobs fifty times a second, on the server.
public struct MySQLDriver: Driver {
  public let name: String
  /// The random id that was created with the tables; empty before the first connection.
  public var generation: [UInt8] { pool.access.generation }
  public let limits: Limits
  public let doorbell: Doorbell
  let pool: Pool
  let logSizes = Locked(LogSizes())
  private let inserter: Inserter

  /// Creates a driver without connecting; it connects at the first call, and again after it loses a
  /// connection.
  ///
  /// The first connection to a database creates the tables, or migrates them to this version.
  ///
  /// - Parameters:
  ///   - server: The address, user, database and options.
  ///   - limits: The size limits of new jobs. A payload takes twice its length of the server's
  ///     `max_allowed_packet`.
  ///   - timeout: The maximum time that a call waits for a free connection and for locks, before it throws
  ///     `QudoError.Code.busy`. Default: 30 s.
  ///   - idempotencyKeyLifetime: The time for which an idempotency key prevents a second enqueue, up to 100
  ///     years. Default: 24 hours.
  /// - Throws: `QudoError.Code.invalidArgument` for an unknown option or an invalid value.
  public init(
    _ server: DatabaseServer, limits: Limits = Limits(), timeout: Duration = .seconds(30),
    idempotencyKeyLifetime: Duration = .seconds(86_400)
  ) throws(QudoError) {
    try self.init(
      server, limits: limits, timeout: timeout, idempotencyKeyLifetime: idempotencyKeyLifetime, clock: nil)
  }

  /// Creates a driver from a URL; see
  /// ``init(_:limits:timeout:idempotencyKeyLifetime:)-(DatabaseServer,_,_,_)``.
  ///
  /// - Throws: `QudoError.Code.invalidArgument`, for example if the URL names a file.
  public init(
    _ url: DatabaseURL, limits: Limits = Limits(), timeout: Duration = .seconds(30),
    idempotencyKeyLifetime: Duration = .seconds(86_400)
  ) throws(QudoError) {
    guard case .mysql(let server) = url.place else {
      throw QudoError(
        .invalidArgument, "\(url) does not name a database server. Use mysql://user:password@host:port/name")
    }
    try self.init(server, limits: limits, timeout: timeout, idempotencyKeyLifetime: idempotencyKeyLifetime)
  }

  /// - Parameters:
  ///   - clock: A clock that replaces the server's.
  ///   - trustsIdle: The maximum idle time of a connection before it is checked.
  ///   - idleTransactionTimeout: ``Settings/idleTransactionTimeout``; nil for its default.
  ///   - observer: Receives each statement of the verbs before it is sent.
  ///   - replacing: Returns the bytes to send instead of a statement.
  init(
    _ server: DatabaseServer, limits: Limits = Limits(), timeout: Duration = .seconds(30),
    idempotencyKeyLifetime: Duration = .seconds(86_400),
    clock: (@Sendable () -> Timestamp)?, trustsIdle: Duration = .seconds(1),
    idleTransactionTimeout: Duration? = nil,
    observer: (@Sendable (SQL) -> Void)? = nil, replacing: (@Sendable (SQL) -> [UInt8])? = nil
  ) throws(QudoError) {
    guard timeout > .zero else {
      throw QudoError(.invalidArgument, "the timeout is not above 0. Choose a longer one")
    }
    guard idempotencyKeyLifetime > .zero, idempotencyKeyLifetime <= .seconds(36_525 * 86_400) else {
      throw QudoError(
        .invalidArgument,
        "the lifetime of idempotency keys is out of range. Choose one above 0 and at most 100 years")
    }
    var settings = try Settings(server)
    if let idleTransactionTimeout { settings.idleTransactionTimeout = idleTransactionTimeout }
    name = settings.name
    self.limits = limits
    pool = Pool(
      ConnectionFactory(
        settings, timeout: timeout, receipts: idempotencyKeyLifetime, clock: clock, trustsIdle: trustsIdle,
        observer: observer, replacing: replacing))
    doorbell = pool.doorbell
    inserter = Inserter(pool)
  }

  /// Connects at once, and creates or migrates the tables.
  ///
  /// - Returns: The version and settings that the server reports.
  /// - Throws: `QudoError`, whose code says why the database is unusable.
  @discardableResult
  public func connect() async throws(QudoError) -> MySQLServerFacts {
    try await pool.transact { transaction throws(QudoError) in _ = try transaction.look("SELECT 1") }
    guard let facts = pool.access.facts else {
      throw QudoError(
        .database, "connected, but the server's facts are missing. Report this as a bug in Qudo")
    }
    return facts
  }

  /// The facts that the server reported at the last connection; nil before the first one.
  public var facts: MySQLServerFacts? { pool.access.facts }

  /// The driver's capabilities; `survivesPowerLoss` only after a connection to a server whose settings ensure
  /// it.
  ///
  /// See ``MySQLServerFacts/losesOnPowerCut``.
  public var capabilities: Capabilities {
    let always: Capabilities = [
      .durable, .multiProcess, .crossProcessWakeup, .remote, .control, .schedules, .maxRunning, .rateLimits,
      .concurrencyKeys, .groups, .keyStops, .keyRates,
    ]
    return pool.access.facts?.losesOnPowerCut.isEmpty == true ? always.union(.survivesPowerLoss) : always
  }

  public func close() async {
    await inserter.close()
    await pool.close()
  }

  public func insert(_ jobs: [NewJob]) async throws(QudoError) -> [InsertResult] {
    for job in jobs { try limits.check(job) }
    try capabilities.check(keysOf: jobs)
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
      try capabilities.check(keysOf: jobs)
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
      // Idempotent: needs no commit token.
      try transaction.commit(leavingReceipt: false)
      return extended
    }
  }

  public func promote(limit: Int) async throws(QudoError) -> Int {
    try await pool.transact { transaction throws(QudoError) in try transaction.promote(limit: limit) }
  }

  public func jobs(matching query: JobQuery) async throws(QudoError) -> [StoredJob] {
    try query.filter.check()
    return try await pool.transact { transaction throws(QudoError) in try transaction.find(query) }
  }

  public func count(_ kinds: [Kind]?) async throws(QudoError) -> [JobCount] {
    try await pool.transact { transaction throws(QudoError) in try transaction.count(kinds) }
  }
}
#endif
