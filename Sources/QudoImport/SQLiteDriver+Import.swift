public import Qudo
public import QudoSQLite

extension SQLiteDriver {
  /// Imports the jobs, failures and statuses of a Perl Qudo file in one transaction, and wakes the workers.
  ///
  /// The import can be repeated: this file records the rows it has imported. A later import adds new rows, and jobs
  /// that an earlier one skipped because a live job had their unique key. It does not update imported rows that
  /// changed in the old file.
  ///
  /// - Throws: `QudoError`, with the code `unsupportedDatabase` if the old file differs from the one imported earlier
  ///   under the same source name. Nothing was written then.
  public func importAll(from file: PerlQudoFile) async throws(QudoError) -> ImportReport {
    try await writeImport { transaction throws(QudoError) in try transaction.importAll(file) }
  }

  /// Returns the report that ``importAll(from:)`` would return, and writes nothing.
  public func planImport(from file: PerlQudoFile) async throws(QudoError) -> ImportReport {
    try await readImports { tables throws(QudoError) in try file.planImport(tables) }
  }
}
