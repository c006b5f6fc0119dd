internal import Qudo

/// What a file remembers of earlier imports.
///
/// An old row is known by the old database's name, the table, and the row's id. Its ``Fingerprint`` says whether the
/// database of that name is still the same one; and, where a name is new, whether the same database came under another.
struct ImportRecord {
  let connection: Connection
  let name: String
  /// The number of the old database; nil until a row of it is imported.
  private(set) var source: Int64?
  /// Those whose rows must not come again under a name that nobody chose.
  private var others: [(number: Int64, name: String)] = []

  init(_ connection: Connection, _ file: PerlQudoFile) throws(QudoError) {
    self.connection = connection
    name = file.source
    source = try connection.integer("SELECT id FROM qudo_import_source WHERE name = ?", .text(name))
    guard source == nil, file.options.source == nil else { return }
    var known: [(number: Int64, name: String)] = []
    try connection.each("SELECT id, name FROM qudo_import_source ORDER BY id") { row throws(QudoError) in
      known.append((row.integer(0), row.text(1)))
    }
    others = known
  }

  /// What is said of a row that is not to be written; nil for one that is.
  func outcome(of row: PerlRow) throws(QudoError) -> ImportReport.Outcome? {
    let print = Fingerprint(row).number
    if let source, let known = try find(row, in: source) {
      guard known.print == print else {
        throw QudoError(
          .unsupportedDatabase, "\(row.table.rawValue) \(row.id) is not the row that was imported from \(name) before: "
            + "if this is another database, give it a source name of its own")
      }
      return .alreadyImported(known.new)
    }
    // Several databases of one queue have the same kinds.
    for other in others where row.table != .func {
      guard let known = try find(row, in: other.number), known.print == print else { continue }
      throw QudoError(
        .unsupportedDatabase, "\(row.table.rawValue) \(row.id) was imported before, from \(other.name): "
          + "if this is that database, moved or copied, say so by that source name; if not, give it one of its own")
    }
    guard case .job(let job) = row.content, let key = job.uniqueKey, let kind = try connection.kindID(row.kind) else { return nil }
    return try connection.holder(of: key, kind: kind).map { .conflict($0) }
  }

  private func find(_ row: PerlRow, in source: Int64) throws(QudoError) -> (new: Int64, print: Int64)? {
    var found: (new: Int64, print: Int64)?
    try connection.each(
      "SELECT new, print FROM qudo_import WHERE source = ? AND origin = ? AND old = ?", .integer(source), .integer(row.table.number),
      .integer(row.id)
    ) { row throws(QudoError) in found = (row.integer(0), row.integer(1)) }
    return found
  }

  mutating func add(_ row: PerlRow, as new: Int64) throws(QudoError) {
    let source = if let known = source { known } else { try addSource() }
    self.source = source
    try connection.run(
      "INSERT INTO qudo_import(source, origin, old, new, print) VALUES(?, ?, ?, ?, ?)", .integer(source), .integer(row.table.number),
      .integer(row.id), .integer(new), .integer(Fingerprint(row).number))
  }

  private func addSource() throws(QudoError) -> Int64 {
    let highest = try connection.integer("SELECT max(id) FROM qudo_import_source") ?? 0
    guard highest < .max else { throw QudoError(.corrupt, "no number is left for a source: the file was changed by others") }
    let number = highest + 1
    try connection.run("INSERT INTO qudo_import_source(name, id) VALUES(?, ?)", .text(name), .integer(number))
    return number
  }
}

extension ImportReport.Table {
  /// How it stands in the file.
  fileprivate var number: Int64 {
    switch self {
    case .func: 0
    case .job: 1
    case .exceptionLog: 2
    case .jobStatus: 3
    }
  }
}
