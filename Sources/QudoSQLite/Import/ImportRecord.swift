internal import Qudo

/// The record of earlier imports, stored in the new file.
///
/// The key of an old row is the old database's source name, the table, and the row's id. Its ``Fingerprint`` shows
/// whether a known source name still means the same database, and whether a database with a new source name was
/// already imported under another one.
struct ImportRecord {
  let connection: Connection
  let name: String
  /// The old database's id in `qudo_import_source`; nil until a row of it is imported.
  private(set) var source: Int64?
  /// The other known sources, filled only if this source name is new and a default. Their rows must not be imported
  /// a second time.
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

  /// Returns the outcome of a row that must not be written, or nil if the import writes it.
  func outcome(of row: PerlRow) throws(QudoError) -> ImportReport.Outcome? {
    let print = Fingerprint(row).number
    if let source, let known = try find(row, in: source) {
      guard known.print == print else {
        throw QudoError(
          .unsupportedDatabase,
          "\(row.table.rawValue) \(row.id) differs from the row imported earlier from \(name). "
            + "If this is another database, give it a source name of its own.")
      }
      return .alreadyImported(known.new)
    }
    // Kinds are excluded: the databases of one queue share them.
    for other in others where row.table != .func {
      guard let known = try find(row, in: other.number), known.print == print else { continue }
      throw QudoError(
        .unsupportedDatabase,
        "\(row.table.rawValue) \(row.id) was already imported from \(other.name). "
          + "If this is that database, moved or copied, pass that source name; otherwise pass a new one.")
    }
    guard case .job(let job) = row.content, let key = job.uniqueKey,
      let kind = try connection.kindTable.id(of: row.kind)
    else { return nil }
    return try connection.jobTable.holder(of: key, kind: kind).map { .conflict($0) }
  }

  private func find(_ row: PerlRow, in source: Int64) throws(QudoError) -> (new: Int64, print: Int64)? {
    var found: (new: Int64, print: Int64)?
    try connection.each(
      "SELECT new, print FROM qudo_import WHERE source = ? AND origin = ? AND old = ?", .integer(source),
      .integer(row.table.number),
      .integer(row.id)
    ) { row throws(QudoError) in found = (row.integer(0), row.integer(1)) }
    return found
  }

  mutating func add(_ row: PerlRow, as new: Int64) throws(QudoError) {
    let source = if let known = source { known } else { try addSource() }
    self.source = source
    try connection.run(
      "INSERT INTO qudo_import(source, origin, old, new, print) VALUES(?, ?, ?, ?, ?)", .integer(source),
      .integer(row.table.number),
      .integer(row.id), .integer(new), .integer(Fingerprint(row).number))
  }

  private func addSource() throws(QudoError) -> Int64 {
    let highest = try connection.integer("SELECT max(id) FROM qudo_import_source") ?? 0
    guard highest < .max else {
      throw QudoError(.corrupt, "qudo_import_source has no free id: another program modified the file")
    }
    let number = highest + 1
    try connection.run("INSERT INTO qudo_import_source(name, id) VALUES(?, ?)", .text(name), .integer(number))
    return number
  }
}

extension ImportReport.Table {
  /// The table's number in the `origin` column. The file stores it, so it must not change.
  fileprivate var number: Int64 {
    switch self {
    case .func: 0
    case .job: 1
    case .exceptionLog: 2
    case .jobStatus: 3
    }
  }
}
