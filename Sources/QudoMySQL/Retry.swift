#if MySQL
internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// What is to be done after a transaction that failed.
struct Retry {
  enum Decision {
    case again(after: Duration)
    case fail(QudoError)
  }

  private var contentions = 0
  private var losses = 0

  /// - Parameters:
  ///   - wasCommitting: whether COMMIT was on its way.
  ///   - repeats: whether the transaction may be run a second time though it may have been done.
  ///   - isLate: whether the driver's time-out is over.
  mutating func decide(_ error: QudoError, wasCommitting: Bool, repeats: Bool, isLate: Bool) -> Decision {
    guard let cause = error.mysql else { return .fail(error) }
    if cause.isOfConnection {
      let isUnknown = wasCommitting
      if (!isUnknown || repeats), error.code == .unreachable, losses < 2, !isLate {
        losses += 1
        return .again(after: .zero)
      }
      guard isUnknown else { return .fail(error) }
      return .fail(QudoError(.outcomeUnknown, "the connection was lost during the commit: it may or may not have been done", cause: cause))
    }
    // "Got error %d during COMMIT".
    if cause.code == 1180, wasCommitting {
      return .fail(QudoError(.outcomeUnknown, "the server failed during the commit: it may or may not have been done", cause: cause))
    }
    // A unique key or a receipt that another transaction took between our look and our write.
    let isRace = cause.isDuplicate && ["qudo_job_unique", "qudo_receipt", "PRIMARY"].contains { cause.message.contains($0) }
    guard cause.isOfContention || isRace else { return .fail(cause.isDuplicate ? Self.corrupt(cause) : error) }
    guard !isLate else { return .fail(QudoError(.busy, "others held what was needed until the time-out: try again later", cause: cause)) }
    contentions += 1
    // At once the first time: the other one has gone on by then.
    let most = contentions == 1 ? 0 : min(50_000, 1000 << min(contentions, 10))
    return .again(after: .microseconds(Int.random(in: 0...most)))
  }

  private static func corrupt(_ cause: MySQLError) -> QudoError {
    QudoError(.corrupt, "a row is there that must not be: the tables were changed by others", cause: cause)
  }

  /// On a thread of the driver's own.
  static func sleep(_ pause: Duration) {
    if pause > .zero { usleep(UInt32(clamping: pause.wholeMicroseconds)) }
  }
}
#endif
