#if MySQL
internal import Qudo

/// What the connections of one driver share.
final class ConnectionFactory: Sendable {
  let settings: Settings
  let timeout: Duration
  /// How long a connection may be unused before it is checked.
  let trustsIdle: Duration
  let kinds = KindCache()
  let cursors: Locked<ScanCursors>
  private let clock: (@Sendable () -> Timestamp)?
  private let observer: (@Sendable (SQL) -> Void)?
  private let replacing: (@Sendable (SQL) -> [UInt8])?
  /// Of all connections, without those that setting them up takes.
  let roundTrips = Locked(0)
  private let known = Locked<MySQLServerFacts?>(nil)
  private let left = Locked<UInt64>(0)

  /// - Parameters:
  ///   - receipts: how long those of idempotency keys are kept.
  ///   - clock: for tests, instead of the server's.
  ///   - trustsIdle: how long a connection may be unused before it is checked.
  ///   - observer: hears of each statement of the verbs before it is sent; for tests.
  ///   - replacing: says what is sent instead; for tests.
  init(
    _ settings: Settings, timeout: Duration, receipts: Duration, clock: (@Sendable () -> Timestamp)?,
    trustsIdle: Duration, observer: (@Sendable (SQL) -> Void)? = nil,
    replacing: (@Sendable (SQL) -> [UInt8])? = nil
  ) {
    (self.observer, self.replacing) = (observer, replacing)
    lifetimes = ReceiptLifetimes(
      transactions: max(.seconds(60), (timeout + settings.readTimeout) * 2).wholeMicroseconds,
      keys: receipts.wholeMicroseconds)
    self.settings = settings
    watch = SessionWatch(settings)
    self.timeout = timeout
    self.trustsIdle = trustsIdle
    self.clock = clock
    // Where a test decides what time it is, how fast the server is decides nothing.
    cursors = Locked(clock == nil ? ScanCursors() : ScanCursors(slow: .seconds(3600)))
  }

  let lifetimes: ReceiptLifetimes
  let watch: SessionWatch

  /// As the server was when it was last connected to.
  var facts: MySQLServerFacts? { known.withLock { $0 } }

  /// How long one statement of a watch may take: a test's clock stands still meanwhile.
  var longestWatch: Duration { clock == nil ? WatchMemory.longest : .milliseconds(200) }

  var time: SQL { clock.map { "\($0().microseconds)" } ?? Transaction.serverTime }

  /// How often the connections were left. Those that were opened before the last time are not used again.
  var departures: UInt64 { left.withLock { $0 } }

  private struct Identity {
    var generation: [UInt8] = []
    /// Whether a connection has found another one.
    var isReplaced = false
  }
  private let identity = Locked(Identity())

  /// The random id of the database; empty before the first connection.
  var generation: [UInt8] { identity.withLock { $0.generation } }

  /// - Throws: `QudoError.Code.databaseReplaced` once another connection has noticed.
  func checkReplaced() throws(QudoError) {
    if identity.withLock({ $0.isReplaced }) { throw .otherGeneration }
  }

  /// After the server has said that it takes no writes: all connections are opened anew, and its name is resolved anew with that.
  func leaveServer() { left.withLock { $0 &+= 1 } }

  /// Checks that this is still the database of the driver's first connection.
  ///
  /// - Parameters:
  ///   - connection: Leads to the database.
  ///   - found: What it is; nil if that was not found.
  private func check(_ connection: Connection, _ found: DatabaseIdentity?) throws(QudoError) {
    var found = found
    // A SELECT that the server was told to stop may end as one that finds nothing.
    if found == nil { found = try Self.identity(connection) }
    guard let found else { throw .tablesMissing(nil) }
    let isReplaced = identity.withLock { identity in
      if identity.generation.isEmpty { identity.generation = found.generation }
      if identity.generation != found.generation { identity.isReplaced = true }
      return identity.isReplaced
    }
    if isReplaced { throw .otherGeneration }
  }

  private static func identity(_ connection: Connection) throws(QudoError) -> DatabaseIdentity? {
    DatabaseIdentity(try connection.run([DatabaseIdentity.read, "COMMIT"]).first?.rows)
  }

  /// Whether a connection that was not used for a while is good, and still leads to the driver's database. Costs one round trip.
  func isGood(_ connection: Connection) throws(QudoError) -> Bool {
    let (observer, replacing) = (connection.observer, connection.replacing)
    (connection.observer, connection.replacing) = (nil, nil)
    defer { (connection.observer, connection.replacing) = (observer, replacing) }
    do {
      try check(connection, Self.identity(connection))
      return connection.isSound && connection.isBetweenTransactions
    } catch  where error.code == .databaseReplaced {
      throw error
    } catch {
      // A new connection tells what it is.
      return false
    }
  }

  /// After a table was missing: all connections are opened anew, and nothing that was known of the tables is used again.
  func leaveTables() {
    leaveServer()
    kinds.invalidate()
    cursors.withLock { $0 = noCursors }
  }

  private var noCursors: ScanCursors { clock == nil ? ScanCursors() : ScanCursors(slow: .seconds(3600)) }

  /// What a server that was good before says while it is replaced, or while its users are changed, may pass.
  func passing(_ error: QudoError) -> QudoError {
    guard facts != nil, let cause = error.mysql else { return error }
    if cause.isOfDemotion {
      return QudoError(
        .unreachable,
        "the server has become read-only: if another one is the primary by now, lead the name there",
        cause: cause)
    }
    if cause.isOfRefusal {
      return QudoError(
        .unreachable, "the server refuses the user that it took before: check user and password", cause: cause
      )
    }
    if cause.isOfMissingTables { return .tablesMissing(cause) }
    return error
  }

  func connect() throws(QudoError) -> Connection {
    try checkReplaced()
    let isKnown = !generation.isEmpty
    let (connection, facts, schema) = try DatabaseOpener.connect(settings, timeout: timeout, watch: watch)
    if isKnown {
      // Tables that were there before are not made anew: a restore may be under way.
      try check(connection, DatabaseOpener.identity(schema))
    } else {
      let found = try DatabaseOpener.prepare(
        connection, timeout: timeout, found: schema, silence: settings.readTimeout)
      try check(connection, found)
    }
    // It may be another database by now, made anew.
    kinds.invalidate()
    if clock == nil, known.withLock({ $0 == nil }) { facts.warnOfClock(settings.name) }
    known.withLock { $0 = facts }
    (connection.observer, connection.replacing) = (observer, replacing)
    connection.roundTrips = roundTrips
    return connection
  }
}
#endif
