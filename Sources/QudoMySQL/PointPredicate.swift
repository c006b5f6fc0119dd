#if MySQL
internal import Qudo

/// How many ids, or points of a key, are in one statement: with very many a server gives up its index for a scan
/// (`range_optimizer_max_mem_size`, `optimizer_max_sel_arg_weight`).
let mostPoints = 500

extension Collection where Index == Int {
  /// In parts of that many at most.
  func parts(of most: Int = mostPoints) -> [SubSequence] {
    stride(from: startIndex, to: endIndex, by: most).map { self[$0..<Swift.min($0 + most, endIndex)] }
  }
}

extension Array where Element == Int64 {
  /// In parts for `\(ids:)`: all at once when that is a few ranges.
  ///
  /// To be called on ids in ascending order, each once.
  func idParts() -> [ArraySlice<Int64>] { SQL.Interpolation.ranges(self) == nil ? parts() : [self[...]] }
}

/// Elements by a key, in the order in which the keys came first. Most often the next element has the key of the one before.
struct Groups<Key: Hashable, Element> {
  private(set) var all: [(key: Key, elements: [Element])] = []
  private var places: [Key: Int] = [:]
  private var last = 0

  mutating func add(_ element: Element, to key: Key) {
    if last >= all.count || all[last].key != key {
      last = places[key] ?? all.count
      if last == all.count {
        places[key] = last
        all.append((key, []))
      }
    }
    all[last].elements.append(element)
  }
}

/// Rows of a table by their whole keys: those with the same beginning of the key together, as plain ANDs and ORs. A row
/// constructor with IN is not looked up in the index when it has one row only.
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
  ///   - range: a whole condition, which counts as one point.
  ///   - count: how many rows fit it.
  mutating func add(range: SQL, count: Int) {
    counts[beginnings.count] = count
    beginnings.append(range)
    ids.append([])
  }

  /// Conditions with a bounded number of points each.
  var conditions: [SQL] { counted.map(\.condition) }

  /// The same, each with the number of rows that fit it if all are there.
  var counted: [(condition: SQL, count: Int)] {
    var conditions: [(condition: SQL, count: Int)] = []
    var arms: [SQL] = []
    var (points, rows) = (0, 0)
    for (index, (beginning, ids)) in zip(beginnings, ids).enumerated() {
      let parts = ids.isEmpty ? [[]] : ids.sorted().idParts()
      for part in parts {
        // Longer ones are ranges.
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
