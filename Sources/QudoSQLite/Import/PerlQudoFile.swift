public import Qudo

/// A SQLite file of the Perl job queue Qudo (the CPAN distribution of that name), checked and ready to be imported.
///
/// It is opened for reading only and never changed. From its opening to its end one read transaction lasts, so that what
/// was checked is what is imported; the old queue's writers wait meanwhile, unless the file is in WAL mode.
public final class PerlQudoFile: @unchecked Sendable {  // reason: `connection` is touched in `init` and under `lock` only
  /// What the old database is remembered as in a new file.
  public let source: String
  let options: ImportOptions
  private let connection: Connection
  private let lock = Locked(())

  /// Opens the file and looks at every row of it.
  ///
  /// - Throws: `QudoError`; with the code `unsupportedDatabase` when there is something in it that cannot be imported. The
  ///   message has the first of what there is.
  public init(path: String, options: ImportOptions = ImportOptions()) throws(QudoError) {
    guard !path.isEmpty, !path.utf8.contains(0) else { throw QudoError(.invalidArgument, "the old database needs the path of a file") }
    if let source = options.source { try Limits.check("source", source, atMost: Self.sourceBytes) }
    do {
      let connection = try Self.open(path)
      try PerlCheck(connection: connection, options: options).run()
      self.source = options.source ?? connection.path
      self.connection = connection
    } catch where error.code == .database {
      throw QudoError(.unsupportedDatabase, "\(path): SQLite does not understand the file: it is damaged, or of a newer SQLite", cause: error.cause)
    } catch {
      throw QudoError(error.code, "\(path): \(error.message)", cause: error.cause)
    }
    self.options = options
  }

  private static let sourceBytes = 4096

  private static func open(_ path: String) throws(QudoError) -> Connection {
    do {
      let connection = try Connection(path: try DatabasePath(path, isWritten: false).path, create: false, readOnly: true)
      try connection.execute("PRAGMA busy_timeout = 30000")
      try connection.harden()
      try connection.run("BEGIN")
      _ = try connection.integer("SELECT count(*) FROM sqlite_schema")
      return connection
    } catch where error.code == .readOnly {
      // "SQLITE_READONLY_ROLLBACK ... a hot journal needs to be rolled back, but it cannot because the database is read-only".
      throw QudoError(
        .unsupportedDatabase, "a writer of the file died: let its own program, or `sqlite3 FILE .tables`, open it once, then import it",
        cause: error.cause)
    }
  }

  /// Calls `body` for each row: kinds, jobs, failures, statuses, each in the order of their ids.
  func each(_ body: (PerlRow) throws(QudoError) -> Void) throws(QudoError) {
    try lock.withLock { _ throws(QudoError) in
      try PerlReader(connection: connection, options: options).each(body) { refusal throws(QudoError) in
        throw QudoError(.unsupportedDatabase, refusal)
      }
    }
  }

  /// What an import into a new file would do.
  public func planImport() throws(QudoError) -> ImportReport {
    var rows: [ImportReport.Row] = []
    try each { row throws(QudoError) in rows.append(row.report(.importable)) }
    return ImportReport(source: source, rows: rows)
  }
}
