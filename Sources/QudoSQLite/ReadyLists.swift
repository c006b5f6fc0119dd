/// Where a job stands among the ready ones of its kind.
struct ReadyKey: Comparable {
  let rank: Int64
  let due: Int64
  let id: Int64
  /// The last job of the row that it is of.
  let last: Int64

  static func < (a: ReadyKey, b: ReadyKey) -> Bool { (a.rank, a.due, a.id) < (b.rank, b.due, b.id) }
}

/// The first ready jobs of kinds, as far as claims have read them.
///
/// A claim of many kinds would else look up each of them each time, most of them in vain. What is known stays good while
/// nobody else changes the file and this connection says what it changes; when it rolls back, all is forgotten.
final class ReadyLists {
  private struct List {
    var keys: [ReadyKey] = []
    /// How many of them were claimed meanwhile.
    var taken = 0
    /// Whether there are no more of the kind.
    var isComplete = false
  }
  private var lists: [Int64: List] = [:]

  /// Whether there is anything to be forgotten.
  var isEmpty: Bool { lists.isEmpty }

  func invalidate() { if !lists.isEmpty { lists = [:] } }

  /// Jobs of that kind become ready, or go, other than by ``take(_:of:)``.
  @inline(__always)
  func invalidate(_ kind: Int64) { if !lists.isEmpty { lists[kind] = nil } }

  enum Entry {
    case key(ReadyKey)
    /// There is none.
    case end
    /// The file has to be asked.
    case unknown(after: ReadyKey?)
  }

  /// The first one of a kind, or one further back.
  func entry(_ position: Int, of kind: Int64) -> Entry {
    guard let list = lists[kind] else { return .unknown(after: nil) }
    let index = list.taken + position
    if index < list.keys.count { return .key(list.keys[index]) }
    return list.isComplete ? .end : .unknown(after: list.keys.last)
  }

  /// What the file has after those that are known.
  func append(_ keys: [ReadyKey], isComplete: Bool, to kind: Int64) {
    lists[kind, default: List()].keys += keys
    lists[kind]?.isComplete = isComplete
  }

  /// The first ones were claimed.
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
