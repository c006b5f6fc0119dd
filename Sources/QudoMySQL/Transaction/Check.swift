#if MySQL
internal import Qudo

/// A write statement, and the number of rows it must change.
///
/// A server that is told to stop a statement can still report success. MariaDB's optimizer takes a stopped
/// index lookup for "no row fits": `mysql_delete()` ends with `my_ok(thd, 0)` where `check_quick()` gave up,
/// the server forgets the stop, and it executes the statements that follow, COMMIT included. So each
/// statement that finds its rows by a condition states how many rows it must change, and a transaction in
/// which a statement changed another number is never committed. The client compares the counts of all
/// statements answered before the commit. The server compares the counts of the text that ends with COMMIT,
/// with an expression that fails. It executes no statement of a text after one that failed.
struct Write {
  /// The text before ``value``.
  private let start: SQL
  /// The value of a NOT NULL column, which can carry the check of the previous statement. That saves a
  /// separate statement.
  private let value: SQL?
  private let rest: SQL
  /// The number of rows that the statement must change; nil if nothing depends on it.
  let count: Int?
  let then: ((StatementResult) -> Void)?

  init(_ sql: SQL, count: Int?, then: ((StatementResult) -> Void)?) {
    (start, value, rest, self.count, self.then) = (sql, nil, "", count, then)
  }

  /// - Parameter value: The value of a NOT NULL column, in an INSERT of one row.
  init(_ start: SQL, holding value: SQL, _ rest: SQL) {
    (self.start, self.value, self.rest, count, then) = (start, value, rest, nil, nil)
  }

  var holdsCheck: Bool { value != nil }

  /// - Parameter count: The number of rows that the previous statement must have changed.
  func text(checking count: Int?) -> SQL {
    guard let value else { return start }
    guard let count else { return start + value + rest }
    return start + "IF(ROW_COUNT() = \(count), \(value), NULL)" + rest
  }

  /// Returns a statement that fails with "BIGINT value is out of range" unless the previous statement changed
  /// `count` rows. DO would not fail.
  static func check(_ count: Int) -> SQL { check("ROW_COUNT() <> \(count)") }

  /// - Parameter fault: An expression that is 1 if the check fails, and otherwise 0. Its queries lock what they read, and wait for rows
  ///   that others have locked.
  static func check(_ fault: SQL) -> SQL { "SET @qudo_short = 9223372036854775807 + (\(fault))" }

  /// As ``check(_:)``, but its queries see what is committed, without locks.
  static func checkWithoutLocks(_ fault: SQL) -> SQL {
    "SELECT 9223372036854775807 + (\(fault)) INTO @qudo_short"
  }
}

extension QudoError {
  /// The error for a statement that changed fewer or more rows than it must.
  static func short(_ affected: Int, _ count: Int) -> QudoError {
    .mysql(MySQLError(code: MySQLError.short, message: "a statement changed \(affected) of \(count) rows"))
  }
}
#endif
