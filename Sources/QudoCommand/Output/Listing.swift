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
    if json { return try Output.line(JSONWriter.array(rows.map { $0.json(database: database) })) }
    var table = Table(Row.columns)
    for row in rows { table.add(row.cells) }
    try Output.write(table.text)
    if rows.isEmpty, Output.isTerminal { complain(nothing) }
  }
}
