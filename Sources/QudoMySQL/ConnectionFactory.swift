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

  /// Connections of an earlier generation are not used again.
  var generation: UInt64 { left.withLock { $0 } }

  /// After the server has said that it takes no writes: all connections are opened anew, and its name is resolved anew with that.
  func leaveServer() { left.withLock { $0 &+= 1 } }

  /// What a server that was good before says while it is replaced, or while its users are changed, may pass.
  func passing(_ error: QudoError) -> QudoError {
    guard facts != nil, let cause = error.mysql else { return error }
    if cause.isOfDemotion {
      return QudoError(.unreachable, "the server has become read-only: if another one is the primary by now, lead the name there", cause: cause)
    }
    if cause.isOfRefusal {
      return QudoError(.unreachable, "the server refuses the user that it took before: check user and password", cause: cause)
    }
    return error
  }

  func connect() throws(QudoError) -> Connection {
    let (connection, facts, schema) = try DatabaseOpener.connect(settings, timeout: timeout, watch: watch)
    try DatabaseOpener.prepare(connection, timeout: timeout, found: schema, silence: settings.readTimeout)
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
