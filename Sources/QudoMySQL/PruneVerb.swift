#if MySQL
internal import Qudo

/// The logs have no index by time, because every row would pay for it. The driver looks up rows that are old
/// enough without locks, and deletes them by id.
extension Transaction {
  /// - Returns: The number of rows deleted; nil if nothing is left to delete.
  func prune(_ prune: PruneOptions) throws(QudoError) -> Int? {
    guard prune.limit > 0 else { return nil }
    var count = 0
    var found = 0
    for (table, ended) in [("qudo_failure", "failed_at"), ("qudo_status", "ended_at")] as [(SQL, SQL)] {
      let ids = try oldest(table, ended: ended, prune)
      found += ids.count
      for part in ids.parts() {
        write("DELETE FROM \(table) WHERE id IN \(list: part)") { count += $0.affected }
      }
    }
    try commit(leavingReceipt: false)
    return found == 0 ? nil : count
  }

  private func oldest(_ table: SQL, ended: SQL, _ prune: PruneOptions) throws(QudoError) -> [Int64] {
    guard
      let newest = try read("SELECT id FROM \(table) ORDER BY id DESC LIMIT 1 OFFSET \(max(prune.keep, 0))")
        .next()?.integer(0)
    else { return [] }
    let before: SQL = prune.before.map { "AND \(ended) < \($0.microseconds)" } ?? ""
    return try read(
      "SELECT id FROM \(table) WHERE id <= \(newest) \(before) ORDER BY id LIMIT \(prune.limit)"
    ).map { $0.integer(0) }
  }
}
#endif
