#if Metrics
import ForwardingDriver
import Qudo
import QudoTesting

/// A driver that tells what it was asked for, fails when told to, and takes its time by the clock.
struct WatchedDriver: PlainForwardingDriver {
  let base: any Driver
  let clock: ManualClock
  let finds = Locked<[Kind]>([])
  let failures = Locked<[QudoError]>([])
  /// How long a count takes.
  var delay = Duration.zero

  func jobs(matching query: JobQuery) async throws(QudoError) -> [StoredJob] {
    finds.withLock { $0 += query.kinds ?? [] }
    return try await base.jobs(matching: query)
  }
  func count(_ kinds: [Kind]?) async throws(QudoError) -> [JobCount] {
    clock.advance(by: delay)
    if let error = failures.withLock({ $0.popLast() }) { throw error }
    return try await base.count(kinds)
  }
}
#endif
