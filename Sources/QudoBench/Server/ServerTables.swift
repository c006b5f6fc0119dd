#if MySQL
internal import QudoMySQL

/// The tables that a benchmark creates in a server's database. Nothing else may use that database meanwhile.
struct ServerTables {
  /// The table that marks a running benchmark, which owns all other tables.
  private static let mark = "qudobench_mark"

  let server: RawServer

  init(_ server: RawServer) { self.server = server }

  /// - Throws: ``BenchFailure`` for a database with jobs, or with tables that a stopped benchmark left
  ///   behind.
  func begin() throws {
    let found = try names()
    guard found.isEmpty else {
      throw BenchFailure(
        """
        the database has the tables \(found.prefix(3).joined(separator: ", "))\(found.count > 3 ? " and more" : ""). The benchmark \
        creates and drops all tables with such names, so there must be none. Use a separate database, or drop the tables that a \
        stopped benchmark left behind
        """)
    }
    // Without IF NOT EXISTS, so that one of two concurrent benchmarks fails.
    try server.run("CREATE TABLE \(Self.mark)(number INT NOT NULL PRIMARY KEY) ENGINE = InnoDB")
  }

  func end() throws {
    try drop()
    try server.run("DROP TABLE \(Self.mark)")
  }

  /// Drops all tables except the mark.
  func drop() throws {
    let found = try names()
    guard found.contains(Self.mark) else {
      throw BenchFailure("another client dropped the benchmark's tables. Use a separate database")
    }
    let ours = found.filter { $0 != Self.mark }
    if !ours.isEmpty { try server.run("DROP TABLE \(Self.list(ours))") }
  }

  /// Drops Qudo's tables, but not the renamed ones.
  func dropQudo() throws {
    let ours = try names().filter { $0.hasPrefix("qudo_") }
    if !ours.isEmpty { try server.run("DROP TABLE \(Self.list(ours))") }
  }

  /// Renames Qudo's tables, so that they can be restored unchanged.
  func putAside() throws { try rename(from: "qudo_", to: "qudobench_aside_") }
  func takeBack() throws { try rename(from: "qudobench_aside_", to: "qudo_") }

  private func rename(from prefix: String, to other: String) throws {
    let pairs = try names().filter { $0.hasPrefix(prefix) }.map {
      "`\($0)` TO `\(other)\($0.dropFirst(prefix.count))`"
    }
    if !pairs.isEmpty { try server.run("RENAME TABLE \(pairs.joined(separator: ", "))") }
  }

  /// Returns the names of all tables that belong to Qudo or to the benchmark.
  private func names() throws -> [String] {
    try server.texts(
      """
      SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()
      AND (TABLE_NAME LIKE 'qudo\\_%' OR TABLE_NAME LIKE 'qudobench\\_%') ORDER BY TABLE_NAME
      """)
  }

  private static func list(_ names: [String]) -> String { names.map { "`\($0)`" }.joined(separator: ", ") }
}
#endif
