#if Metrics
internal import Metrics
internal import Qudo

/// The metric objects of one kind.
struct KindMetrics: Sendable {
  let enqueued: Counter
  let conflicts: Counter
  let claimed: Counter
  let completed: Counter
  let replaced: Counter
  let retried: Counter
  let failed: Counter
  let aborted: Counter
  let snoozed: Counter
  let released: Counter
  let leasesLost: Counter
  let givenUp: Counter
  let expired: Counter
  let duration: Timer
  let wait: Timer

  init(_ kind: Kind, prefix: String, factory: any MetricsFactory) {
    let dimensions = [("kind", kind.name)]
    func counter(_ name: String) -> Counter {
      Counter(label: "\(prefix)_\(name)", dimensions: dimensions, factory: factory)
    }
    func timer(_ name: String) -> Timer {
      Timer(label: "\(prefix)_\(name)", dimensions: dimensions, factory: factory)
    }
    enqueued = counter("enqueued")
    conflicts = counter("conflicts")
    claimed = counter("claimed")
    completed = counter("completed")
    replaced = counter("replaced")
    retried = counter("retried")
    failed = counter("failed")
    aborted = counter("aborted")
    snoozed = counter("snoozed")
    released = counter("released")
    leasesLost = counter("leases_lost")
    givenUp = counter("given_up")
    expired = counter("expired")
    duration = timer("run_duration")
    wait = timer("wait")
  }
}

/// Metric objects by kind, made when a kind is first seen.
final class MetricsByKind: Sendable {
  private let byKind = Locked<[Kind: KindMetrics]>([:])
  private let prefix: String
  private let factory: any MetricsFactory

  init(prefix: String, factory: any MetricsFactory) {
    self.prefix = prefix
    self.factory = factory
  }

  subscript(kind: Kind) -> KindMetrics {
    byKind.withLock { byKind in
      if let known = byKind[kind] { return known }
      let new = KindMetrics(kind, prefix: prefix, factory: factory)
      byKind[kind] = new
      return new
    }
  }
}
#endif
