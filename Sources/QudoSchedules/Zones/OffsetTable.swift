/// A span of time with one offset from UTC, in seconds: `start` belongs to it, `end` does not.
struct OffsetPeriod: Equatable {
  var start = Int64.min
  var end = Int64.max
  var offset: Int64
}

/// The offsets of a time zone: a table of changes, then a rule that repeats each year.
struct OffsetTable: Hashable, Sendable {
  /// The seconds since 1970 at which the offset changes, in ascending order.
  private(set) var changes: [Int64] = []
  /// The offset before the first change, and the one after each change.
  private(set) var offsets: [Int64]
  /// For the time after the last change.
  var rule: YearlyRule?

  init(offset: Int64) { offsets = [offset] }

  /// Appends a change; its second must be after the last one.
  mutating func append(_ offset: Int64, from second: Int64) {
    changes.append(second)
    offsets.append(offset)
  }

  /// A span with `second` in it in which the offset does not change.
  func period(at second: Int64) -> OffsetPeriod {
    if let last = changes.last, second < last {
      let index = numberOfChanges(through: second)
      return OffsetPeriod(
        start: index == 0 ? .min : changes[index - 1], end: changes[index], offset: offsets[index])
    }
    var period = OffsetPeriod(start: changes.last ?? .min, offset: offsets[offsets.count - 1])
    rule?.narrow(&period, around: second)
    return period
  }

  private func numberOfChanges(through second: Int64) -> Int {
    var (low, high) = (0, changes.count)
    while low < high {
      let middle = (low + high) / 2
      if changes[middle] <= second { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
