internal import CSQLite
internal import Qudo

/// Settings for files that may be damaged or foreign: sqlite.org/security.html, "Untrusted SQLite Database Files", and,
/// because a file's schema is SQL text, "Untrusted SQL Inputs".
extension Connection {
  /// - Parameter limits: of the driver's payloads.
  func harden(_ limits: Limits = Limits()) throws(QudoError) {
    for (option, value) in Self.settings {
      let code = qudo_db_config(handle, option, value)
      guard code == SQLITE_OK else { throw .sqlite(code, handle) }
    }
    for (limit, value) in Self.limits { sqlite3_limit(handle, limit, value) }
    // Of a string, a blob or a row, in bytes: a payload, and far less besides. SQLite holds it under its own limit, of
    // 1,000,000,000 by default.
    sqlite3_limit(
      handle, SQLITE_LIMIT_LENGTH,
      Int32(clamping: limits.payloadBytes.addingReportingOverflow(64 << 20).partialValue))
    // "With cell size checking enabled, database corruption is detected earlier and is less likely to "spread". However, there is a
    // small performance hit": of pages "as they are initially read from disk", and not again of those that lie in the cache.
    try execute("PRAGMA cell_size_check = ON")
    // "Do not enable memory-mapped I/O": a file that is cut off while it is read is then an error, and not a SIGBUS. It is off by
    // default, unless SQLite was compiled otherwise.
    try execute("PRAGMA mmap_size = 0")
  }

  private static let settings: [(Int32, Int32)] = [
    // "language features that allow ordinary SQL to deliberately corrupt the database file are disabled": no PRAGMA
    // writable_schema, no writing to shadow tables.
    (SQLITE_DBCONFIG_DEFENSIVE, 1),
    // Functions and virtual tables that have side effects cannot be used in a schema: not in a CHECK, a DEFAULT, a generated column
    // or an index's expression.
    (SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0),
    // Qudo has no triggers or views, so it never runs foreign ones.
    (SQLITE_DBCONFIG_ENABLE_TRIGGER, 0), (SQLITE_DBCONFIG_ENABLE_VIEW, 0),
  ]

  /// The manual's values are for programs that run SQL of strangers. Qudo runs only its own, but SQLite parses the whole
  /// schema, including that of an application's tables in the same file: the limits that it may reach are left as wide as
  /// it may need.
  private static let limits: [(Int32, Int32)] = [
    // A list of 16,384 kinds has 50 KB, and a table's text seldom more than 10.
    (SQLITE_LIMIT_SQL_LENGTH, 1_000_000),
    // The parser goes into an expression as deep as it is nested, on a thread of Dispatch, whose stack may have no more than 512 KiB.
    // Half of SQLite's default is left to an application's tables. The number of terms of a compound SELECT and of a function's
    // arguments (500 and 127) are left to them whole: an application's view or trigger may have many.
    (SQLITE_LIMIT_EXPR_DEPTH, 500),
    // A list of 16,384 kinds takes some 50,000, and the room for them is doubled when it is full.
    (SQLITE_LIMIT_VDBE_OP, 250_000),
    // Nothing is attached, except briefly by VACUUM: see ``vacuum()``.
    (SQLITE_LIMIT_ATTACHED, 0),
    // The time that a pattern takes may grow with the square of its length. Qudo's longest has 9 bytes.
    (SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 50),
    // A list of 16,384 kinds, rounded up, and a few more.
    (SQLITE_LIMIT_VARIABLE_NUMBER, 32_766),
    // No trigger runs; an action of a foreign key is one, too.
    (SQLITE_LIMIT_TRIGGER_DEPTH, 1),
    // Sorts are small, and need no threads of their own.
    (SQLITE_LIMIT_WORKER_THREADS, 0),
  ]

  /// Runs VACUUM, which attaches the file that it writes.
  func vacuum() throws(QudoError) {
    sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 1)
    defer { sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 0) }
    do {
      try execute("VACUUM")
    } catch  where error.code == .database || error.code == .diskFull {
      // A damaged row may claim a size of gigabytes, which fails like a full disk.
      guard try isDamaged() else { throw error }
      throw QudoError(
        .corrupt, "SQLite cannot copy the tables, the file is damaged: restore it from a backup",
        cause: error.cause)
    }
  }

  private func isDamaged() throws(QudoError) -> Bool {
    var answer = ""
    try each("PRAGMA quick_check(1)") { row throws(QudoError) in answer = row.text(0) }
    return answer != "ok"
  }
}
