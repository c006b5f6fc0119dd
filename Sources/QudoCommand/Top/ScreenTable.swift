/// A table that leaves out columns, the least important ones first, until it fits.
struct ScreenTable<Row> {
  struct Column {
    let title: String
    /// The width; of the one that takes the rest, the least.
    let width: Int
    var alignment = TextWidth.Alignment.right
    /// The columns with the lowest ranks are left out last.
    let rank: Int
    /// Whether the column takes the width that the others leave.
    var takesRest = false
    /// Whether the heading stands out: the rows are sorted by it.
    var isMarked = false
    let cell: (Row, _ width: Int) -> (String, Style)
  }

  let columns: [Column]
  /// The widths of the columns; nil for one that is left out.
  private let widths: [Int?]
  private let mark: Character

  /// - Parameter width: The columns of the terminal that the table takes at most.
  init(_ columns: [Column], width: Int, mark: Character) {
    self.columns = columns
    self.mark = mark
    var left = width
    var widths: [Int?] = columns.map { _ in nil }
    for index in columns.indices.sorted(by: { columns[$0].rank < columns[$1].rank }) {
      let cost = columns[index].width + (left == width ? 0 : 1)
      // The first one is there however narrow the terminal is.
      guard cost <= left || left == width else { continue }
      widths[index] = min(columns[index].width, max(left, 0))
      left -= cost
    }
    if left > 0, let index = columns.indices.first(where: { columns[$0].takesRest && widths[$0] != nil }) {
      widths[index] = (widths[index] ?? 0) + left
    }
    self.widths = widths
  }

  var heading: StyledLine {
    line { ($0.title, $0.isMarked ? .heading : .dim) }
  }

  func line(_ row: Row) -> StyledLine { line { $0.cell(row, $1) } }

  private func line(_ cell: (Column, Int) -> (String, Style)) -> StyledLine {
    var line = StyledLine()
    for (column, width) in zip(columns, widths) {
      guard let width else { continue }
      if !line.pieces.isEmpty { line.add(" ") }
      let (text, style) = cell(column, width)
      line.add(TextWidth.fit(text, width, column.alignment, mark: mark), style)
    }
    return line
  }

  private func line(_ cell: (Column) -> (String, Style)) -> StyledLine { line { column, _ in cell(column) } }
}
