#if MySQL
internal import Qudo

/// The logs have no index by time, which each row would pay for: what is old enough is looked up without a lock, and
/// deleted by id.
extension Transaction {
  /// - Returns: how many were still there; nil if nothing is left to be deleted.
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
