/// Sleepers in the order of their wake times. It has neither thread nor clock. Times are in microseconds
/// since the boot.
struct TimerQueue<Sleeper> {
  private struct Entry {
    let time: Int64
    let id: UInt64
  }
  /// A binary heap: no entry is later than its two children. Entries of removed sleepers stay until they
  /// reach the front, or until they outnumber the others.
  private var heap: [Entry] = []
  private var sleepers: [UInt64: Sleeper] = [:]
  private var lastID: UInt64 = 0

  var count: Int { sleepers.count }
  var heapCount: Int { heap.count }

  /// Returns a new id for ``insert(_:_:until:)``.
  mutating func makeID() -> UInt64 {
    lastID += 1
    return lastID
  }

  mutating func insert(_ sleeper: Sleeper, _ id: UInt64, until time: Int64) {
    sleepers[id] = sleeper
    heap.append(Entry(time: time, id: id))
    var child = heap.count - 1
    while child > 0, heap[child].time < heap[(child - 1) / 2].time {
      heap.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  /// - Returns: The sleeper, unless it was woken or removed before.
  mutating func remove(_ id: UInt64) -> Sleeper? {
    guard let sleeper = sleepers.removeValue(forKey: id) else { return nil }
    if heap.count > 2 * sleepers.count + 64 {
      // A sorted array is a heap.
      heap = heap.filter { sleepers[$0.id] != nil }.sorted { $0.time < $1.time }
    }
    return sleeper
  }

  /// Removes and returns the sleepers that are due, the earliest first.
  mutating func takeDue(_ now: Int64) -> [Sleeper] {
    var due: [Sleeper] = []
    while let first = heap.first, first.time <= now || sleepers[first.id] == nil {
      removeFirst()
      if let sleeper = sleepers.removeValue(forKey: first.id) { due.append(sleeper) }
    }
    return due
  }

  /// The time to call ``takeDue(_:)`` next; right after a call, the wake time of the earliest sleeper.
  var nextTime: Int64? { heap.first?.time }

  private mutating func removeFirst() {
    heap.swapAt(0, heap.count - 1)
    heap.removeLast()
    var parent = 0
    while true {
      let (left, right) = (2 * parent + 1, 2 * parent + 2)
      var least = parent
      if left < heap.count, heap[left].time < heap[least].time { least = left }
      if right < heap.count, heap[right].time < heap[least].time { least = right }
      guard least != parent else { return }
      heap.swapAt(parent, least)
      parent = least
    }
  }
}
