public import Qudo

extension SQLiteDriver {
  /// Imports jobs, failures and statuses of the Perl job queue, all in one transaction; workers are woken.
  ///
  /// What was imported is remembered, so that it can be repeated: then only what is new comes, and jobs that had a
  /// unique key which another live job has. What changed in the old file meanwhile does not come again.
  ///
  /// - Throws: `QudoError`, with the code `unsupportedDatabase` when the file is not the one that was imported under its name
  ///   before. Nothing was written then.
  public func importAll(from file: PerlQudoFile) async throws(QudoError) -> ImportReport {
    try await writer.write(isDurable: true, isSmall: false) { transaction throws(QudoError) in try transaction.importAll(file) }
  }

  /// What ``importAll(from:)`` would do. Nothing is written.
  public func planImport(from file: PerlQudoFile) async throws(QudoError) -> ImportReport {
    try await reader.read { snapshot throws(QudoError) in try snapshot.planImport(file) }
  }
}
