internal import Qudo
internal import QudoSQLite

/// A check that every row of an old file can be imported.
struct PerlCheck {
  let database: ForeignFile
  let options: ImportOptions

  func run() throws(QudoError) {
    try requireSoundFile()
    try refuse(try tableProblems())
    try refuse(try duplicates())
    var problems: [String] = []
    try PerlReader(database: database, options: options).each { _ in
    } refused: {
      problems.append($0)
    }
    try refuse(problems)
  }

  /// Throws if the file is damaged.
  ///
  /// "quick_check ... does most of the checking of PRAGMA integrity_check but runs much faster": it skips the indexes,
  /// and an import does not read them.
  private func requireSoundFile() throws(QudoError) {
    var findings: [String] = []
    try database.each("PRAGMA quick_check(1)") { row in findings.append(row.text(0)) }
    guard findings == ["ok"] else {
      throw QudoError(
        .corrupt,
        "the old file is damaged (\(findings.first?.debugDescription ?? "")): "
          + "restore it from a backup, or salvage its rows with `sqlite3 FILE .dump`")
    }
  }

  private static let shown = 10

  private func refuse(_ problems: [String]) throws(QudoError) {
    guard !problems.isEmpty else { return }
    let more = problems.count > Self.shown ? ["and \(problems.count - Self.shown) more"] : []
    throw QudoError(
      .unsupportedDatabase,
      "the file cannot be imported, and nothing was written:\n  "
        + (problems.prefix(Self.shown) + more).joined(separator: "\n  "))
  }

  /// Returns a problem for each missing table or column of the Perl Qudo, and for each foreign column that contains
  /// data, which an import would lose.
  private func tableProblems() throws(QudoError) -> [String] {
    var problems: [String] = []
    for table in ImportReport.Table.allCases {
      let name = table.rawValue
      guard
        try database.integer(
          "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ? COLLATE NOCASE", name) != nil
      else {
        problems.append("the table \(name) is missing")
        continue
      }
      var columns: [String] = []
      try database.each("SELECT name FROM pragma_table_info(?)", name) { row throws(QudoError) in
        columns.append(row.text(0))
      }
      let known = table.columns
      for column in known where !columns.contains(where: { $0.lowercased() == column }) {
        problems.append("the table \(name) has no column \(column)")
      }
      for column in columns where !known.contains(column.lowercased()) {
        let quoted = "\"" + column.replacing("\"", with: "\"\"") + "\""
        let filled =
          try database.integer("SELECT count(*) FROM \(name) WHERE \(quoted) IS NOT NULL") ?? 0
        if filled > 0 {
          problems.append(
            "the table \(name) has a column \(column.debugDescription) that is not Qudo's, with data in \(filled) rows"
          )
        }
      }
    }
    return problems
  }

  /// Returns a problem for each job that shares its kind and unique key with another job.
  ///
  /// The Perl Qudo's unique index forbids such jobs; a table created by other means may contain some.
  private func duplicates() throws(QudoError) -> [String] {
    var problems: [String] = []
    try database.each(
      "SELECT max(id), min(id) FROM job WHERE uniqkey IS NOT NULL GROUP BY func_id, CAST(uniqkey AS BLOB) HAVING count(*) > 1 ORDER BY 1"
    ) { row throws(QudoError) in
      problems.append("job \(row.integer(0)): job \(row.integer(1)) has the same func_id and uniqkey")
    }
    return problems
  }
}

extension ImportReport.Table {
  /// The columns that `lib/Qudo/Test.pm` creates for SQLite, from version 0.0208 (2010) to 0.0214, the last one.
  var columns: [String] {
    switch self {
    case .func: ["id", "name"]
    case .job:
      [
        "id", "func_id", "arg", "uniqkey", "enqueue_time", "grabbed_until", "run_after", "retry_cnt",
        "priority",
      ]
    case .exceptionLog: ["id", "func_id", "exception_time", "message", "uniqkey", "arg", "retried"]
    case .jobStatus: ["id", "func_id", "arg", "uniqkey", "status", "job_start_time", "job_end_time"]
    }
  }
}
