#if MySQL
internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// Whether a transaction that failed is to be repeated, and when.
struct Retry {
  private var contentions = 0
  private var losses = 0
  private var shortages = 0
  private var demotions = 0

  /// - Parameter isLate: whether the driver's time-out is over.
  /// - Returns: how long to wait before.
  /// - Throws: what it failed with, if it is not to be repeated.
  mutating func pause(after error: QudoError, isLate: Bool) throws(QudoError) -> Duration {
    guard let cause = error.mysql else { throw error }
    if cause.isOfConnection {
      guard error.code == .unreachable, losses < 2, !isLate else { throw error }
      losses += 1
      return .zero
    }
    // A unique key, or a receipt, that another transaction took between our look and our write; or the lane's number, which the
    // transaction took that this one repeats.
    let isRace = cause.isDuplicate && cause.message.contains("PRIMARY")
    if cause.isOfDemotion {
      // Once over a new connection, which may lead elsewhere.
      guard demotions < 1, !isLate else { throw error }
      demotions += 1
      return .zero
    }
    if cause.isShort {
      shortages += 1
      // Whoever is stopped so often is not stopped.
      guard shortages < 10 else { throw Self.corrupt(cause) }
    }
    if cause.code == MySQLError.noID {
      // A stop as well, unless no id is left.
      shortages += 1
      guard shortages < 10, !isLate else { throw error }
      return .zero
    }
    guard cause.isOfContention || cause.isOfStop || cause.isShort || isRace else {
      throw cause.isDuplicate ? Self.corrupt(cause) : error
    }
    guard !isLate else {
      if cause.isOfStop || cause.isShort { throw error }
      throw QudoError(.busy, "others held what was needed until the time-out: try again later", cause: cause)
    }
    contentions += 1
    // At once the first time: the other one has gone on by then.
    let most = contentions == 1 ? 0 : min(50_000, 1000 << min(contentions, 10))
    return .microseconds(Int.random(in: 0...most))
  }

  private static func corrupt(_ cause: MySQLError) -> QudoError {
    QudoError(
      .corrupt,
      cause.isShort
        ? "rows are missing that must be there: the tables were changed by others"
        : "a row is there that must not be: the tables were changed by others", cause: cause)
  }

  /// On a thread of the driver's own.
  static func sleep(_ pause: Duration) {
    if pause > .zero { usleep(UInt32(clamping: pause.wholeMicroseconds)) }
  }
}
#endif
