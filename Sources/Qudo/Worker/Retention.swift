/// The bounds within which a worker keeps the failure log and the status log: see ``WorkerOptions/retention``.
///
/// The worker prunes each log of its databases at the age or at the number of rows, whichever is reached first. It checks
/// them within the first seconds of its work, then about every ten minutes, and every minute while it finds many rows to
/// delete. An idle worker on a server checks them when it wakes for its poll, up to five minutes later. A check that finds
/// nothing to delete only reads a few rows. Rows are deleted in short transactions, with pauses, so that other writers
/// continue.
///
/// Each check also deletes expired idempotency keys.
///
/// A failure that is deleted cannot be replayed any more, and ``Queue/outcome(of:)`` no longer knows how its job ended.
public struct Retention: Hashable, Sendable {
  /// The age at which rows are deleted, by the database's clock; nil for any age. Default: 14 days.
  ///
  /// If the clock was set back, rows can stay longer: see ``LogDriver/prune(_:)``.
  public var maxAge: Duration?
  /// The number of rows that each log keeps, the newest ones; nil for any number. Default: 1,000,000.
  ///
  /// Between two looks, a log may grow beyond it.
  public var maxRows: Int?

  /// Creates bounds; those not given have their defaults.
  ///
  ///     let week = WorkerOptions(retention: Retention(maxAge: .seconds(7 * 86_400), maxRows: 10_000))
  ///
  /// - Parameters:
  ///   - maxAge: the age at which rows are deleted, or nil for any age. Default: 14 days.
  ///   - maxRows: the number of rows that each log keeps, or nil for any number. Default: 1,000,000.
  public init(maxAge: Duration? = .seconds(14 * 86_400), maxRows: Int? = 1_000_000) {
    self.maxAge = maxAge
    self.maxRows = maxRows
  }
}

extension Retention {
  /// - Throws: ``QudoError/Code/invalidArgument`` for a negative bound.
  func check() throws(QudoError) {
    if let maxAge, maxAge < .zero {
      throw QudoError(.invalidArgument, "the maximum age of log rows is negative: give 0 or more")
    }
    if let maxRows, maxRows < 0 {
      throw QudoError(
        .invalidArgument, "the maximum number of log rows, \(maxRows), is negative: give 0 or more")
    }
  }

  /// The options of the calls that prune by age and by number.
  func options(limit: Int) -> [PruneOptions] {
    var all: [PruneOptions] = []
    if let maxAge { all.append(PruneOptions(olderThan: maxAge, limit: limit)) }
    if let maxRows { all.append(PruneOptions(keep: maxRows, limit: limit)) }
    return all
  }
}
