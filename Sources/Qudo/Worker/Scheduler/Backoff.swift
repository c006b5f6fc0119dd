/// The time at which to call a failing database again. Times are in microseconds since the boot.
struct Backoff {
  private var errors = 0
  private var failingSince: Int64 = 0
  /// Nothing but renewals is asked of the database before this time.
  private(set) var retryAt: Int64 = 0

  var isFailing: Bool { errors > 0 }

  /// Notes that the database has answered.
  mutating func worked() { (errors, retryAt) = (0, 0) }

  /// Notes an error.
  ///
  /// - Parameters:
  ///   - holds: Whether the worker holds jobs, or outcomes that are not written.
  ///   - probeInterval: With several databases: the longest pause. One where the worker holds nothing is called less often.
  mutating func failed(now: Int64, holds: Bool, probeInterval: Int64?) {
    if errors == 0 { failingSince = now }
    let doublings = min(errors, holds || probeInterval == nil ? 7 : 40)
    retryAt = now + min(probeInterval ?? 5_000_000, 50_000 << Int64(doublings), holds ? 5_000_000 : .max)
    errors += 1
  }

  mutating func retryNow() { retryAt = 0 }

  /// Whether the database has failed for so long. It must be failing.
  func isOver(_ timeout: Int64, now: Int64) -> Bool { now - failingSince >= timeout }

  /// The time at which it has failed for so long; the latest one if it does not fail, or has for longer.
  func end(of timeout: Int64, now: Int64) -> Int64 {
    guard isFailing else { return .max }
    let (end, isTooLate) = failingSince.addingReportingOverflow(timeout)
    return isTooLate || end <= now ? .max : end
  }
}
