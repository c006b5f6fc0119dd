public import Qudo
internal import QudoSQLite

/// A SQLite file of the Perl job queue Qudo (the CPAN distribution), checked and ready for import.
///
/// Qudo opens the file read-only and never changes it. One read transaction lasts as long as this object, so the
/// import sees exactly the rows that were checked. Unless the file is in WAL mode, the old queue's writers wait for it.
public final class PerlQudoFile: @unchecked Sendable {  // reason: `database` is touched in `init` and under `lock` only
  /// The name under which a new file records the old database.
  public let source: String
  let options: ImportOptions
  private let database: ForeignFile
  private let lock = Locked(0)

  /// Opens the file and checks every row.
  ///
  /// - Throws: `QudoError`, with the code `unsupportedDatabase` if some rows cannot be imported. The message lists the
  ///   first problems.
  public init(path: String, options: ImportOptions = ImportOptions()) throws(QudoError) {
    guard !path.isEmpty, !path.utf8.contains(0) else {
      throw QudoError(
        .invalidArgument,
        "the path of the old database is empty or contains a NUL byte: pass the path of a file")
    }
    if let source = options.source { try Limits.check("source", source, atMost: Self.sourceBytes) }
    do {
      let database = try ForeignFile(path: path)
      try PerlCheck(database: database, options: options).run()
      self.source = options.source ?? database.path
      self.database = database
    } catch  where error.code == .database {
      throw QudoError(
        .unsupportedDatabase,
        "\(path): SQLite cannot read the file: it is damaged, or written by a newer SQLite",
        cause: error.cause)
    } catch {
      throw QudoError(error.code, "\(path): \(error.message)", cause: error.cause)
    }
    self.options = options
  }

  private static let sourceBytes = 4096

  /// Calls `body` for each row: first kinds, then jobs, failures and statuses, each ordered by id.
  func each(_ body: (PerlRow) throws(QudoError) -> Void) throws(QudoError) {
    try lock.withLock { _ throws(QudoError) in
      try PerlReader(database: database, options: options).each(body) { refusal throws(QudoError) in
        throw QudoError(.unsupportedDatabase, refusal)
      }
    }
  }

  /// Returns the report of an import into a new, empty file, and writes nothing.
  public func planImport() throws(QudoError) -> ImportReport {
    var rows: [ImportReport.Row] = []
    try each { row throws(QudoError) in rows.append(row.report(.importable)) }
    return ImportReport(source: source, rows: rows)
  }
}
