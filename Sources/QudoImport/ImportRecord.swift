internal import Qudo
internal import QudoSQLite

/// The record of earlier imports, stored in the new file.
///
/// The key of an old row is the old database's source name, the table, and the row's id. Its ``Fingerprint`` shows
/// whether a known source name still means the same database, and whether a database with a new source name was
/// already imported under another one.
struct ImportRecord {
  let tables: ImportTables
  let name: String
  /// The old database's id in `qudo_import_source`; nil until a row of it is imported.
  private(set) var source: Int64?
  /// The other known sources, filled only if this source name is new and a default. Their rows must not be imported
  /// a second time.
  private var others: [(number: Int64, name: String)] = []

  init(_ tables: ImportTables, _ file: PerlQudoFile) throws(QudoError) {
    self.tables = tables
    name = file.source
    source = try tables.source(named: name)
    guard source == nil, file.options.source == nil else { return }
    others = try tables.sources()
  }

  /// Returns the outcome of a row that must not be written, or nil if the import writes it.
  func outcome(of row: PerlRow) throws(QudoError) -> ImportReport.Outcome? {
    let print = Fingerprint(row).number
    if let source, let known = try find(row, in: source) {
      guard known.print == print else {
        throw QudoError(
          .unsupportedDatabase,
          "\(row.table.rawValue) \(row.id) differs from the row imported earlier from \(name). "
            + "If this is another database, give it its own source name.")
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
    guard case .job(let job) = row.content, let key = job.uniqueKey else { return nil }
    return try tables.holder(of: key, kind: row.kind).map { .conflict($0) }
  }

  private func find(_ row: PerlRow, in source: Int64) throws(QudoError) -> (new: Int64, print: Int64)? {
    try tables.row(row.id, of: row.table.number, in: source)
  }

  mutating func add(_ row: PerlRow, as new: Int64) throws(QudoError) {
    let source = if let known = source { known } else { try tables.addSource(name) }
    self.source = source
    try tables.add(row.id, of: row.table.number, in: source, as: new, print: Fingerprint(row).number)
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
