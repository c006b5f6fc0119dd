public import Qudo

/// The requirements for a driver, as runnable cases.
public enum ConformanceSuite {
  /// All cases, grouped by promise.
  public static let all: [ConformanceCase] =
    persistence + everyJob + leases + tokens + settling + replacements + ids + uniqueKeys + keyConflicts
    + debounced + throttles
    + order + promotion + crowds
    + contention + idempotency + clocks + payloads + refusals + foreignKinds + poison + attempts + failureLog
    + replays + statusLog
    + pruning + listings + counts + outcomes + filters + waking + cancelling + changing + recovering + pausing
    + expiring + finalFailures + scheduling + bounded + limited + rated
    + concurrencyKeys + keyStops + keyRates + keyListings + groups
    + closing
    + model

  /// Returns the cases that apply to a driver with these capabilities.
  public static func cases(for capabilities: Capabilities) -> [ConformanceCase] {
    all.filter { capabilities.isSuperset(of: $0.requires) }
  }
}
