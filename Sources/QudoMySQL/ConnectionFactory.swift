#if MySQL
internal import Qudo

/// What the connections of one driver share.
final class ConnectionFactory: Sendable {
  let settings: Settings
  let timeout: Duration
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
  ///   - observer: hears of each statement of the verbs before it is sent; for tests.
  ///   - replacing: says what is sent instead; for tests.
  init(
    _ settings: Settings, timeout: Duration, receipts: Duration, clock: (@Sendable () -> Timestamp)?, observer: (@Sendable (SQL) -> Void)? = nil,
    replacing: (@Sendable (SQL) -> [UInt8])? = nil
  ) {
    (self.observer, self.replacing) = (observer, replacing)
    lifetimes = ReceiptLifetimes(
      transactions: max(.seconds(60), (timeout + settings.readTimeout) * 2).wholeMicroseconds, keys: receipts.wholeMicroseconds)
    self.settings = settings
    watch = SessionWatch(settings)
    self.timeout = timeout
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

  private let identity = Locked(KnownIdentity())

  /// The random id of the database; empty before the first connection.
  var generation: [UInt8] { identity.withLock { $0.first?.generation ?? [] } }

  /// The highest id of a job that a call has seen committed.
  func saw(_ id: Int64) { identity.withLock { $0.saw(id) } }

  /// - Throws: `QudoError.Code.databaseReplaced` once another connection has noticed.
  func checkReplaced() throws(QudoError) {
    if let replaced = identity.withLock({ $0.replaced }) { throw replaced }
  }

  /// After the server has said that it takes no writes: all connections are opened anew, and its name is resolved anew with that.
  func leaveServer() { left.withLock { $0 &+= 1 } }

  /// Checks that this is still the database of the driver's first connection.
  ///
  /// - Parameters:
  ///   - read: Reads the identity.
  private func check(_ connection: Connection, _ read: () throws(QudoError) -> DatabaseIdentity?) throws(QudoError) {
    try checkReplaced()
    // What is seen after this may be newer than what is read.
    let highest = identity.withLock { $0.highest }
    guard let found = try read() else { throw .tablesMissing(nil) }
    let answer = identity.withLock { $0.compare(found, highest: highest) }
    guard answer != .same else { return }
    let error = QudoError.replaced(answer == .other ? "they have another generation" : "ids of known jobs are still to be given")
    identity.withLock { $0.replaced = error }
    leaveServer()
    if answer == .restored { beginAnew(connection, from: found.generation, highest) }
    throw error
  }

  /// After a restore: no id is given again that this driver knows of, and the other drivers notice by the generation.
  private func beginAnew(_ connection: Connection, from generation: [UInt8], _ highest: Int64) {
    let new = (0..<16).map { _ in UInt8.random(in: 0...255) }
    _ = try? connection.run(["UPDATE qudo_info SET value = \(new) WHERE name = 'generation' AND value = \(generation)", "COMMIT"])
    // An id is used up by a row that is rolled back as well. This takes no right to ALTER.
    _ = try? connection.run([
      "INSERT IGNORE INTO qudo_job(id, kind, ranking, due, enqueued, payload) VALUES(\(highest), 0, 0, 0, 0, '')", "ROLLBACK",
    ])
  }

  /// Whether a connection that was not used for a while is good, and still leads to the driver's database. Costs one round trip.
  func isGood(_ connection: Connection) throws(QudoError) -> Bool {
    let (observer, replacing) = (connection.observer, connection.replacing)
    (connection.observer, connection.replacing) = (nil, nil)
    defer { (connection.observer, connection.replacing) = (observer, replacing) }
    do {
      try check(connection) { () throws(QudoError) in
        try DatabaseIdentity(connection.run([DatabaseIdentity.read, "COMMIT"]).first?.rows)
      }
      return connection.isSound && connection.isBetweenTransactions
    } catch where error.code == .databaseReplaced {
      throw error
    } catch {
      // A new connection tells what it is.
      return false
    }
  }

  /// What a server that was good before says while it is replaced, or while its users are changed, may pass.
  func passing(_ error: QudoError) -> QudoError {
    guard facts != nil, let cause = error.mysql else { return error }
    if cause.isOfDemotion {
      return QudoError(.unreachable, "the server has become read-only: if another one is the primary by now, lead the name there", cause: cause)
    }
    if cause.isOfRefusal {
      return QudoError(.unreachable, "the server refuses the user that it took before: check user and password", cause: cause)
    }
    if cause.isOfMissingTables { return .tablesMissing(cause) }
    return error
  }

  func connect() throws(QudoError) -> Connection {
    try checkReplaced()
    // Before the database is read: what is known after that may be newer.
    let isKnown = !generation.isEmpty
    let (connection, facts, schema) = try DatabaseOpener.connect(settings, timeout: timeout, watch: watch)
    try check(connection) { () throws(QudoError) in
      // Tables that were there before are not made anew: a restore may be under way.
      if isKnown { return try DatabaseIdentity(schema.get()) }
      return try DatabaseOpener.prepare(connection, timeout: timeout, found: schema, silence: settings.readTimeout)
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
