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

/// Rows of a table by their whole keys: those with the same beginning of the key together, as plain ANDs and ORs. A row
/// constructor with IN is not looked up in the index when it has one row only.
struct Points {
  private var beginnings: [SQL] = []
  private var ids: [[Int64]] = []

  mutating func add(_ beginning: SQL, _ id: Int64) {
    if let last = beginnings.last, last.bytes == beginning.bytes {
      ids[ids.count - 1].append(id)
    } else {
      beginnings.append(beginning)
      ids.append([id])
    }
  }

  /// - Parameter range: a whole condition, which counts as one point.
  mutating func add(range: SQL) {
    beginnings.append(range)
    ids.append([])
  }

  /// Conditions with a bounded number of points each.
  var conditions: [SQL] {
    var conditions: [SQL] = []
    var arms: [SQL] = []
    var points = 0
    for (beginning, ids) in zip(beginnings, ids) {
      let parts = ids.isEmpty ? [[]] : ids.sorted().parts()
      for part in parts {
        let count = max(1, part.count)
        if points + count > mostPoints {
          conditions.append(arms.joined(" OR "))
          (arms, points) = ([], 0)
        }
        arms.append(part.isEmpty ? "(\(beginning))" : "(\(beginning) AND \(ids: part))")
        points += count
      }
    }
    if !arms.isEmpty { conditions.append(arms.joined(" OR ")) }
    return conditions
  }
}
#endif
