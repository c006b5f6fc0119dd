internal import ArgumentParser
internal import Qudo

/// A row of a listing, for people and for programs.
protocol Listed {
  static var columns: [Table.Column] { get }
  /// The cells of the table, one per column.
  var cells: [String] { get }
  /// Cells of columns that the table has only if a row has them, with their headings.
  var rareCells: [(column: String, cell: String)] { get }
  /// The number of columns before those.
  static var rareColumnPlace: Int { get }
  /// Returns the row as a JSON object, with the keys in their documented order.
  func json(database: String) -> JSON
}

extension Listed {
  var rareCells: [(column: String, cell: String)] { [] }
  static var rareColumnPlace: Int { columns.count }
}

enum Listing {
  /// Prints a JSON array or a table.
  ///
  /// - Parameter nothing: the message for a terminal if there are no rows.
  static func show<Row: Listed>(_ rows: [Row], database: String, json: Bool, nothing: String) throws {
    try show([(database, rows)], json: json, nothing: nothing)
  }

  /// Prints the rows of several databases, one after the other. The table then has a column for the database.
  private static func show<Row: Listed>(
    _ all: [(database: String, rows: [Row])], json: Bool, nothing: String, named: Bool = false
  ) throws {
    if json {
      return try Output.line(
        JSONWriter.array(all.flatMap { part in part.rows.map { $0.json(database: part.database) } }))
    }
    var rare: [String] = []
    for (column, _) in all.lazy.flatMap(\.rows).flatMap(\.rareCells) where !rare.contains(column) {
      rare.append(column)
    }
    let place = Row.rareColumnPlace
    let columns = Row.columns.prefix(place) + rare.map { .number($0) } + Row.columns.dropFirst(place)
    var table = Table((named ? ["DATABASE"] : []) + columns)
    for (database, rows) in all {
      for row in rows {
        let found = Dictionary(row.rareCells.map { ($0.column, $0.cell) }) { first, _ in first }
        let cells = row.cells.prefix(place) + rare.map { found[$0] ?? "" } + row.cells.dropFirst(place)
        table.add((named ? [SafeText.terminalSafe(database)] : []) + cells)
      }
    }
    try Output.write(table.text)
    if all.allSatisfy(\.rows.isEmpty), Output.isTerminal { printError(nothing) }
  }

  /// Returns the number of rows to query: one more than are shown.
  static func beyond(_ limit: Int) -> Int { limit < .max ? limit + 1 : limit }

  /// Queries all databases and prints the rows of those that answer.
  ///
  /// - Parameters:
  ///   - limit: the maximum number of rows to show per database. If there are more, a message says so.
  ///   - what: the name of the rows, in the plural.
  /// - Throws: the error of the only database; with several, `unreachable` if none answers, and exit status 1
  ///   if any does not.
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
    if all.contains(where: { $0.rows.count > limit }) {
      printError(
        "there are more \(what) than these \(limit)\(answers.count > 1 ? " of a database" : ""). Use --limit to show more"
      )
    }
    if !isWhole { throw ExitCode.failure }
  }
}
