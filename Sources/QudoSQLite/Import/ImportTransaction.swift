package import Qudo

extension SQLiteDriver {
  /// Runs an import in one transaction, and wakes the workers after it.
  package func writeImport<Result: Sendable>(
    _ body: @escaping @Sendable (ImportTransaction) throws(QudoError) -> Result
  ) async throws(QudoError) -> Result {
    try await writer.write(isDurable: true, isSmall: false) { transaction throws(QudoError) in
      try body(ImportTransaction(transaction: transaction))
    }
  }

  /// Reads the record of earlier imports in one transaction.
  package func readImports<Result: Sendable>(
    _ body: @escaping @Sendable (ImportTables) throws(QudoError) -> Result
  ) async throws(QudoError) -> Result {
    try await reader.read { snapshot throws(QudoError) in
      try body(ImportTables(connection: snapshot.connection))
    }
  }
}

/// The write transaction of an import.
package struct ImportTransaction {
  let transaction: Transaction

  /// The record of earlier imports.
  package var tables: ImportTables { ImportTables(connection: transaction.connection) }
  /// The time of the transaction.
  package var now: Timestamp { transaction.now.wall }

  /// Returns the number of a kind, which gets one if it has none.
  package func kind(creating kind: Kind) throws(QudoError) -> Int64 {
    try transaction.kindTable.id(creating: kind)
  }

  /// Adds a waiting job.
  ///
  /// - Parameters:
  ///   - uniqueKey: The key whose holder the job becomes. No unfinished job may have it.
  ///   - attempt: One more than the number of the job's retries.
  /// - Returns: The job's id.
  package func insertJob(
    kind: Int64, payload: Payload, uniqueKey: String?, priority: Int64, attempt: Int64, enqueuedAt: Timestamp,
    dueAt: Timestamp
  ) throws(QudoError) -> Int64 {
    let id = try transaction.nextID()
    try transaction.jobTable.insertImported(
      id, kind: kind, rank: -priority, dueAt: dueAt, enqueuedAt: enqueuedAt, attempt: attempt,
      uniqueKey: uniqueKey, payload)
    try transaction.insertWaiting(id, Delay(.at(dueAt), transaction.now.wall), kind: kind, rank: -priority)
    return id
  }

  /// Adds a final failure of no job.
  ///
  /// - Parameters:
  ///   - message: The bytes of the message; they need not be UTF-8.
  ///   - isReplayed: Whether the failure was replayed, by which job is unknown.
  /// - Returns: The failure's number.
  package func insertFailure(
    kind: Int64, payload: Payload, uniqueKey: String?, message: [UInt8], failedAt: Timestamp, isReplayed: Bool
  ) throws(QudoError) -> Int64 {
    try transaction.failureTable.insertImported(
      kind: kind, message: message, failedAt: failedAt, isReplayed: isReplayed, uniqueKey: uniqueKey, payload)
  }

  /// Adds a status of no job, and returns its number.
  package func insertStatus(
    kind: Int64, payload: Payload, uniqueKey: String?, status: RunStatus, startedAt: Timestamp,
    endedAt: Timestamp
  ) throws(QudoError) -> Int64 {
    try transaction.statusTable.insertImported(
      kind: kind, status, startedAt: startedAt, endedAt: endedAt, uniqueKey: uniqueKey, payload)
  }
}
