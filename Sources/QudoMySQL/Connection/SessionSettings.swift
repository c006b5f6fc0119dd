#if MySQL
internal import Qudo

/// The session settings that Qudo relies on. The server's defaults and its `init_connect` may differ.
enum SessionSettings {
  /// The number of statements before the one that ``facts(_:)`` reads.
  static let count = 3

  /// - Parameters:
  ///   - lockWait: How many seconds a statement waits for a lock. It is shorter than the read timeout, so
  ///     that the server gives up first.
  ///   - idleSeconds: ``Settings/idleTransactionTimeout``.
  ///   - setsTime: Whether to set `timestamp` back to the clock. Some servers let no client change it.
  static func statements(lockWait: Int64, idleSeconds: Int64, setsTime: Bool = true) -> [SQL] {
    [
      // A separate statement, because the server reads the literals of a text in the connection's character
      // set.
      "SET NAMES utf8mb4",
      """
      SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', SESSION autocommit = 0,
        SESSION completion_type = 0,
        SESSION innodb_lock_wait_timeout = \(lockWait), SESSION lock_wait_timeout = \(max(lockWait, 10)),
        SESSION sql_safe_updates = 0,
        SESSION sql_select_limit = 18446744073709551615, SESSION sql_big_selects = 1, SESSION sql_auto_is_null = 0,
        SESSION unique_checks = 1, SESSION foreign_key_checks = 1\(setsTime ? ", timestamp = DEFAULT" as SQL : "")
        /*M!100600 , SESSION max_statement_time = 0, SESSION idle_transaction_timeout = \(idleSeconds) */
        /*!80000 , SESSION max_execution_time = 0, SESSION wait_timeout = LEAST(@@SESSION.wait_timeout, 60),
          SESSION information_schema_stats_expiry = 0 */
      """,
      "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE", facts,
    ]
  }

  /// The ids of the rows of one INSERT are consecutive if the increment is 1.
  private static let facts: SQL = """
    SELECT @@version, @@max_allowed_packet, @@innodb_flush_log_at_trx_commit, @@innodb_doublewrite, @@log_bin,
      @@sync_binlog,
      @@auto_increment_increment, @@auto_increment_offset, 0 /*M!100600 OR @@binlog_format = 'STATEMENT' */,
      ABS(TIMESTAMPDIFF(SECOND, NOW(), SYSDATE())) > 1, \(Transaction.serverTime)
    """

  /// - Throws: `QudoError.Code.unsupportedDatabase` if Qudo cannot use the server with its settings.
  static func facts(_ row: Row) throws(QudoError) -> MySQLServerFacts {
    let losses = MySQLServerFacts.losesOnPowerCut(
      flush: row.integer(2), doublewrite: row.text(3), hasBinaryLog: row.integer(4) != 0,
      syncBinaryLog: row.integer(5))
    let facts = MySQLServerFacts(
      version: row.text(0), longestPacket: Int(clamping: row.integer(1)), losesOnPowerCut: losses)
    try facts.checkVersion()
    if row.integer(4) != 0, row.integer(8) != 0 {
      throw QudoError(
        .unsupportedDatabase,
        "the server's binary log does not support READ COMMITTED: set its binlog_format to MIXED or ROW")
    }
    if row.integer(9) != 0 {
      throw QudoError(
        .unsupportedDatabase,
        "the server sets each session's timestamp, which stops the clock: remove that from its init_connect"
      )
    }
    return facts
  }
}
#endif
