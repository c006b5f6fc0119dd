#if MySQL
internal import Qudo

/// A statement that writes, and how many rows it must change.
///
/// A server that is told to stop a statement can report success all the same. MariaDB's optimizer takes a stopped look
/// at an index for "no row fits": `mysql_delete()` ends with `my_ok(thd, 0)` where `check_quick()` gave up, the stop is
/// forgotten, and the statements that follow go on, COMMIT too. So each statement that finds its rows by a condition
/// says how many there are, and a transaction with one that changed another number is never committed: the client
/// compares the counts of what it has read before the commit, and the server those of the text that ends with COMMIT,
/// by an expression that fails. No statement comes after one that failed.
struct Write {
  /// The text before ``value``.
  private let start: SQL
  /// A value of a NOT NULL column, which can hold the check of the statement before: that costs no statement of its
  /// own.
  private let value: SQL?
  private let rest: SQL
  /// How many rows it must change; nil where nothing depends on that.
  let count: Int?
  let then: ((StatementResult) -> Void)?

  init(_ sql: SQL, count: Int?, then: ((StatementResult) -> Void)?) {
    (start, value, rest, self.count, self.then) = (sql, nil, "", count, then)
  }

  /// - Parameter value: of a NOT NULL column, in an INSERT of one row.
  init(_ start: SQL, holding value: SQL, _ rest: SQL) {
    (self.start, self.value, self.rest, count, then) = (start, value, rest, nil, nil)
  }

  var holdsCheck: Bool { value != nil }

  /// - Parameter count: how many rows the statement before must have changed.
  func text(checking count: Int?) -> SQL {
    guard let value else { return start }
    guard let count else { return start + value + rest }
    return start + "IF(ROW_COUNT() = \(count), \(value), NULL)" + rest
  }

  /// Fails unless the statement before has changed as many rows: "BIGINT value is out of range". DO would not fail.
  static func check(_ count: Int) -> SQL { check("ROW_COUNT() <> \(count)") }

  /// - Parameter fault: 1 or 0.
  static func check(_ fault: SQL) -> SQL { "SET @qudo_short = 9223372036854775807 + (\(fault))" }
}

extension QudoError {
  /// A statement changed fewer rows than it must, or more.
  static func short(_ affected: Int, _ count: Int) -> QudoError {
    .mysql(MySQLError(code: MySQLError.short, message: "a statement changed \(affected) of \(count) rows"))
  }
}
#endif
