internal import Qudo

/// The idempotency keys of a run.
///
/// A driver may delete an expired receipt at once or much later. If the wall clock is then set back, a driver
/// may or may not know the key. From then on, the script's names stand for new keys.
struct ModelKeys {
  private static let lifetime = Duration.seconds(86_400)
  private var generation = 0
  /// A lower bound for the first use of a key of this generation.
  private var first: Timestamp?
  private var latest = Timestamp.earliest

  mutating func key(_ name: String, at now: Timestamp) -> IdempotencyKey {
    first = min(first ?? now, now)
    return IdempotencyKey("\(name) \(generation)")
  }

  /// Adapts to a jump of the wall clock.
  ///
  /// - Returns: true if the keys made before must not be used any more.
  mutating func jump(from before: Timestamp, to now: Timestamp) -> Bool {
    latest = max(latest, before, now)
    guard now < before, let known = first else { return false }
    // Jobs enqueued later get receipts from that time on.
    first = min(known, now)
    guard min(known, now).advanced(by: Self.lifetime) <= latest else { return false }
    generation += 1
    first = nil
    return true
  }
}
