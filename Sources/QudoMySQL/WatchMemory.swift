#if MySQL
internal import Qudo

/// What a ``Watch`` looks for, for how long at a time, and when it looks again. A plain value, without a server or a clock.
struct WatchMemory {
  /// How often the server looks, within one statement.
  static let step = Duration.milliseconds(20)
  /// How long one statement may look: first, and when nothing happens.
  static let shortest = Duration.seconds(1)
  static let longest = Duration.seconds(15)
  /// How long to wait at most before looking again, while what is found is not claimed.
  static let longestPause = Duration.seconds(1)

  enum Outcome: Equatable {
    /// At which step. At the first one it was there already.
    case found(step: Int)
    case nothing
    /// The server stopped the statement, or refused it.
    case stopped
    /// The server is away.
    case lost
  }

  /// Kinds that claims found too few of since the last ring, and before that.
  private var missed: Set<Kind> = []
  private var missedBefore: Set<Kind> = []
  private(set) var length = shortest
  private(set) var pause = Duration.zero
  /// The server was away: there may be something when it is back.
  private var wasLost = false

  /// Those that are looked for; all kinds if no claim has missed any.
  ///
  /// Whoever listens claims after each ring, so that kinds which nobody has missed since the last but one are not wanted any more: a
  /// worker has as many of them as it may run.
  var wanted: Set<Kind> { missedBefore.isEmpty ? missed : missed.union(missedBefore) }

  /// A claim found fewer than it wanted of these.
  mutating func missed(_ kinds: some Sequence<Kind>) { missed.formUnion(kinds) }

  /// - Returns: whether to ring.
  mutating func note(_ outcome: Outcome) -> Bool {
    switch outcome {
    case .nothing:
      (pause, length) = (.zero, min(length * 2, Self.longest))
      guard wasLost else { return false }
    case .found(let step):
      length = Self.shortest
      // What is there and is not claimed may be locked, or not committed yet: it will be, some time.
      pause = step > 1 ? .zero : min(max(pause * 2, Self.step), Self.longestPause)
    case .stopped: (pause, length) = (Self.longestPause, Self.shortest)
    case .lost:
      (pause, length, wasLost) = (min(max(pause * 2, Self.step), Self.longestPause), Self.shortest, true)
      return false
    }
    wasLost = false
    // Whoever has not claimed since the last ring is still busy with that.
    if !missed.isEmpty { (missedBefore, missed) = (missed, []) }
    return true
  }
}
#endif
