internal import Qudo

/// The idempotency keys of a run.
///
/// A receipt whose time is over may be deleted at once or much later. When the wall clock is then set back, a driver may
/// know the key or not: from there on the script's names stand for other keys.
struct ModelKeys {
  private static let lifetime = Duration.seconds(86_400)
  private var generation = 0
  /// Not after the first use of the generation.
  private var first: Timestamp?
  private var latest = Timestamp.earliest

  mutating func key(_ name: String, at now: Timestamp) -> IdempotencyKey {
    first = min(first ?? now, now)
    return IdempotencyKey("\(name) \(generation)")
  }

  /// - Returns: whether keys that were made before must not be used any more.
  mutating func jump(from before: Timestamp, to now: Timestamp) -> Bool {
    latest = max(latest, before, now)
    guard now < before, let known = first else { return false }
    // What is still to be enqueued has a receipt from then on.
    first = min(known, now)
    guard min(known, now).advanced(by: Self.lifetime) <= latest else { return false }
    generation += 1
    first = nil
    return true
  }
}
