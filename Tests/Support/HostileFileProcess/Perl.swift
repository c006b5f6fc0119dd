import Foundation
import Qudo
import QudoImport
import QudoSQLite
import QudoTesting

/// Files of the Perl queue that are damaged, or made to look like one.
extension Corpus {
  static let perlTables = """
    CREATE TABLE func(id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR(255) NOT NULL, UNIQUE(name));
    CREATE TABLE job(
      id INTEGER PRIMARY KEY AUTOINCREMENT, func_id, arg, uniqkey, enqueue_time, grabbed_until, run_after, retry_cnt, priority);
    CREATE TABLE exception_log(id INTEGER PRIMARY KEY AUTOINCREMENT, func_id, exception_time, message, uniqkey, arg, retried);
    CREATE TABLE job_status(id INTEGER PRIMARY KEY AUTOINCREMENT, func_id, arg, uniqkey, status, job_start_time, job_end_time);
    """
  private static let rows = """
    INSERT INTO func VALUES(1, 'a'), (2, 'b');
    WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 40)
      INSERT INTO job SELECT x, 1 + x % 2, hex(zeroblob(x * 50)), 'k' || x, 5, 0, x, x % 3, x - 20 FROM n;
    INSERT INTO exception_log VALUES(1, 2, 6, 'broke', 'k', 'again', 0), (2, 1, 7, x'ff', NULL, NULL, 1);
    INSERT INTO job_status VALUES(1, 2, x'00FF', NULL, 'abort', 7, 8), (2, 1, 'x', 'y', 'completed', 7.5, 8.25);
    """

  static func perl(_ random: inout Seeded) -> [Case] {
    func file(_ name: String, _ change: @escaping (String) throws -> Void) -> Case {
      var one = Case("Perl: \(name)", copies: false) { path, _ in
        try Raw(path).run(perlTables + rows)
        try change(path)
      }
      one.isPerl = true
      return one
    }
    func sql(_ name: String, _ sql: String) -> Case { file(name) { try Raw($0).run(sql) } }
    var cases: [Case] = []
    for number in 0..<60 {
      let places = (0..<(number % 3 == 0 ? 1 : 20)).map { _ in
        (Double.random(in: 0..<1, using: &random), UInt8.random(in: 1...255, using: &random))
      }
      cases.append(
        file("\(places.count) bytes changed, \(number)") { path in
          try edit(path) { data in
            for (place, bits) in places { data[Int(place * Double(data.count))] ^= bits }
          }
        })
    }
    for part in 0..<12 {
      let cut = Double.random(in: 0..<1, using: &random)
      cases.append(
        file("cut off, \(part)") { path in try edit(path) { $0 = $0.prefix(Int(cut * Double($0.count))) } })
    }
    for (table, columns) in [
      ("func", ["id", "name"]),
      (
        "job",
        [
          "id", "func_id", "arg", "uniqkey", "enqueue_time", "grabbed_until", "run_after", "retry_cnt",
          "priority",
        ]
      ),
      ("exception_log", ["id", "func_id", "exception_time", "message", "uniqkey", "arg", "retried"]),
      ("job_status", ["id", "func_id", "arg", "uniqkey", "status", "job_start_time", "job_end_time"]),
    ] {
      for column in columns {
        for value in absurd.shuffled(using: &random).prefix(8) {
          cases.append(
            file("\(table).\(column) = \(value)") {
              try? Raw($0).run("UPDATE OR IGNORE \(table) SET \(column) = \(value)")
            })
        }
      }
      cases += [
        sql("\(table) is gone", "DROP TABLE \(table)"),
        sql(
          "\(table) is a view",
          "\(mark); ALTER TABLE \(table) RENAME TO kept; CREATE VIEW \(table) AS SELECT * FROM kept"),
        sql(
          "\(table) is a full-text table",
          "DROP TABLE \(table); CREATE VIRTUAL TABLE \(table) USING fts5(\(columns.joined(separator: ", ")))"),
        sql(
          "\(table) has a column with a name of its own",
          "ALTER TABLE \(table) ADD COLUMN \"a\"\"; DROP TABLE job; --\" DEFAULT 5"),
        sql(
          "\(table) has a computed column", "ALTER TABLE \(table) ADD COLUMN extra AS (zeroblob(900000000))"),
        file("\(table) checks with load_extension") {
          try Raw($0).rewrite(table, "AUTOINCREMENT", "AUTOINCREMENT CHECK(load_extension('/tmp/x') IS NULL)")
        },
        file("\(table) computes with randomblob") {
          try Raw($0).rewrite(table, "AUTOINCREMENT", "AUTOINCREMENT, extra AS (randomblob(900000000))")
        },
        file("\(table) lies on page 1") { path in
          try Raw(path).run(
            "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = 1 WHERE name = '\(table)'")
        },
      ]
    }
    return cases
  }
}

extension Work {
  /// Imports the file into a new one, if it can be.
  ///
  /// - Returns: the code of the refusal, or nil if it was imported.
  mutating func runImport() async -> String? {
    do throws(QudoError) {
      var options = ImportOptions()
      options.limits.payloadBytes = 1 << 16
      let file = try PerlQudoFile(path: path, options: options)
      _ = try file.planImport()
      let driver = try SQLiteDriver(path: path + "-new.db", durability: .off, clock: ManualClock())
      _ = try await driver.planImport(from: file)
      _ = try await driver.importAll(from: file)
      _ = try await driver.importAll(from: file)
      _ = try await driver.count()
      await driver.close()
      return nil
    } catch {
      judge(error, opening: true)
      return error.code.description
    }
  }
}
