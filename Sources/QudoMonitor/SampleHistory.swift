package import Qudo

/// The last samples, oldest first, for sparklines and plots.
package struct SampleHistory: Sendable {
  /// The maximum number of samples.
  package let capacity: Int
  /// The maximum number of kinds per database in a sample. The history keeps those with the most unfinished jobs.
  package static let mostKinds = 200
  private var ring: [QueueSample] = []
  private var first = 0

  /// Creates an empty history.
  ///
  /// - Parameter capacity: The maximum number of samples, at least 1. Default: 300.
  package init(capacity: Int = 300) { self.capacity = max(capacity, 1) }

  /// Adds a sample without its workers, in place of the oldest one if the history is full.
  package mutating func append(_ sample: QueueSample) {
    let lean = Self.lean(sample)
    if ring.count < capacity {
      ring.append(lean)
    } else {
      ring[first] = lean
      first = (first + 1) % capacity
    }
  }

  /// The number of samples.
  package var count: Int { ring.count }
  /// The samples, oldest first.
  package var samples: [QueueSample] { Array(ring[first...] + ring[..<first]) }
  /// A sample by its age, 0 being the oldest one.
  private func sample(_ index: Int) -> QueueSample { ring[(first + index) % ring.count] }
  /// The newest sample.
  package var last: QueueSample? { ring.isEmpty ? nil : ring[(first + ring.count - 1) % ring.count] }

  /// Returns a figure of a database in each sample, oldest first; nil where the database did not answer.
  ///
  /// - Parameters:
  ///   - database: The database; nil for the sum of those that answered.
  ///   - count: The maximum number of samples. Default: all.
  package func series(
    _ database: String?, last count: Int = .max, _ figure: (DatabaseSample.DatabaseState) -> Double?
  ) -> [Double?] {
    (max(0, ring.count - max(count, 0))..<ring.count).map { index in
      var sum: Double?
      for each in sample(index).databases where database == nil || each.name == database {
        if let value = each.state.flatMap(figure) { sum = (sum ?? 0) + value }
      }
      return sum
    }
  }

  /// Returns a figure of a kind in each sample, oldest first; nil where the sample lacks it.
  package func series(
    _ kind: Kind, in database: String?, last count: Int = .max, _ figure: (KindSample) -> Double?
  ) -> [Double?] {
    series(database, last: count) { state in Self.find(kind, in: state.kinds).flatMap(figure) }
  }

  /// Finds a kind among kinds in order.
  private static func find(_ kind: Kind, in kinds: [KindSample]) -> KindSample? {
    var (low, high) = (0, kinds.count)
    while low < high {
      let middle = (low + high) / 2
      if kinds[middle].kind < kind { low = middle + 1 } else { high = middle }
    }
    return low < kinds.count && kinds[low].kind == kind ? kinds[low] : nil
  }

  private static func lean(_ sample: QueueSample) -> QueueSample {
    var sample = sample
    for index in sample.databases.indices {
      guard case .success(var state) = sample.databases[index].result else { continue }
      state.workers = []
      if state.kinds.count > mostKinds {
        state.kinds = Array(
          state.kinds.sorted { ($1.unfinished, $0.kind) < ($0.unfinished, $1.kind) }.prefix(mostKinds))
      }
      // A series finds its kind by its place.
      if zip(state.kinds, state.kinds.dropFirst()).contains(where: { $1.kind < $0.kind }) {
        state.kinds.sort { $0.kind < $1.kind }
      }
      sample.databases[index].result = .success(state)
    }
    return sample
  }
}
