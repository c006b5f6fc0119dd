internal import Qudo

/// A kind of the worker that the file knows.
struct ClaimableKind {
  let demand: ClaimRequest.KindDemand
  /// The kind's id in `qudo_kind`.
  let number: Int64

  /// The maximum number of jobs of this kind in a claim of `limit` jobs.
  func most(_ limit: Int) -> Int { max(0, min(limit, demand.limit ?? limit)) }
}

/// The first ready jobs over several kinds, merged with a heap that holds each kind's next job.
struct ClaimOrder {
  let kinds: [ClaimableKind]
  /// The number of chosen jobs of each kind.
  private(set) var counts: [Int]
  /// The chosen jobs, in claim order.
  private(set) var chosen: [(key: ReadyKey, kind: Int)] = []
  private var heap: [(key: ReadyKey, kind: Int)] = []

  init(_ kinds: [ClaimableKind]) {
    self.kinds = kinds
    counts = Array(repeating: 0, count: kinds.count)
  }

  /// - Parameter entry: Returns the key at a position among a kind's ready jobs, or nil after the last one.
  mutating func choose(_ limit: Int, entry: (_ position: Int, _ kind: Int64) throws(QudoError) -> ReadyKey?)
    throws(QudoError)
  {
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

  /// An id range whose jobs get the same lease duration and expiry limit.
  struct Batch {
    var ids: ClosedRange<Int64>
    let demand: ClaimRequest.KindDemand
    var count: Int { Int(ids.upperBound - ids.lowerBound) + 1 }
  }

  /// Returns the chosen jobs as id ranges.
  func batches() -> [Batch] {
    var batches: [Batch] = []
    for (key, kind) in chosen.sorted(by: { $0.key.id < $1.key.id }) {
      let demand = kinds[kind].demand
      if let last = batches.last, last.ids.precedes(key.id),
        last.demand.leaseDuration == demand.leaseDuration,
        last.demand.maxExpiredLeases == demand.maxExpiredLeases
      {
        batches[batches.count - 1].ids = last.ids.lowerBound...key.id
      } else {
        batches.append(Batch(ids: key.id...key.id, demand: demand))
      }
    }
    return batches
  }
}
