/// A connection's cached facts about the file.
///
/// They stay valid until another connection changes the file or a transaction rolls back; this connection reports its
/// own changes. They save each small commit the statements that usually find nothing.
struct FileHints {
  /// The version of the file after this connection's last commit.
  var version: UInt32?
  /// The highest id ever given to a job.
  var highestID: Int64?
  /// The due time of the first delayed job; ``none`` if there is none, nil if unknown.
  private(set) var firstDue: Int64?
  /// An upper bound for when relative delays were set; ``never`` if there is none, nil if unknown.
  private(set) var lastWritten: Int64?
  /// The expiry of the first of this driver's own leases; ``none`` if there is none, nil if unknown.
  private(set) var firstExpiry: Int64?
  /// The number of jobs that run for this driver; nil if unknown. The last of them to end leaves no expiry behind.
  private var running: Int?
  /// A lower bound for the expiries of jobs that may be waiting; ``none`` if no job expires, nil if unknown.
  private(set) var nextExpiry: Int64?
  /// Whether jobs run past their expiry: if they wait again, ``nextExpiry`` is wrong.
  private(set) var hasOverdue = false
  /// The other instances with running jobs; nil if unknown.
  var holders: [Holder]?
  /// The id that the open transaction gave this driver in `qudo_instance`.
  var instance: Int64?

  static let none = Int64.max
  static let never = Int64.min

  mutating func found(firstDue: Int64?) { self.firstDue = firstDue ?? Self.none }
  mutating func found(lastWritten: Int64?) { self.lastWritten = lastWritten ?? Self.never }
  mutating func found(firstEnd: Int64?) {
    firstExpiry = firstEnd ?? Self.none
    if firstEnd == nil { running = 0 }
  }

  /// Notes a new delayed job.
  mutating func noteDelayed(_ delay: Delay) {
    if let first = firstDue { firstDue = min(first, delay.due) }
    if let last = lastWritten, let written = delay.written { lastWritten = max(last, written) }
  }
  /// Notes that delayed jobs were removed.
  mutating func invalidateDue() { firstDue = nil }

  /// Notes that relative delays were restarted.
  mutating func invalidateWritten() { lastWritten = nil }

  /// Notes that the running jobs of other instances changed.
  mutating func invalidateHolders() { holders = nil }

  mutating func found(nextExpiry: Int64?, hasOverdue: Bool) {
    (self.nextExpiry, self.hasOverdue) = (nextExpiry ?? Self.none, hasOverdue)
  }
  /// Notes a waiting job with this expiry.
  mutating func noteExpiry(_ expiry: Int64?) {
    if let expiry, let next = nextExpiry { nextExpiry = min(next, expiry) }
  }
  /// Notes that a running job waits again.
  mutating func noteWaitsAgain() { if hasOverdue { nextExpiry = nil } }

  /// Notes claimed jobs with this lease expiry.
  mutating func noteRunning(until end: Int64, count: Int) {
    if let first = firstExpiry { firstExpiry = min(first, end) }
    running? += count
  }

  /// Notes that jobs with this lease expiry stopped running.
  ///
  /// - Parameters:
  ///   - end: Nil if it is unknown.
  ///   - count: The number of jobs; nil if it is unknown.
  mutating func noteEnded(until end: Int64?, count: Int? = nil) {
    if let count { running? -= count } else { running = nil }
    if running == 0 {
      firstExpiry = Self.none
    } else if end == nil || end == firstExpiry {
      firstExpiry = nil
    }
  }
}
