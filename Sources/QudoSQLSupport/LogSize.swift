package import Qudo

/// The queries of one log that ``LogSize`` needs.
package protocol LogRows {
  /// Counts all rows, by the smallest index.
  ///
  /// - Returns: The number of rows and the ids of the oldest and the newest of them, all at one moment.
  func all() throws(QudoError) -> (count: Int, oldest: Int64, newest: Int64)
  /// Counts the rows with these ids.
  func count(_ ids: ClosedRange<Int64>) throws(QudoError) -> Int
  /// Returns the id of the row that comes `offset` rows after the row `first`; nil if the latter is not there at that moment,
  /// because another process has pruned it.
  func id(_ offset: Int, from first: Int64) throws(QudoError) -> Int64?
}

/// Finds the rows of a log that are not among the newest ones, without counting these each time.
///
/// Ids may have gaps: servers leave some after rollbacks and bulk inserts, or number in steps. So the distance of two ids bounds the
/// number of rows between them, and does not tell it. This value remembers how many rows followed a certain row. Rows are added
/// behind the newest id and pruned from the oldest on, so as long as that row is there, only rows that were written since are counted.
/// If other processes have pruned it, a later row that is remembered, too, takes its place. Each row is therefore counted a few times
/// in its life, and a log whose ids are no further apart than the rows to keep not at all.
///
/// A row that a slow transaction commits among older ones is missed until the next count of all rows: then more rows stay than asked
/// for, never fewer.
package struct LogSize: Sendable {
  private struct Mark {
    let id: Int64
    /// How many rows there were from this one on.
    var rows: Int
  }
  private struct Known {
    /// Not empty; in the order of the ids.
    var marks: [Mark]
    /// The newest row that was counted.
    var last: Int64
    /// How many rows were added since all were counted.
    var added = 0

    var first: Mark { marks[0] }
  }

  /// The number of other marks behind the first one, and the number of rows from one mark to the next for so many rows to keep.
  /// A row between two marks that others pruned costs a count up to the next mark.
  private static let otherMarks = 64
  private static func distance(_ keep: Int) -> Int { max(100, keep / 1000) }

  private var known: Known?

  package init() {}

  /// Returns the id up to which no row is among the `keep` newest ones; nil if there is no such row.
  ///
  /// - Parameters:
  ///   - oldest: The id of the oldest row.
  ///   - newest: The id of the newest row.
  package mutating func surplus(
    beyond keep: Int, oldest: Int64, newest: Int64, in log: some LogRows
  ) throws(QudoError) -> Int64? {
    guard keep > 0 else { return newest }
    guard newest.clampedMinus(oldest) >= Int64(keep) else { return nil }
    let grown = try grown(newest, log)
    // All rows are known, or more than there are.
    if let grown, grown.first.rows <= keep, oldest >= grown.first.id {
      known = grown
      return nil
    }
    known = nil
    let kept = try grown.flatMap { grown throws(QudoError) in try shortened(grown, oldest, log) }
    if let kept, kept.first.rows >= keep, kept.added <= max(keep, 10_000) {
      known = try advanced(kept, keep, log)
    } else {
      let all = try log.all()
      known = try advanced(Known(marks: [Mark(id: all.oldest, rows: all.count)], last: all.newest), keep, log)
      try addMarks(keep, log)
    }
    guard let first = known?.first, first.rows == keep, oldest < first.id else { return nil }
    return first.id - 1
  }

  /// Returns what is known, with the rows that were written since.
  private func grown(_ newest: Int64, _ log: some LogRows) throws(QudoError) -> Known? {
    // Another database, for example a restored one, may have lower ids.
    guard var known, known.last <= newest else { return nil }
    guard known.last < newest else { return known }
    let added = try log.count(known.last + 1...newest)
    for index in known.marks.indices { known.marks[index].rows += added }
    known.added += added
    known.last = newest
    return known
  }

  /// Returns what is known without the rows that other processes have pruned; nil if it says nothing of the others.
  private func shortened(_ known: Known, _ oldest: Int64, _ log: some LogRows) throws(QudoError) -> Known? {
    guard oldest > known.first.id else { return known }
    var known = known
    known.marks.removeAll { $0.id < oldest }
    guard let next = known.marks.first else { return nil }
    if next.id > oldest {
      known.marks.insert(Mark(id: oldest, rows: next.rows + (try log.count(oldest...next.id - 1))), at: 0)
    }
    return known
  }

  /// Moves the first mark to the oldest row to keep; nil if the first row is gone, and with it perhaps others.
  private func advanced(_ known: Known, _ keep: Int, _ log: some LogRows) throws(QudoError) -> Known? {
    let surplus = known.first.rows - keep
    guard surplus > 0 else { return known }
    guard let first = try log.id(surplus, from: known.first.id) else { return nil }
    var known = known
    known.marks.removeAll { $0.id <= first }
    known.marks.insert(Mark(id: first, rows: keep), at: 0)
    return known
  }

  private mutating func addMarks(_ keep: Int, _ log: some LogRows) throws(QudoError) {
    guard var mark = known?.first, mark.rows == keep else { return }
    let distance = Self.distance(keep)
    for _ in 0..<Self.otherMarks where mark.rows > distance {
      guard let id = try log.id(distance, from: mark.id) else { return }
      mark = Mark(id: id, rows: mark.rows - distance)
      known?.marks.append(mark)
    }
  }
}
