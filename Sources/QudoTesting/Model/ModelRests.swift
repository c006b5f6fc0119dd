internal import Qudo

/// The rests of unique keys in a run.
///
/// A driver may delete an ended rest at once or much later. If the wall clock is then set back, a driver may or may not know it. So the
/// run does not set the clock back once a rest may have ended.
struct ModelRests {
  private var shortest: Duration?
  /// A lower bound for the first end of a rest.
  private var firstEnd: Timestamp?
  private var latest = Timestamp.earliest

  mutating func add(_ throttle: Duration, at now: Timestamp) {
    shortest = min(shortest ?? throttle, throttle)
    note(now)
  }

  /// Whether the wall clock may be set back to a time, or forward. It notes that it is.
  mutating func mayJump(from before: Timestamp, to now: Timestamp) -> Bool {
    latest = max(latest, before, now)
    guard now < before, let firstEnd else { return true }
    guard firstEnd > latest else { return false }
    // Those that begin later, or start again, end from that time on.
    note(now)
    return true
  }

  private mutating func note(_ now: Timestamp) {
    guard let shortest else { return }
    let end = now.advanced(by: shortest)
    firstEnd = min(firstEnd ?? end, end)
  }
}
