internal import Qudo

/// One of a worker's kinds that the file knows.
struct ClaimableKind {
  let demand: ClaimRequest.KindDemand
  /// Its number in the file.
  let number: Int64

  /// How many of it may be claimed.
  func most(_ limit: Int) -> Int { max(0, min(limit, demand.limit ?? limit)) }
}

/// The best ready jobs of several kinds: each kind has them in order, and the kinds' first ones are held in a heap.
struct ClaimOrder {
  let kinds: [ClaimableKind]
  /// How many of each kind are chosen.
  private(set) var counts: [Int]
  /// In the order of the claim.
  private(set) var chosen: [(key: ReadyKey, kind: Int)] = []
  private var heap: [(key: ReadyKey, kind: Int)] = []

  init(_ kinds: [ClaimableKind]) {
    self.kinds = kinds
    counts = Array(repeating: 0, count: kinds.count)
  }

  /// - Parameter entry: the key at a position among a kind's ready jobs; nil if it has no more.
  mutating func choose(_ limit: Int, entry: (_ position: Int, _ kind: Int64) throws(QudoError) -> ReadyKey?) throws(QudoError) {
    for index in kinds.indices where kinds[index].most(limit) > 0 {
      if let key = try entry(0, kinds[index].number) { heap.append((key, index)) }
    }
    for index in stride(from: heap.count / 2 - 1, through: 0, by: -1) { sink(index) }
    while chosen.count < limit, let best = heap.first {
      chosen.append(best)
      counts[best.kind] += 1
      let (kind, count) = (kinds[best.kind], counts[best.kind])
      if count < kind.most(limit), chosen.count < limit, let next = try entry(count, kind.number) {
        heap[0].key = next
      } else {
        heap[0] = heap[heap.count - 1]
        heap.removeLast()
      }
      sink(0)
    }
  }

  private mutating func sink(_ start: Int) {
    var index = start
    while true {
      let left = index * 2 + 1
      guard left < heap.count else { return }
      let right = left + 1
      let least = right < heap.count && heap[right].key < heap[left].key ? right : left
      guard heap[least].key < heap[index].key else { return }
      heap.swapAt(least, index)
      index = least
    }
  }

  /// Ids that follow each other and are claimed alike.
  struct Batch {
    var ids: ClosedRange<Int64>
    let demand: ClaimRequest.KindDemand
    var count: Int { Int(ids.upperBound - ids.lowerBound) + 1 }
  }

  /// The chosen ones as runs of ids.
  func batches() -> [Batch] {
    var runs: [Batch] = []
    for (key, kind) in chosen.sorted(by: { $0.key.id < $1.key.id }) {
      let demand = kinds[kind].demand
      if let last = runs.last, last.ids.upperBound &+ 1 == key.id, last.ids.upperBound < key.id, last.demand.leaseDuration == demand.leaseDuration,
        last.demand.maxExpiredLeases == demand.maxExpiredLeases
      {
        runs[runs.count - 1].ids = last.ids.lowerBound...key.id
      } else {
        runs.append(Batch(ids: key.id...key.id, demand: demand))
      }
    }
    return runs
  }
}
