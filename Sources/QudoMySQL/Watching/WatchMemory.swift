#if MySQL
internal import Qudo

/// The state of a ``Watch``: the kinds it looks for, how long each statement looks, and when the next one
/// begins. A plain value, without a server or a clock.
struct WatchMemory {
  /// The interval at which the server looks, within one statement.
  static let step = Duration.milliseconds(20)
  /// How long one statement may look: at first, and at most, while nothing happens.
  static let shortest = Duration.seconds(1)
  static let longest = Duration.seconds(15)
  /// The maximum pause before the next look, while a found job is not claimed.
  static let longestPause = Duration.seconds(1)

  enum Outcome: Equatable {
    /// A job was found at this step. If it is the first step, the job was there before.
    case found(step: Int)
    case nothing
    /// The server stopped the statement, or refused it.
    case stopped
    /// The server is unreachable.
    case lost
  }

  /// The kinds with fewer jobs than a claim wanted: since the last ring, and before it.
  private var missed: Set<Kind> = []
  private var missedBefore: Set<Kind> = []
  private(set) var length = shortest
  private(set) var pause = Duration.zero
  /// Whether the server was unreachable. There may be something to claim when it is back.
  private var wasLost = false

  /// The kinds to look for; all kinds if no claim has missed any.
  ///
  /// A listening worker claims after each ring. So if no claim has missed a kind since the last ring but one,
  /// it is not wanted any more: the workers have as many of its jobs as they may run.
  var wanted: Set<Kind> { missedBefore.isEmpty ? missed : missed.union(missedBefore) }

  /// Notes that a claim found fewer jobs of these kinds than it wanted.
  mutating func missed(_ kinds: some Sequence<Kind>) { missed.formUnion(kinds) }

  /// - Returns: Whether to ring.
  mutating func note(_ outcome: Outcome) -> Bool {
    switch outcome {
    case .nothing:
      (pause, length) = (.zero, min(length * 2, Self.longest))
      guard wasLost else { return false }
    case .found(let step):
      length = Self.shortest
      // A job that is found but not claimed may be locked, or not committed yet. It can be claimed sooner or
      // later.
      pause = step > 1 ? .zero : min(max(pause * 2, Self.step), Self.longestPause)
    case .stopped: (pause, length) = (Self.longestPause, Self.shortest)
    case .lost:
      (pause, length, wasLost) = (min(max(pause * 2, Self.step), Self.longestPause), Self.shortest, true)
      return false
    }
    wasLost = false
    // A worker that has not claimed since the last ring is still busy with that one.
    if !missed.isEmpty { (missedBefore, missed) = (missed, []) }
    return true
  }
}
#endif
