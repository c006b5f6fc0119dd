internal import CSQLite
internal import Qudo

extension SQLiteDriver {
  /// Runs `body` as a part of the transaction that the application's handle is in, or in one of its own where it is in
  /// none: all of it or nothing.
  ///
  /// The handle is left as it was found. It gets no hook and no pragma, its busy handler is its own, the statements are
  /// finalized, and `last_insert_rowid()` is what it was; `changes()` and `total_changes()` cannot be set back.
  func join<Result>(
    _ handle: OpaquePointer?, _ body: (Transaction) throws(QudoError) -> Result
  ) throws(QudoError) -> Result {
    guard !writer.isClosed else { throw QudoError(.closed, "the database was closed") }
    guard let handle else { throw QudoError(.invalidArgument, "the application's connection is closed") }
    let path = sqlite3_db_filename(handle, "main").map { String(cString: $0) } ?? ""
    guard let file, FileIdentity(path) == file else {
      throw QudoError(.invalidArgument, "the connection's main database is not the queue's file: its path is '\(path)'")
    }
    let connection = Connection(borrowing: handle)
    let last = sqlite3_last_insert_rowid(handle)
    defer {
      connection.finalizeStatements()
      sqlite3_set_last_insert_rowid(handle, last)
    }
    appConnections.check(connection)
    let part = BorrowedTransaction(connection)
    try part.begin()
    do throws(QudoError) {
      let transaction = Transaction(connection: connection, now: clock.now(), locks: nil, effects: Transaction.Effects(),
        receiptLifetime: receipts)
      let result = try body(transaction)
      try transaction.finish()
      try part.end()
      return result
    } catch {
      part.undo()
      throw part.explained(error)
    }
  }
}

/// A savepoint in the application's transaction; without one, a transaction.
private struct BorrowedTransaction {
  let connection: Connection
  let isInner: Bool

  init(_ connection: Connection) {
    self.connection = connection
    isInner = sqlite3_get_autocommit(connection.handle) == 0
  }

  func begin() throws(QudoError) {
    try prepareToUndo()
    guard isInner else {
      do {
        return try connection.execute("BEGIN IMMEDIATE")
      } catch {
        throw explained(error)
      }
    }
    do {
      try connection.execute("SAVEPOINT qudo")
    } catch where error.code == .busy {
      throw QudoError(
        .invalidArgument, "a statement that writes is at work on the connection: step it to its end or reset it first", cause: error.cause)
    }
    do {
      // Takes the write lock and changes nothing. A transaction that first reads and then writes is not let wait for the
      // lock; one that has not read yet is.
      try connection.run("DELETE FROM qudo_info WHERE 0")
    } catch {
      undo()
      throw explained(error)
    }
  }

  /// The same error, or where it is that nothing can be written, what keeps this connection from it.
  func explained(_ error: QudoError) -> QudoError {
    guard error.code == .readOnly else { return error }
    if sqlite3_db_readonly(connection.handle, "main") == 1 {
      return QudoError(
        .readOnly, "the connection, or its file, is for reading only: enqueue on a connection that may write", cause: error.cause)
    }
    // "When set to on, ... prevents data changes on database files": the manual of PRAGMA query_only.
    guard (try? connection.integer("PRAGMA query_only")) == 1 else { return error }
    return QudoError(
      .readOnly, "the transaction is for reading only (PRAGMA query_only is on): enqueue in one that writes, GRDB's write for instance",
      cause: error.cause)
  }

  func end() throws(QudoError) {
    if isInner { return try connection.run("RELEASE qudo") }
    do {
      try connection.execute("COMMIT")
    } catch {
      throw error.ofCommit(connection)
    }
  }

  /// Later there may be no memory left to do it with.
  private func prepareToUndo() throws(QudoError) {
    try connection.prepareToRollBack()
    guard isInner else { return }
    _ = try connection.statement("ROLLBACK TO qudo" as StaticString)
    _ = try connection.statement("RELEASE qudo" as StaticString)
  }

  /// SQLite has rolled back the whole transaction by itself after some errors; then there is nothing to do. And where it cannot roll
  /// back Qudo's part, which takes memory, the whole goes: a half would be worse.
  func undo() {
    guard isInner, sqlite3_get_autocommit(connection.handle) == 0 else {
      try? connection.endTransaction()
      return
    }
    do throws(QudoError) {
      try connection.run("ROLLBACK TO qudo")
      try connection.run("RELEASE qudo")
    } catch {
      try? connection.endTransaction()
    }
  }
}
