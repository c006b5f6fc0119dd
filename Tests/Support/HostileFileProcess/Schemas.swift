import Foundation

/// Tables that are called like Qudo's, and rules that are not Qudo's.
extension Corpus {
  static let tables = [
    "qudo_schema", "qudo_info", "qudo_kind", "qudo_instance", "qudo_job", "qudo_ready", "qudo_delayed",
    "qudo_running", "qudo_failure",
    "qudo_status", "qudo_receipt", "qudo_import_source", "qudo_import", "qudo_rest",
  ]
  private static let indexes = ["qudo_job_unique", "qudo_failure_kind", "qudo_status_kind"]
  /// Whoever runs what is planted leaves something here.
  static let mark = "CREATE TABLE qudo_mark(what)"

  private static func sql(_ name: String, _ sql: String) -> Case {
    Case(name) { path, _ in try Raw(path).run(sql) }
  }

  private static func rewritten(_ name: String, _ table: String, _ old: String, _ new: String) -> Case {
    Case(name) { path, _ in
      let raw = try Raw(path)
      try raw.rewrite(table, old, new)
      try raw.checkpoint()
    }
  }

  static func schemas() -> [Case] {
    foreign() + shapes() + versions() + rules()
  }

  /// In a file that is not Qudo's.
  private static func foreign() -> [Case] {
    (tables + ["qudo_", "QUDO_JOB", "qudo_mine"]).flatMap { table in
      [
        "CREATE TABLE \(table)(a)", "CREATE VIEW \(table) AS SELECT 1 AS a",
        "CREATE VIRTUAL TABLE \(table) USING fts5(a)",
        "CREATE TABLE \(table)(a PRIMARY KEY, b) WITHOUT ROWID",
      ].map { make in
        Case("another's: \(make)", copies: false) { path, _ in
          try Raw(path).run("PRAGMA journal_mode = WAL; \(make)")
        }
      }
    }
  }

  /// Of the healthy file.
  private static func shapes() -> [Case] {
    var cases: [Case] = []
    for table in tables {
      cases.append(sql("\(table) is gone", "DROP TABLE \(table)"))
      cases.append(
        sql(
          "\(table) is a view",
          "\(mark); CREATE TABLE kept AS SELECT * FROM \(table); DROP TABLE \(table); CREATE VIEW \(table) AS SELECT * FROM kept"
        ))
      cases.append(
        sql(
          "\(table) has no types",
          "CREATE TABLE kept AS SELECT * FROM \(table); DROP TABLE \(table); CREATE TABLE \(table) AS SELECT * FROM kept"
        ))
      cases.append(
        sql(
          "\(table) is a full-text table",
          "DROP TABLE \(table); CREATE VIRTUAL TABLE \(table) USING fts5(id, kind, value)"))
      cases.append(
        sql(
          "\(table) is an R-tree", "DROP TABLE \(table); CREATE VIRTUAL TABLE \(table) USING rtree(id, a, b)")
      )
      cases.append(
        sql("\(table) has one more column", "ALTER TABLE \(table) ADD COLUMN extra TEXT DEFAULT 'x'"))
      cases.append(
        sql(
          "\(table) has a computed column", "ALTER TABLE \(table) ADD COLUMN extra AS (zeroblob(100000000))"))
      cases.append(
        sql(
          "\(table) was renamed twice",
          "ALTER TABLE \(table) RENAME TO other; ALTER TABLE other RENAME TO \(table)"))
      cases.append(
        Case("\(table)'s columns are called otherwise") { path, _ in
          let raw = try Raw(path)
          let column = try raw.column("SELECT name FROM pragma_table_info('\(table)') ORDER BY cid DESC")[0]
          try raw.run("ALTER TABLE \(table) RENAME COLUMN \"\(column)\" TO other")
        })
      cases.append(
        Case("\(table) without a rowid, or with one") { path, _ in
          let raw = try Raw(path)
          let text = try raw.column("SELECT sql FROM sqlite_schema WHERE name = '\(table)'")[0]
          try raw.run("DROP TABLE \(table)")
          try raw.run(
            text.contains("WITHOUT ROWID")
              ? text.replacingOccurrences(of: "WITHOUT ROWID", with: "")
              : text.replacingOccurrences(of: " AUTOINCREMENT", with: "") + " WITHOUT ROWID")
        })
      cases.append(rewritten("\(table)'s text is no SQL", table, "CREATE TABLE", "CREATE TROUBLE"))
      cases.append(rewritten("\(table)'s text makes a strict table", table, "(", "(strict TEXT, "))
    }
    for index in indexes {
      cases.append(sql("\(index) is gone", "DROP INDEX \(index)"))
      cases.append(
        Case("\(index) is of another column") { path, _ in
          let raw = try Raw(path)
          let table = try raw.column("SELECT tbl_name FROM sqlite_schema WHERE name = '\(index)'")[0]
          try raw.run("DROP INDEX \(index); CREATE INDEX \(index) ON \(table)(codec)")
        })
      cases.append(
        Case("\(index) lies on a table's page") { path, _ in
          try Raw(path).run(
            """
            PRAGMA writable_schema = ON;
            UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'qudo_job') WHERE name = '\(index)'
            """)
        })
    }
    for table in tables {
      for page in ["1", "0", "-1", "999999", "(SELECT rootpage FROM sqlite_schema WHERE name = 'qudo_kind')"]
      {
        cases.append(
          Case("\(table) lies on page \(page.prefix(8))") { path, _ in
            try Raw(path).run(
              "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = \(page) WHERE name = '\(table)'"
            )
          })
      }
    }
    return cases
  }

