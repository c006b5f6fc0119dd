#if MySQL
internal import Qudo

/// What the connections of one driver share.
final class ServerAccess: Sendable {
  let settings: Settings
  let timeout: Duration
  let kinds = KindNumbers()
  let floors: Locked<Floors>
  private let clock: (@Sendable () -> Timestamp)?
  private let observer: (@Sendable (SQL) -> Void)?
  /// Of all connections, without those that setting them up takes.
  let roundTrips = Locked(0)
  private let known = Locked<MySQLServerFacts?>(nil)

  /// - Parameters:
  ///   - receipts: how long those of idempotency keys are kept.
  ///   - clock: for tests, instead of the server's.
  ///   - observer: hears of each statement of the verbs before it is sent; for tests.
  init(
    _ settings: Settings, timeout: Duration, receipts: Duration, clock: (@Sendable () -> Timestamp)?, observer: (@Sendable (SQL) -> Void)? = nil
  ) {
    self.observer = observer
    lifetimes = ReceiptLifetimes(
      transactions: max(.seconds(60), (timeout + settings.readTimeout) * 2).wholeMicroseconds, keys: receipts.wholeMicroseconds)
    self.settings = settings
    self.timeout = timeout
    self.clock = clock
    // Where a test decides what time it is, how fast the server is decides nothing.
    floors = Locked(clock == nil ? Floors() : Floors(slow: .seconds(3600)))
  }

  let lifetimes: ReceiptLifetimes

  /// As the server was when it was last connected to.
  var facts: MySQLServerFacts? { known.withLock { $0 } }

  /// How long one statement of a watch may take: a test's clock stands still meanwhile.
  var longestWatch: Duration { clock == nil ? WatchMemory.longest : .milliseconds(200) }

  var time: SQL { clock.map { "\($0().microseconds)" } ?? Transaction.serverTime }

  func connect() throws(QudoError) -> Connection {
    let (connection, facts) = try Opening.connect(settings, timeout: timeout)
    try Opening.prepare(connection, timeout: timeout)
    // It may be another database by now, made anew.
    kinds.forget()
    if clock == nil, known.withLock({ $0 == nil }) { facts.warnOfClock(settings.name) }
    known.withLock { $0 = facts }
    connection.observer = observer
    connection.roundTrips = roundTrips
    return connection
  }
}
#endif
