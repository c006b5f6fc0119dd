internal import CSQLite
internal import Qudo

extension SQLiteDriver {
  /// Runs `body` atomically on the application's connection: inside its open transaction, or else in a new one.
  ///
  /// The connection keeps its state: it gets no hook and no pragma, keeps its busy handler, and all statements are
  /// finalized. `last_insert_rowid()` is restored; `changes()` and `total_changes()` cannot be.
  func join<Result>(
    _ handle: OpaquePointer?, _ body: (Transaction) throws(QudoError) -> Result
  ) throws(QudoError) -> Result {
    guard !writer.isClosed else { throw QudoError(.closed, "the database was closed") }
    guard let handle else {
      throw QudoError(.invalidArgument, "the application's connection is closed: pass an open one")
    }
    let path = sqlite3_db_filename(handle, "main").map { String(cString: $0) } ?? ""
    guard let file, FileIdentity(path) == file else {
      throw QudoError(
        .invalidArgument, "the connection's main database is not the queue's file: its path is '\(path)'")
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
      let transaction = Transaction(
        connection: connection, now: clock.now(), locks: nil, effects: Transaction.Effects(),
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

/// A savepoint in the application's transaction, or a transaction of its own if none is open.
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
    } catch  where error.code == .busy {
      throw QudoError(
        .invalidArgument,
        "a writing statement is still active on the connection: step it to its end or reset it first",
        cause: error.cause)
    }
    do {
      // Takes SQLite's write lock and changes nothing. SQLite lets a transaction wait for that lock only if it has not
      // read yet.
      try connection.infoTable.takeWriteLock()
    } catch {
      undo()
      throw explained(error)
    }
  }

  /// Returns `error`, with a better message if the connection or the transaction is read-only.
  func explained(_ error: QudoError) -> QudoError {
    guard error.code == .readOnly else { return error }
    if sqlite3_db_readonly(connection.handle, "main") == 1 {
      return QudoError(
        .readOnly, "the connection or its file is read-only: enqueue on a writable connection",
        cause: error.cause)
    }
    // "When set to on, ... prevents data changes on database files": the manual of PRAGMA query_only.
    guard (try? connection.integer("PRAGMA query_only")) == 1 else { return error }
    return QudoError(
      .readOnly,
      "the transaction is read-only (PRAGMA query_only is on): enqueue in a write transaction, such as GRDB's write",
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

  /// Prepares the rollback statements now, while there is memory for them.
  private func prepareToUndo() throws(QudoError) {
    try connection.prepareToRollBack()
    guard isInner else { return }
    _ = try connection.statement("ROLLBACK TO qudo" as StaticString)
    _ = try connection.statement("RELEASE qudo" as StaticString)
  }

  /// Rolls back Qudo's part of the transaction.
  ///
  /// After some errors SQLite has already rolled back the whole transaction. If rolling back to the savepoint fails,
  /// which it can when memory runs out, the whole transaction is rolled back: half of an enqueue would be worse.
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
