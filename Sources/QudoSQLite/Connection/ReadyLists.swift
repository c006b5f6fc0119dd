/// A job's sort key among the ready jobs of its kind.
struct ReadyKey: Comparable {
  let rank: Int64
  let due: Int64
  let id: Int64
  /// The last id of the row in `qudo_ready` that contains the job.
  let last: Int64

  static func < (a: ReadyKey, b: ReadyKey) -> Bool { (a.rank, a.due, a.id) < (b.rank, b.due, b.id) }
}

/// A cache of the first ready jobs of each kind, filled by claims.
///
/// Without it, each claim over many kinds would look up all of them, most of them for nothing. An entry stays valid
/// until another connection changes the file; this connection reports its own changes, and a rollback clears the
/// cache.
final class ReadyLists {
  private struct List {
    var keys: [ReadyKey] = []
    /// The number of keys claimed since they were read.
    var taken = 0
    /// Whether `keys` ends with the kind's last ready job.
    var isComplete = false
  }
  private var lists: [Int64: List] = [:]

  /// Whether the cache is empty.
  var isEmpty: Bool { lists.isEmpty }

  func invalidate() { if !lists.isEmpty { lists = [:] } }

  /// Drops a kind after its ready jobs changed other than by ``take(_:of:)``.
  @inline(__always)
  func invalidate(_ kind: Int64) { if !lists.isEmpty { lists[kind] = nil } }

  enum Entry {
    case key(ReadyKey)
    /// The kind has no ready job at this position.
    case end
    /// The file must be read, after this key.
    case unknown(after: ReadyKey?)
  }

  /// Returns the ready job of a kind at a position, counted from its first ready job.
  func entry(_ position: Int, of kind: Int64) -> Entry {
    guard let list = lists[kind] else { return .unknown(after: nil) }
    let index = list.taken + position
    if index < list.keys.count { return .key(list.keys[index]) }
    return list.isComplete ? .end : .unknown(after: list.keys.last)
  }

  /// Adds keys that follow those already cached.
  func append(_ keys: [ReadyKey], isComplete: Bool, to kind: Int64) {
    lists[kind, default: List()].keys += keys
    lists[kind]?.isComplete = isComplete
  }

  /// Marks the first `count` ready jobs of a kind as claimed.
  func take(_ count: Int, of kind: Int64) {
    guard var list = lists.removeValue(forKey: kind) else { return }
    list.taken += count
    if list.taken == list.keys.count, !list.isComplete { return }
    if list.taken > 64, list.taken * 2 > list.keys.count {
      list.keys.removeFirst(list.taken)
      list.taken = 0
    }
    lists[kind] = list
  }
}
