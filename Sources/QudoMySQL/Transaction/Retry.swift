#if MySQL
internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// The decision whether, and when, to repeat a transaction that failed.
struct Retry {
  private var contentions = 0
  private var losses = 0
  private var shortages = 0
  private var demotions = 0

  /// - Parameter isLate: Whether the driver's timeout is over.
  /// - Returns: How long to wait before the repetition.
  /// - Throws: The error, if the transaction is not to be repeated.
  mutating func pause(after error: QudoError, isLate: Bool) throws(QudoError) -> Duration {
    guard let cause = error.mysql else { throw error }
    if cause.isOfConnection {
      guard error.code == .unreachable, losses < 2, !isLate else { throw error }
      losses += 1
      return .zero
    }
    // Between this transaction's look and its write, another one took a unique key or an idempotency key. Or
    // the transaction that this one repeats took the number of the commit token.
    let isRace = cause.isDuplicate && cause.message.contains("PRIMARY")
    if cause.isOfDemotion {
      // Repeat once, over a new connection, which may lead to another server.
      guard demotions < 1, !isLate else { throw error }
      demotions += 1
      return .zero
    }
    if cause.isShort {
      shortages += 1
      // If this happens so often, the server did not stop the statement: the rows are missing.
      guard shortages < 10 else { throw Self.corrupt(cause) }
    }
    guard cause.isOfContention || cause.isOfStop || cause.isShort || isRace else {
      throw cause.isDuplicate ? Self.corrupt(cause) : error
    }
    guard !isLate else {
      if cause.isOfStop || cause.isShort { throw error }
      throw QudoError(
        .busy, "other sessions held the needed locks until the timeout: try again later", cause: cause)
    }
    contentions += 1
    // Repeat at once the first time: the other transaction has made progress by then.
    let most = contentions == 1 ? 0 : min(50_000, 1000 << min(contentions, 10))
    return .microseconds(Int.random(in: 0...most))
  }

  private static func corrupt(_ cause: MySQLError) -> QudoError {
    QudoError(
      .corrupt,
      cause.isShort
        ? "rows that must exist are missing: another program modified the tables"
        : "a row exists that must not: another program modified the tables", cause: cause)
  }

  /// Sleeps. Call this only on a thread of the driver.
  static func sleep(_ pause: Duration) {
    if pause > .zero { usleep(UInt32(clamping: pause.wholeMicroseconds)) }
  }
}
#endif
