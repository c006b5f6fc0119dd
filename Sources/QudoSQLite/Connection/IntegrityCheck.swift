internal import Qudo

/// The result of SQLite's check of a whole file.
struct IntegrityReport {
  /// The damage, in SQLite's words.
  var problems: [String] = []
  /// Rows of an application's tables that violate its own constraints, by table: the file is not damaged.
  var violations: [(table: String, text: String)] = []
  /// The tables that need functions or collations of the application's own.
  var unchecked: [String] = []
}

extension Connection {
  /// The checks of SQLite.
  enum IntegrityPragma: String {
    /// "does not verify UNIQUE constraints and does not verify that index content matches table content".
    case quick = "quick_check"
    case full = "integrity_check"
  }

  /// Checks the pages and the rows of the whole file.
  ///
  /// An application's tables in the same file may have indexes on its own functions and collations, which this connection does
  /// not know, so that SQLite checks nothing. Then each table is checked by itself.
  func checkIntegrity(_ pragma: IntegrityPragma) throws(QudoError) -> IntegrityReport {
    // CHECK constraints are the application's, and may call its functions; Qudo's tables have none.
    try run("PRAGMA ignore_check_constraints = 1")
    // If this fails, nothing is at risk: Qudo writes to its own tables only, and the caller hears of the check's own error.
    defer { try? run("PRAGMA ignore_check_constraints = 0") }
    var report = IntegrityReport()
    do throws(QudoError) {
      try check("\(pragma.rawValue)(\(Self.most))", &report)
      // The rest of the lines may be about other tables.
      guard !report.violations.isEmpty, report.problems.count + report.violations.count >= Self.most else {
        return report
      }
    } catch  where error.code == .database {
      // "no such collation sequence", "unknown function"
    }
    report = IntegrityReport()
    for table in try tables() {
      do throws(QudoError) {
        // "If the argument is the name of a table, then the integrity check is only performed on the table named and its
        // associated indexes" (sqlite.org/pragma.html#pragma_integrity_check).
        try check("\(pragma.rawValue)('\(table.replacing("'", with: "''"))')", &report)
      } catch  where error.code == .database {
        report.unchecked.append(table)
      }
    }
    return report
  }

  private static var most: Int { 20 }

  private func tables() throws(QudoError) -> [String] {
    var names: [String] = []
    try each("SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 ORDER BY name") {
      row throws(QudoError) in names.append(row.text(0))
    }
    return names
  }

  private func check(_ pragma: String, _ report: inout IntegrityReport) throws(QudoError) {
    var lines: [String] = []
    do throws(QudoError) {
      try each("PRAGMA \(pragma)", values: []) { row throws(QudoError) in
        // Its first row may have several lines, the first one a heading.
        lines += row.text(0).split(separator: "\n").filter { !$0.hasPrefix("***") }.map(String.init)
      }
    } catch {
      guard error.code == .corrupt, let cause = error.cause as? SQLiteError else { throw error }
      lines.append(cause.message)
    }
    for line in lines where line != "ok" {
      // Such as `NULL value in TABLE.COLUMN` and, of a STRICT table, `TEXT value in TABLE.COLUMN`.
      if let place = line.firstRange(of: " value in "), !line[place.upperBound...].hasPrefix("qudo_") {
        let table = line[place.upperBound...].prefix { $0 != "." }
        report.violations.append((String(table), line))
      } else {
        report.problems.append(line)
      }
    }
  }
}