  private static func versions() -> [Case] {
    var cases = [
      sql("no version", "DELETE FROM qudo_schema"),
      sql(
        "10,000 versions",
        """
        INSERT INTO qudo_schema SELECT value, 0, 1, 1 FROM (
          WITH RECURSIVE n(value) AS (SELECT 4 UNION ALL SELECT value + 1 FROM n WHERE value < 10000) SELECT value FROM n)
        """),
    ]
    for version in ["0", "-1", "1", "2", "1000000000", "9223372036854775807", "-9223372036854775808"] {
      cases.append(
        sql(
          "version \(version)", "DELETE FROM qudo_schema; INSERT INTO qudo_schema VALUES(\(version), 0, 1, 1)"
        ))
      cases.append(
        sql(
          "version 1 as well as \(version), for writers from it on",
          "INSERT OR REPLACE INTO qudo_schema VALUES(\(version), 0, 1, \(version))"))
    }
    for lowest in ["'x'", "x'00'", "9e999", "-1"] {
      cases.append(sql("for writers from \(lowest) on", "UPDATE qudo_schema SET lowest_writer = \(lowest)"))
    }
    return cases
  }

  /// Rules and expressions that an attacker would have SQLite compute.
  private static func rules() -> [Case] {
    let bad = [
      "load_extension('/tmp/hostile.so')", "writefile('/tmp/hostile', 'x')", "eval('DELETE FROM qudo_job')",
      "edit('x')",
      "fts3_tokenizer('simple')", "readfile('/etc/passwd')", "zeroblob(900000000)", "randomblob(900000000)",
      "abs(-9223372036854775808)",
      "printf('%.*c', 900000000, 'x')", "no_such_function(1)", "sqlite_rename_quotefix('x', 'y')",
    ]
    var cases: [Case] = []
    for expression in bad {
      for (table, column) in [
        ("qudo_job", "payload BLOB NOT NULL"), ("qudo_ready", "rank INTEGER NOT NULL"),
        ("qudo_failure", "message TEXT NOT NULL"),
      ] {
        cases.append(
          rewritten("\(table) CHECK \(expression)", table, column, "\(column) CHECK(\(expression) IS NULL)"))
        cases.append(
          rewritten("\(table) DEFAULT \(expression)", table, column, "\(column) DEFAULT (\(expression))"))
        cases.append(
          rewritten("\(table) GENERATED \(expression)", table, column, "\(column), extra AS (\(expression))"))
        cases.append(
          rewritten(
            "\(table) stored \(expression)", table, column, "\(column), extra AS (\(expression)) STORED"))
      }
      cases.append(
        Case("an index of \(expression)") { path, _ in
          let raw = try Raw(path)
          try raw.run("CREATE INDEX planted ON qudo_job(rank)")
          try raw.rewrite("planted", "(rank)", "(\(expression))")
        })
      cases.append(
        Case("an index where \(expression)") { path, _ in
          let raw = try Raw(path)
          try raw.run("CREATE INDEX planted ON qudo_job(rank)")
          try raw.rewrite("planted", "(rank)", "(rank) WHERE \(expression)")
        })
      cases.append(
        Case("the unique index where \(expression)") { path, _ in
          try Raw(path).rewrite(
            "qudo_job_unique", "unique_scope IS NOT NULL", "unique_scope IS NOT NULL AND \(expression)")
        })
    }
    for (old, new) in [
      ("TEXT NOT NULL UNIQUE", "TEXT NOT NULL UNIQUE ON CONFLICT REPLACE"),
      ("TEXT NOT NULL UNIQUE", "TEXT NOT NULL COLLATE NOCASE UNIQUE"),
      ("TEXT NOT NULL UNIQUE", "TEXT NOT NULL COLLATE nobody UNIQUE"),
      ("INTEGER PRIMARY KEY", "\"INTEGER PRIMARY KEY\""),
      ("INTEGER PRIMARY KEY", "INTEGER PRIMARY KEY REFERENCES qudo_instance(id) ON DELETE CASCADE"),
    ] { cases.append(rewritten("qudo_kind: \(new)", "qudo_kind", old, new)) }
    cases.append(
      sql(
        "a unique index",
        "CREATE UNIQUE INDEX planted ON qudo_job(kind, id); CREATE UNIQUE INDEX planted2 ON qudo_failure(failed_at, id)"
      ))
    cases.append(sql("a plain index", "CREATE INDEX planted ON qudo_job(kind, due DESC)"))
    cases.append(
      sql(
        "a table that refers to jobs",
        """
        \(mark); CREATE TABLE child(job INTEGER REFERENCES qudo_job(id) ON DELETE CASCADE);
        CREATE TRIGGER planted AFTER DELETE ON child BEGIN INSERT INTO qudo_mark VALUES('child'); END;
        INSERT INTO child SELECT id FROM qudo_job
        """))
    return cases
  }

