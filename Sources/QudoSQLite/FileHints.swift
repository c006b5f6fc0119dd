/// What a connection knows of the file from one of its transactions to the next: as long as nobody else changes the
/// file, this connection says what it changes itself, and nothing is rolled back.
///
/// It saves a commit of one job the statements that would look for what is most often not there.
struct FileHints {
  /// The version of the file after this connection's last commit.
  var version: UInt32?
  /// The highest id that was ever given to a job.
  var highestID: Int64?
  /// When the first delayed job is due; ``none`` if there is none.
  private(set) var firstDue: Int64?
  /// No relative delay was written later than this; ``never`` if there is none.
  private(set) var lastWritten: Int64?
  /// When the first of this driver's own leases ends; ``none`` if there is none.
  private(set) var firstExpiry: Int64?
  /// The other instances that have running jobs; nil if they are to be looked for.
  var holders: [Holder]?
  /// The number of this driver among the instances, from the transaction that is open.
  var instance: Int64?

  static let none = Int64.max
  static let never = Int64.min

  mutating func found(firstDue: Int64?) { self.firstDue = firstDue ?? Self.none }
  mutating func found(lastWritten: Int64?) { self.lastWritten = lastWritten ?? Self.never }
  mutating func found(firstEnd: Int64?) { self.firstExpiry = firstEnd ?? Self.none }

  /// A job is put with the delayed.
  mutating func noteDelayed(_ delay: Delay) {
    if let first = firstDue { firstDue = min(first, delay.due) }
    if let last = lastWritten, let written = delay.written { lastWritten = max(last, written) }
  }
  /// Jobs leave the delayed.
  mutating func invalidateDue() { firstDue = nil }

  /// Relative delays begin anew.
  mutating func invalidateWritten() { lastWritten = nil }

  /// Jobs of other instances run no more, or begin to.
  mutating func invalidateHolders() { holders = nil }

  /// Jobs are claimed until then.
  mutating func noteRunning(until end: Int64) { if let first = firstExpiry { firstExpiry = min(first, end) } }
  /// Jobs that were claimed until then run no more; nil if it is not sure until when.
  mutating func noteEnded(until end: Int64?) { if end == nil || end == firstExpiry { firstExpiry = nil } }
}
