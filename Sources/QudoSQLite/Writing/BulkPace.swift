/// The pauses of a bulk verb between its transactions, so that the other writers of the file keep most of the time.
///
/// A transaction of 1,000 jobs takes as long as several of a busy worker. Without pauses, bulk verb and worker would take turns, and
/// the worker would lose more than half of its rate.
enum BulkPace {
  /// The time that other writers get after each transaction of a bulk verb, as a multiple of its duration. So the verb has a ninth of the
  /// time. Its pages are checkpointed on top of that: a drain during a cancel keeps about three quarters of its rate
  /// (`qudo bench control`).
  static let partOfOthers = 8
  /// The longest pause: the callers of a bulk verb wait for each transaction only as long as for any other call.
  static let longest = Duration.seconds(1)

  /// Returns the pause after a transaction; nil for none.
  ///
  /// - Parameters:
  ///   - took: The time from the first statement until the commit was answered.
  ///   - hasMore: Whether there may be further transactions.
  ///   - hasOthers: Whether others have written since the last transaction.
  static func pause(after took: Duration, hasMore: Bool, hasOthers: Bool) -> Duration? {
    hasMore && hasOthers ? min(took * partOfOthers, longest) : nil
  }
}
