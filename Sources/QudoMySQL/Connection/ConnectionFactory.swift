#if MySQL
internal import Qudo

/// The state shared by all connections of one driver, and the code that opens them.
final class ConnectionFactory: Sendable {
  let settings: Settings
  let timeout: Duration
  /// The maximum idle time of a connection before it is checked.
  let trustsIdle: Duration
  let kinds = KindCache()
  let cursors: Locked<ScanCursors>
  private let clock: (@Sendable () -> Timestamp)?
  private let observer: (@Sendable (SQL) -> Void)?
  private let replacing: (@Sendable (SQL) -> [UInt8])?
  /// The round trips of all connections, except those that set connections up.
  let roundTrips = Locked(0)
  private let known = Locked<MySQLServerFacts?>(nil)
  private let left = Locked<UInt64>(0)

  /// - Parameters:
  ///   - receipts: The lifetime of idempotency keys.
  ///   - clock: A clock that replaces the server's, for tests.
  ///   - trustsIdle: The maximum idle time of a connection before it is checked.
  ///   - observer: Receives each statement of the verbs before it is sent; for tests.
  ///   - replacing: Returns the bytes to send instead of a statement; for tests.
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
    cursors = Locked(clock == nil ? ScanCursors() : .forTests)
  }

  let lifetimes: ReceiptLifetimes
  let watch: SessionWatch

  /// The server's facts at the last connection.
  var facts: MySQLServerFacts? { known.withLock { $0 } }

  /// The maximum duration of a watch's statement. It is short with a test's clock, which stands still during
  /// a statement.
  var longestWatch: Duration { clock == nil ? WatchMemory.longest : .milliseconds(200) }

  var time: SQL { clock.map { "\($0().microseconds)" } ?? Transaction.serverTime }

  /// How often all connections were invalidated. A connection opened before the last time is not used again.
  var departures: UInt64 { left.withLock { $0 } }

  private struct Identity {
    var generation: [UInt8] = []
    /// ``DatabaseIdentity/created`` of the tables that the last connection found.
    var created: String?
    /// Whether a connection has found another generation.
    var isReplaced = false
  }
  private let identity = Locked(Identity())

  /// The random id of the database; empty before the first connection.
  var generation: [UInt8] { identity.withLock { $0.generation } }

  /// - Throws: `QudoError.Code.databaseReplaced` if a connection has found another generation.
  func checkReplaced() throws(QudoError) {
    if identity.withLock({ $0.isReplaced }) { throw .otherGeneration }
  }

  /// Invalidates all connections, after the server reported that it accepts no writes. The new connections
  /// resolve the server's host name again.
  func leaveServer() { left.withLock { $0 &+= 1 } }

  /// Checks that a connection leads to the database of the driver's first connection.
  ///
  /// - Parameters:
  ///   - connection: A connection to the database.
  ///   - found: The database's identity; nil if it was not found.
  private func check(_ connection: Connection, _ found: DatabaseIdentity?) throws(QudoError) {
    var found = found
    // A SELECT that the server was told to stop may return no rows.
    if found == nil { found = try Self.identity(connection) }
    guard let found else { throw .tablesMissing(nil) }
    let (isReplaced, isRestored) = identity.withLock { identity in
      let isRestored = !identity.generation.isEmpty && identity.created != found.created
      identity.created = found.created
      if identity.generation.isEmpty { identity.generation = found.generation }
      if identity.generation != found.generation { identity.isReplaced = true }
      return (identity.isReplaced, isRestored)
    }
    if isReplaced { throw .otherGeneration }
    // The tables come from a dump, and may have given the numbers of kinds to others since.
    if isRestored { forgetTables() }
  }

  private static func identity(_ connection: Connection) throws(QudoError) -> DatabaseIdentity? {
    DatabaseIdentity(try connection.run([DatabaseIdentity.read, "COMMIT"]).first?.rows)
  }

  /// Checks whether an idle connection works, and still leads to the driver's database. This takes one round
  /// trip.
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
      // A new connection reports the cause.
      return false
    }
  }

  /// Invalidates all connections and everything known about the tables, after a table was missing.
  func leaveTables() {
    leaveServer()
    forgetTables()
  }

  /// Discards everything known about the tables.
  private func forgetTables() {
    kinds.invalidate()
    cursors.withLock { $0 = noCursors }
  }

  private var noCursors: ScanCursors { clock == nil ? ScanCursors() : .forTests }

  /// Maps transient errors to `unreachable`: a server that worked before reports them while it is replaced,
  /// or while its users are changed.
  func passing(_ error: QudoError) -> QudoError {
    guard facts != nil, let cause = error.mysql else { return error }
    if cause.isOfDemotion {
      return QudoError(
        .unreachable,
        "the server has become read-only: if another server is the primary now, point the host name there",
        cause: cause)
    }
    if cause.isOfRefusal {
      return QudoError(
        .unreachable, "the server refuses the user that it accepted before: check user and password",
        cause: cause
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
      // Do not create tables again that existed before: a restore may be in progress.
      try check(connection, DatabaseOpener.identity(schema))
    } else {
      let found = try DatabaseOpener.prepare(
        connection, timeout: timeout, found: schema, silence: settings.readTimeout)
      try check(connection, found)
    }
    // Another process may have dropped and recreated the database in the meantime.
    kinds.invalidate()
    if clock == nil, known.withLock({ $0 == nil }) { facts.warnOfClock(settings.name) }
    known.withLock { $0 = facts }
    (connection.observer, connection.replacing) = (observer, replacing)
    connection.roundTrips = roundTrips
    return connection
  }
}
#endif
