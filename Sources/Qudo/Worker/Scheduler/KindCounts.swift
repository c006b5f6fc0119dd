/// The number of jobs that a worker holds of each kind with a limit, from all sources together.
struct KindCounts {
  private struct Count {
    var held = 0
    let limit: Int
  }
  private var counts: [Kind: Count] = [:]

  /// - Parameter handlers: Those whose policy has a limit are counted.
  init(_ handlers: [Kind: JobHandler]) {
    for (kind, handler) in handlers {
      if let limit = handler.policy.maxHeld { counts[kind] = Count(limit: limit) }
    }
  }

  /// Whether no kind has a limit.
  var isEmpty: Bool { counts.isEmpty }

  /// The number of jobs that the worker may still claim of a kind; nil without a limit.
  ///
  /// - Parameter promised: The jobs that claims of other sources may return.
  func room(_ kind: Kind, promised: Int) -> Int? {
    counts[kind].map { max(0, $0.limit - $0.held - promised) }
  }

  /// Returns a kind with room for another job; nil if there is none.
  func kindWithRoom(promised: [Kind: Int]) -> Kind? {
    counts.keys.first { (room($0, promised: promised[$0] ?? 0) ?? 0) > 0 }
  }

  /// Returns whether any kind has reached its limit.
  func isAnyFull(promised: [Kind: Int]) -> Bool {
    counts.contains { $0.value.held + (promised[$0.key] ?? 0) >= $0.value.limit }
  }

  /// Counts a claimed job.
  ///
  /// - Returns: False if the limit is reached already. The job is not counted then.
  mutating func hold(_ kind: Kind) -> Bool {
    guard let count = counts[kind] else { return true }
    guard count.held < count.limit else { return false }
    counts[kind]?.held += 1
    return true
  }

  mutating func letGo(_ kind: Kind) {
    if !counts.isEmpty { counts[kind]?.held -= 1 }
  }
}
