internal import ArgumentParser
internal import Qudo

/// Rows that can be listed, for people and for programs.
protocol Listed {
  static var columns: [Table.Column] { get }
  /// For people: a cell per column.
  var cells: [String] { get }
  /// For programs: the keys in their documented order.
  func json(database: String) -> JSON
}

enum Listing {
  /// Prints a JSON array or a table.
  ///
  /// - Parameter nothing: what to tell a person when there is no row.
  static func show<Row: Listed>(_ rows: [Row], database: String, json: Bool, nothing: String) throws {
    try show([(database, rows)], json: json, nothing: nothing)
  }

  /// Likewise of several databases, one after the other; a table has a column more then.
  private static func show<Row: Listed>(_ all: [(database: String, rows: [Row])], json: Bool, nothing: String, named: Bool = false) throws {
    if json { return try Output.line(JSONWriter.array(all.flatMap { part in part.rows.map { $0.json(database: part.database) } })) }
    var table = Table((named ? ["DATABASE"] : []) + Row.columns)
    for (database, rows) in all {
      for row in rows { table.add((named ? [SafeText.shown(database)] : []) + row.cells) }
    }
    try Output.write(table.text)
    if all.allSatisfy(\.rows.isEmpty), Output.isTerminal { complain(nothing) }
  }

  /// Asks all databases, and shows what those have that answer.
  ///
  /// - Throws: the error of the only one; of several, `unreachable` when none answers, and the status 1 when one does not.
  static func show<Row: Listed & Sendable>(
    _ databases: Databases, json: Bool, nothing: String, _ body: @escaping @Sendable (any LogDriver) async throws(QudoError) -> [Row]
  ) async throws {
    let answers = await databases.ask { driver throws(QudoError) in
      guard let driver = driver as? any LogDriver else { throw QudoError(.database, "the database has no logs") }
      return try await body(driver)
    }
    let (parts, isWhole) = try answers.answered()
    try show(parts, json: json, nothing: nothing, named: answers.count > 1)
    if !isWhole { throw ExitCode.failure }
  }
}
