#if Dashboard
internal import Qudo
internal import QudoMonitor

/// A kind over all databases.
struct KindRow: Sendable {
  var figures: KindSample
  /// The number of unfinished jobs in the last samples, oldest first.
  var depth: [Double?] = []

  /// Sums up the kinds of all databases, and sorts them by name.
  static func all(_ view: LiveView) -> [KindRow] {
    var sums: [Kind: KindSample] = [:]
    for state in view.sample.databases.lazy.compactMap(\.state) {
      for kind in state.kinds { sums[kind.kind] = sums[kind.kind].map { $0.adding(kind) } ?? kind }
    }
    // One pass over the history, whatever the number of kinds.
    var depths: [Kind: [Double?]] = [:]
    let samples = view.history.samples.suffix(60)
    for (index, sample) in samples.enumerated() {
      for state in sample.databases.lazy.compactMap(\.state) {
        for kind in state.kinds where sums[kind.kind] != nil {
          depths[kind.kind, default: Array(repeating: nil, count: samples.count)][index, default: 0] +=
            Double(kind.unfinished)
        }
      }
    }
    return sums.values.sorted { $0.kind < $1.kind }.map { KindRow(figures: $0, depth: depths[$0.kind] ?? []) }
  }
}

extension [Double?] {
  fileprivate subscript(_ index: Int, default value: Double) -> Double {
    get { self[index] ?? value }
    set { self[index] = newValue }
  }
}

extension KindSample {
  /// The sum of a kind in two databases; of durations, the longer one.
  func adding(_ other: KindSample) -> KindSample {
    var sum = self
    sum.ready += other.ready
    sum.delayed += other.delayed
    sum.running += other.running
    if let held = other.held { sum.held = (sum.held ?? 0) + held }
    sum.isPaused = isPaused || other.isPaused
    sum.pause = pause ?? other.pause
    sum.oldestReady = [oldestReady, other.oldestReady].compactMap { $0 }.max()
    sum.failuresInMinute += other.failuresInMinute
    func add(_ figure: WritableKeyPath<KindSample, Double?>) {
      if let value = other[keyPath: figure] { sum[keyPath: figure] = (sum[keyPath: figure] ?? 0) + value }
    }
    add(\.failuresPerSecond)
    add(\.changePerSecond)
    add(\.completedPerSecond)
    sum.runTime = Percentiles.slower(runTime, other.runTime)
    sum.waitTime = Percentiles.slower(waitTime, other.waitTime)
    return sum
  }
}

extension Percentiles {
  static func slower(_ a: Percentiles?, _ b: Percentiles?) -> Percentiles? {
    guard let a, let b else { return a ?? b }
    return Percentiles(p50: max(a.p50, b.p50), p99: max(a.p99, b.p99))
  }
}
#endif
