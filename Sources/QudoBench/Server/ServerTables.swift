#if MySQL
internal import QudoMySQL

/// The tables that a measurement makes in a database of a server, which nobody else may use.
struct ServerTables {
  /// Says that a measurement goes on, and that all of the tables are its own.
  private static let mark = "qudobench_mark"

  let server: RawServer

  init(_ server: RawServer) { self.server = server }

  /// - Throws: ``BenchFailure`` for a database that has jobs, or was left by a measurement that was stopped.
  func begin() throws {
    let found = try names()
    guard found.isEmpty else {
      throw BenchFailure(
        """
        the database has the tables \(found.prefix(3).joined(separator: ", "))\(found.count > 3 ? " and more" : ""): the benchmark \
        makes and drops all tables of these names and works only where there are none. Give it a database of its own, or drop what \
        a benchmark left that was stopped
        """)
    }
    // Without IF NOT EXISTS: of two that begin at once one fails.
    try server.run("CREATE TABLE \(Self.mark)(number INT NOT NULL PRIMARY KEY) ENGINE = InnoDB")
  }

  func end() throws {
    try drop()
    try server.run("DROP TABLE \(Self.mark)")
  }

  /// All but the mark.
  func drop() throws {
    let found = try names()
    guard found.contains(Self.mark) else {
      throw BenchFailure("somebody else has dropped the benchmark's tables")
    }
    let ours = found.filter { $0 != Self.mark }
    if !ours.isEmpty { try server.run("DROP TABLE \(Self.list(ours))") }
  }

  /// Leaves what was put aside.
  func dropQudo() throws {
    let ours = try names().filter { $0.hasPrefix("qudo_") }
    if !ours.isEmpty { try server.run("DROP TABLE \(Self.list(ours))") }
  }

  /// Renames Qudo's tables, so that they can be taken back as they are.
  func putAside() throws { try rename(from: "qudo_", to: "qudobench_aside_") }
  func takeBack() throws { try rename(from: "qudobench_aside_", to: "qudo_") }

  private func rename(from prefix: String, to other: String) throws {
    let pairs = try names().filter { $0.hasPrefix(prefix) }.map {
      "`\($0)` TO `\(other)\($0.dropFirst(prefix.count))`"
    }
    if !pairs.isEmpty { try server.run("RENAME TABLE \(pairs.joined(separator: ", "))") }
  }

  /// Of all tables that are Qudo's or the benchmark's by name.
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
