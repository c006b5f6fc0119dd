#if MySQL
internal import Qudo
internal import QudoSQLSupport

/// `qudo_failure`: the failed runs, and the jobs that ended without completing.
extension Transaction {
  /// Logs a failure. Of several retried runs in a row with one payload, only the first stores it.
  ///
  /// - Parameter keyed: Whether the job may have a concurrency key or a group, which a final failure keeps for a replay.
  func log(_ id: Int64, _ reason: FailureReason, message: String, final: Bool, keyed: Bool = false) {
    log([id], reason, message: message, final: final, keyed: keyed)
  }

  /// Logs failures of several jobs, in the order of their ids.
  ///
  /// - Parameters:
  ///   - ids: The jobs, in ascending order, each once.
  ///   - keyed: Whether some of the jobs may have concurrency keys or groups.
  func log(_ ids: [Int64], _ reason: FailureReason, message: String, final: Bool, keyed: Bool = false) {
    for part in ids.idParts() where !part.isEmpty {
      log(part, reason, message: message, final: final, keyed: keyed)
    }
  }

  private func log(
    _ ids: ArraySlice<Int64>, _ reason: FailureReason, message: String, final: Bool, keyed: Bool
  ) {
    let isKeyed = keyed && final
    write(
      """
      INSERT INTO qudo_failure(
        job, kind, attempt, failed_at, reason, final, message, ranking, unique_key, unique_scope, codec, meta, payload\(isKeyed ? ", concurrency_key, concurrency_limit, concurrency_stops, concurrency_rate, grp" : "" as SQL))
      SELECT id, kind, attempt, \(now.microseconds), \(reason.number), \(final ? 1 : 0), \(Array(message.utf8)), ranking, unique_key,
        unique_scope, codec, \(final ? "meta" : "NULL" as SQL), \(final ? "payload" : Self.payloadUnlessLast)\(isKeyed ? Self.keyAndLimit : "")
      FROM qudo_job WHERE \(ids: ids)\(ids.count == 1 ? "" : " ORDER BY id" as SQL)
      """, count: ids.count)
  }

  private static let keyAndLimit: SQL = """
    , concurrency_key, (
      SELECT allowed FROM qudo_key AS c WHERE c.kind = qudo_job.kind AND c.name = qudo_job.concurrency_key), (
      SELECT NULLIF(stops, 0) FROM qudo_key AS c WHERE c.kind = qudo_job.kind AND c.name = qudo_job.concurrency_key), (
      SELECT rate FROM qudo_key AS c WHERE c.kind = qudo_job.kind AND c.name = qudo_job.concurrency_key),
      (SELECT NULLIF(g.grp, '') FROM qudo_group AS g WHERE g.job = qudo_job.id)
    """

  private static let payloadUnlessLast: SQL = """
    IF(payload <=> (
      SELECT f.payload FROM qudo_failure AS f WHERE f.job = qudo_job.id AND f.payload IS NOT NULL ORDER BY f.id DESC LIMIT 1),
      NULL, payload)
    """
}
#endif