  /// Triggers and views that leave a mark if anybody runs them.
  static func plants() -> [Case] {
    var cases: [Case] = []
    for table in tables {
      for time in ["BEFORE", "AFTER"] {
        for verb in ["INSERT", "UPDATE", "DELETE"] {
          cases.append(
            sql(
              "a trigger \(time) \(verb) ON \(table)",
              "\(mark); CREATE TRIGGER planted \(time) \(verb) ON \(table) BEGIN INSERT INTO qudo_mark VALUES('\(table)'); END"
            ))
        }
      }
      cases.append(
        sql(
          "a trigger that is called \(table)",
          "\(mark); CREATE TRIGGER \(table) AFTER INSERT ON qudo_job BEGIN INSERT INTO qudo_mark VALUES('named'); END"
        ))
      cases.append(
        sql(
          "a trigger that refuses all on \(table)",
          "CREATE TRIGGER planted BEFORE INSERT ON \(table) BEGIN SELECT RAISE(ABORT, 'no'); END"))
      cases.append(
        sql(
          "a view for \(table) with a trigger instead",
          """
          \(mark); CREATE TABLE kept AS SELECT * FROM \(table); DROP TABLE \(table); CREATE VIEW \(table) AS SELECT * FROM kept;
          CREATE TRIGGER planted INSTEAD OF INSERT ON \(table) BEGIN INSERT INTO qudo_mark VALUES('instead'); END
          """))
    }
    cases.append(
      sql(
        "triggers that fire each other",
        """
        \(mark); CREATE TRIGGER a AFTER INSERT ON qudo_job BEGIN INSERT INTO qudo_kind(name) VALUES(hex(randomblob(8))); END;
        CREATE TRIGGER b AFTER INSERT ON qudo_kind BEGIN INSERT INTO qudo_kind(name) VALUES(hex(randomblob(8))); INSERT INTO qudo_mark VALUES('b'); END
        """))
    cases.append(
      sql(
        "a view that never ends",
        """
        CREATE VIEW qudo_endless AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n
        """))
    return cases
  }
}
