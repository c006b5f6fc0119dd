/// Ids as ranges: an id that follows the last one extends its range, any other begins a new one.
struct IDRanges {
  private(set) var ranges: [ClosedRange<Int64>] = []

  init() {}

  init(_ ids: ClosedRange<Int64>) { ranges = [ids] }

  mutating func append(_ id: Int64) {
    guard let last = ranges.last, last.precedes(id) else { return ranges.append(id...id) }
    ranges[ranges.count - 1] = last.lowerBound...id
  }

  mutating func append(_ ids: ClosedRange<Int64>) {
    guard let last = ranges.last, last.precedes(ids.lowerBound) else { return ranges.append(ids) }
    ranges[ranges.count - 1] = last.lowerBound...ids.upperBound
  }
}

extension ClosedRange<Int64> {
  /// Whether an id is the first one after the range.
  func precedes(_ id: Int64) -> Bool { upperBound < id && upperBound &+ 1 == id }

  /// Whether the range has more ids than that. A range from a damaged file may have more than an integer can count.
  func hasMore(than count: Int) -> Bool {
    let (length, isTooLong) = upperBound.subtractingReportingOverflow(lowerBound)
    return isTooLong || length >= Int64(count)
  }
}
