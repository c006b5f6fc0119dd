internal import Qudo

/// Rows in aligned columns under a heading.
struct Table {
  struct Column {
    let heading: String
    var isNumber = false
  }
  let columns: [Column]
  private var rows: [[String]] = []

  init(_ columns: [Column]) { self.columns = columns }

  mutating func add(_ row: [String]) { rows.append(row) }

  var text: String {
    guard !rows.isEmpty else { return "" }
    let all = [columns.map(\.heading)] + rows
    let widths = columns.indices.map { column in all.reduce(0) { max($0, $1[column].count) } }
    var text = ""
    for row in all {
      var line = ""
      for (index, cell) in row.enumerated() {
        let padding = String(repeating: " ", count: widths[index] - cell.count)
        line += columns[index].isNumber ? padding + cell : cell + padding
        line += "  "
      }
      text +=
        line.prefix(upTo: line.lastIndex { $0 != " " }.map { line.index(after: $0) } ?? line.startIndex)
        + "\n"
    }
    return text
  }
}

extension Table.Column: ExpressibleByStringLiteral {
  init(stringLiteral heading: String) { self.init(heading: heading) }

  static func number(_ heading: String) -> Self { Self(heading: heading, isNumber: true) }
}
