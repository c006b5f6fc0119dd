#if MySQL
internal import Dispatch
internal import Qudo

/// A slot for one connection, with its own thread: no thread of Swift's pool ever waits for the server.
final class PooledConnection: @unchecked Sendable {  // reason: all mutable state is touched on `thread` only
  let thread = DispatchQueue(label: "qudo.mysql")
  private let access: ConnectionFactory
  private var connection: Connection?
  /// The value of ``ConnectionFactory/departures`` when the connection was opened.
  private var departures: UInt64 = 0
  private var lastUse = ContinuousClock.now
  private var book = CommitTokenStore()
  /// The number of idempotency keys stored since the last pruning, plus the transactions of a new connection.
  private var receipts = 0
  private var isNew = true

  init(_ access: ConnectionFactory) { self.access = access }

  /// Closes the connection if it was unused for half a minute.
  func closeIfUnused() {
    guard connection != nil, ContinuousClock.now - lastUse > .seconds(30) else { return }
    close()
    book = CommitTokenStore()
  }

  func close() {
    // No caller asks for this connection's commit tokens any more. If they stay, they are pruned later.
    if book.number > 0, let connection { _ = try? connection.run([book.forget, "COMMIT"]) }
    connection = nil
  }

  /// Runs `body` in a transaction. If other sessions block it, the transaction is repeated until it is
  /// committed.
  ///
  /// If the connection is lost during the commit, the transaction is repeated once; see ``CommitToken``.
  ///
  /// - Parameter body: Must look at ``Transaction/wasCommitted()`` first, and must commit.
  func transact<Result>(
    until deadline: ContinuousClock.Instant, _ body: (Transaction) throws(QudoError) -> Result
  ) throws(QudoError) -> (Result, Transaction.Effects) {
    var turn = Retry()
    var lost: CommitToken?
    var isRepeated = false
    var isUnknown = false
    do throws(QudoError) {
      while true {
        let taken: Connection
        do throws(QudoError) {
          taken = try take()
        } catch {
          // Repeat the opening if a statement was stopped or blocked. Do not wait for a server that is
          // unreachable.
          guard let cause = error.mysql, cause.isOfStop || cause.isOfContention else { throw error }
          Retry.sleep(try turn.pause(after: error, isLate: .now >= deadline))
          continue
        }
        let transaction = Transaction(
          taken, access.kinds, access.cursors, time: access.time, book: book, after: lost,
          lifetimes: access.lifetimes,
          isRepeated: isRepeated)
        do throws(QudoError) {
          // Whatever the result, the writes may have taken effect.
          defer { access.cursors.withLock { $0.entered(transaction.entries) } }
          let result = try body(transaction)
          lastUse = .now
          if !transaction.connection.isSound || !transaction.connection.isBetweenTransactions {
            connection = nil
          }
          if transaction.hasWritten || transaction.isConfirmed { book.number = transaction.receipt.number }
          // The lost transaction's token must stay, because the server may still execute that transaction.
          if lost != nil { book = CommitTokenStore() }
          receipts += transaction.keyCount + (isNew ? 1 : 0)
          return (result, transaction.effects)
        } catch {
          let isLost = transaction.loses(error)
          isUnknown = isUnknown || transaction.losesWithoutToken(error)
          if error.mysql?.isOfDemotion == true { access.leaveServer() }
          if error.mysql?.isOfMissingTables == true { access.leaveTables() }
          clean(transaction, after: error)
          if isLost {
            guard lost == nil || transaction.isConfirmed else { throw error }
            lost = lost ?? transaction.receipt
          }
          isRepeated = true
          Retry.sleep(try turn.pause(after: error, isLate: .now >= deadline))
        }
      }
    } catch {
      // The server may still execute a transaction under this name.
      if lost != nil { book = CommitTokenStore() }
      let error = access.passing(error)
      let isKnown = lost == nil && !isUnknown || error.code == .closed
      let code = isKnown ? error.code : .outcomeUnknown
      let message =
        code == .outcomeUnknown
        ? "the connection was lost during the commit: it may or may not have succeeded" : error.message
      throw QudoError(code, "\(access.settings.name): \(message)", cause: error.cause)
    }
  }

  private func clean(_ transaction: Transaction, after error: QudoError) {
    // First, so that its locks are gone when the connection is.
    let isRolledBack = error.mysql?.isOfConnection != true && (try? transaction.rollBack()) != nil
    if isRolledBack, transaction.connection.isSound, transaction.connection.isBetweenTransactions { return }
    // The server rolls back what a lost connection left.
    connection = nil
  }

  /// Whether it is time for ``pruneReceipts()``: after enough new idempotency keys that, in the long run, as
  /// many expired ones are deleted, and once for each connection that lasts.
  var hasToPrune: Bool { receipts >= 64 }

  /// Prunes after a call was answered, so that no call waits for it. An error does not matter: the next
  /// pruning makes up for it.
  func pruneReceipts() {
    (receipts, isNew) = (0, false)
    _ = try? transact(until: .now) { transaction throws(QudoError) in
      try transaction.pruneReceipts(atMost: 256)
    }
  }

  /// Returns a connection that works, as far as is known. One that was unused for a while is checked first.
  ///
  /// - Throws: `QudoError.Code.databaseReplaced` if the database was replaced.
  private func take() throws(QudoError) -> Connection {
    try access.checkReplaced()
    if let connection, departures == access.departures {
      switch connection.silence {
      case .holds where ContinuousClock.now - lastUse < access.trustsIdle: return connection
      case .holds, .isBroken: if try access.isGood(connection) { return connection }
      case .isOver: break
      }
    }
    connection = nil
    // Read this before the connection is opened, so that an invalidation in the meantime applies to the new
    // connection too.
    departures = access.departures
    let new = try access.connect()
    (connection, isNew) = (new, true)
    return new
  }
}
#endif
