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
  private static func show<Row: Listed>(
    _ all: [(database: String, rows: [Row])], json: Bool, nothing: String, named: Bool = false
  ) throws {
    if json {
      return try Output.line(
        JSONWriter.array(all.flatMap { part in part.rows.map { $0.json(database: part.database) } }))
    }
    var table = Table((named ? ["DATABASE"] : []) + Row.columns)
    for (database, rows) in all {
      for row in rows { table.add((named ? [SafeText.terminalSafe(database)] : []) + row.cells) }
    }
    try Output.write(table.text)
    if all.allSatisfy(\.rows.isEmpty), Output.isTerminal { printError(nothing) }
  }

  /// One row more than are shown of a listing with this limit.
  static func beyond(_ limit: Int) -> Int { limit < .max ? limit + 1 : limit }

  /// Asks all databases, and shows what those have that answer.
  ///
  /// - Parameters:
  ///   - limit: how many rows of each are shown; if there are more, that is said.
  ///   - what: what the rows are.
  /// - Throws: the error of the only one; of several, `unreachable` when none answers, and the status 1 when one does not.
  static func show<Row: Listed & Sendable>(
    _ databases: Databases, json: Bool, limit: Int, of what: String,
    _ body: @escaping @Sendable (any LogDriver) async throws(QudoError) -> [Row]
  ) async throws {
    let answers = await databases.forEachDriver { driver throws(QudoError) in
      guard let driver = driver as? any LogDriver else {
        throw QudoError(.database, "the database has no logs")
      }
      return try await body(driver)
    }
    let (all, isWhole) = try answers.answered()
    let parts = all.map { (database: $0.database, rows: Array($0.rows.prefix(limit))) }
    try show(parts, json: json, nothing: "no \(what)", named: answers.count > 1)
    if !json, all.contains(where: { $0.rows.count > limit }) {
      printError(
        "there are more \(what) than these \(limit)\(answers.count > 1 ? " of a database" : ""): --limit shows more"
      )
    }
    if !isWhole { throw ExitCode.failure }
  }
}
