public import Qudo

/// All that a driver must do.
public enum ConformanceSuite {
  /// Each case once, promise by promise.
  public static let all: [ConformanceCase] =
    persistence + everyJob + leases + tokens + settling + replacements + ids + uniqueKeys + keyConflicts
    + order + promotion + crowds
    + contention + idempotency + clocks + payloads + refusals + foreignKinds + poison + attempts + failureLog
    + replays + statusLog
    + pruning + listings + counts + waking + closing + model

  /// The cases that make sense for a driver with these capabilities.
  public static func cases(for capabilities: Capabilities) -> [ConformanceCase] {
    all.filter { capabilities.isSuperset(of: $0.requires) }
  }
}
