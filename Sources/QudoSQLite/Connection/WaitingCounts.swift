internal import Qudo

/// A cache of how many jobs wait, for the kinds that were enqueued with a maximum of waiting jobs. Otherwise it is empty.
///
/// Without it, each enqueue with a maximum would count the waiting jobs. An entry stays valid until another connection
/// changes the file; this connection reports its own changes, and a rollback clears the cache.
final class WaitingCounts {
  struct Entry {
    /// The number of jobs that waited at the last count, plus those enqueued since.
    var count: Int
    /// Whether there may be more: the count went no further.
    var isCapped: Bool
    /// Whether jobs may have left since they were counted.
    var hasLeft = false
    /// The lowest ids of the waiting jobs, in order; of those that have left meanwhile, too. Empty if unknown.
    var oldest: ArraySlice<Int64> = []

    /// Whether it tells by how many `new` more jobs would exceed a maximum; for one that refuses, whether they would.
    func tells(of new: Int, _ bound: MaxWaiting) -> Bool {
      guard isCapped else { return !hasLeft || count + new <= bound.limit }
      guard case .refuse(let limit) = bound else { return false }
      return !hasLeft && count >= limit
    }
  }
  private var entries: [Int64: Entry] = [:]

  /// Returns a kind's entry, and forgets it until ``set(_:for:)``.
  func take(_ kind: Int64) -> Entry? { entries.isEmpty ? nil : entries.removeValue(forKey: kind) }

  func set(_ entry: Entry, for kind: Int64) {
    // Bounded: an application may create a kind per customer.
    if entries.count >= Self.most { entries = [:] }
    entries[kind] = entry
  }

  private static let most = 1000

  /// Drops everything, because jobs wait again whose kinds are not looked up.
  @inline(__always)
  func invalidate() { if !entries.isEmpty { entries = [:] } }

  /// Drops a kind, because other jobs of it wait.
  @inline(__always)
  func invalidate(_ kind: Int64) { if !entries.isEmpty { entries[kind] = nil } }

  /// Notes that jobs of a kind may wait no longer.
  @inline(__always)
  func noteLeft(_ kind: Int64) { if !entries.isEmpty { entries[kind]?.hasLeft = true } }

  /// Notes that jobs may wait no longer.
  func noteLeft() { for kind in entries.keys { noteLeft(kind) } }
}
