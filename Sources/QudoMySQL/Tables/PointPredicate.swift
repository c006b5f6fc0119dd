#if MySQL
internal import Qudo

/// The maximum number of ids, or points of a key, in one statement. With very many of them, a server drops
/// its index for a scan (`range_optimizer_max_mem_size`, `optimizer_max_sel_arg_weight`).
let mostPoints = 500

extension Collection where Index == Int {
  /// Splits the collection into parts of at most `most` elements.
  func parts(of most: Int = mostPoints) -> [SubSequence] {
    stride(from: startIndex, to: endIndex, by: most).map { self[$0..<Swift.min($0 + most, endIndex)] }
  }
}

extension Array where Element == Int64 {
  /// Splits the ids into parts for `\(ids:)`: into a single part if they form a few ranges.
  ///
  /// The ids must be in ascending order, each once.
  func idParts() -> [ArraySlice<Int64>] { SQL.Interpolation.ranges(self) == nil ? parts() : [self[...]] }
}

/// Elements grouped by key, in the order in which the keys came first. Usually the next element has the key
/// of the previous one.
struct Groups<Key: Hashable, Element> {
  private(set) var all: [(key: Key, elements: [Element])] = []
  /// The positions of the keys, from the second one on.
  private var places: [Key: Int] = [:]
  private var last = 0

  mutating func add(_ element: Element, to key: Key) {
    guard let first = all.first?.key else {
      all.append((key, [element]))
      return
    }
    if all[last].key != key {
      last = key == first ? 0 : places[key] ?? all.count
      if last == all.count {
        places[key] = last
        all.append((key, []))
      }
    }
    all[last].elements.append(element)
  }
}

/// A condition for rows of a table, given by their whole keys. It combines the rows with the same beginning
/// of the key, as plain ANDs and ORs. A server does not look up a row constructor with IN in the index if it
/// has only one row.
struct PointPredicate {
  private var beginnings: [SQL] = []
  private var ids: [[Int64]] = []
  private var counts: [Int: Int] = [:]

  mutating func add(_ beginning: SQL, _ id: Int64) {
    if let last = beginnings.last, last.bytes == beginning.bytes {
      ids[ids.count - 1].append(id)
    } else {
      beginnings.append(beginning)
      ids.append([id])
    }
  }

  /// - Parameters:
  ///   - range: A whole condition, which counts as one point.
  ///   - count: The number of rows that match it.
  mutating func add(range: SQL, count: Int) {
    counts[beginnings.count] = count
    beginnings.append(range)
    ids.append([])
  }

  /// The conditions, with a limited number of points each.
  var conditions: [SQL] { counted.map(\.condition) }

  /// The conditions, each with the number of rows that match it if all rows exist.
  var counted: [(condition: SQL, count: Int)] {
    var conditions: [(condition: SQL, count: Int)] = []
    var arms: [SQL] = []
    var (points, rows) = (0, 0)
    for (index, (beginning, ids)) in zip(beginnings, ids).enumerated() {
      let parts = ids.isEmpty ? [[]] : ids.sorted().idParts()
      for part in parts {
        // A longer part consists of ranges.
        let count = part.count > mostPoints ? 1 : max(1, part.count)
        if points + count > mostPoints {
          conditions.append((arms.joined(" OR "), rows))
          (arms, points, rows) = ([], 0, 0)
        }
        arms.append(part.isEmpty ? "(\(beginning))" : "(\(beginning) AND \(ids: part))")
        points += count
        rows += part.isEmpty ? counts[index] ?? 0 : part.count
      }
    }
    if !arms.isEmpty { conditions.append((arms.joined(" OR "), rows)) }
    return conditions
  }
}
#endif
