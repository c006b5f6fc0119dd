#if MySQL
internal import Dispatch
internal import Qudo

/// A place for one connection, with a thread of its own: no thread of Swift's pool ever waits for the server.
final class PooledConnection: @unchecked Sendable {  // reason: all that varies is touched on `thread` only
  let thread = DispatchQueue(label: "qudo.mysql")
  private let access: ConnectionFactory
  private var connection: Connection?
  /// As it was when the connection was opened.
  private var departures: UInt64 = 0
  private var lastUse = ContinuousClock.now
  private var book = CommitTokenStore()
  /// How many receipts of keys were left since some were pruned, and of a new connection how many transactions.
  private var receipts = 0
  private var isNew = true

  init(_ access: ConnectionFactory) { self.access = access }

  /// When it was not used for half a minute.
  func closeIfUnused() {
    guard connection != nil, ContinuousClock.now - lastUse > .seconds(30) else { return }
    close()
    book = CommitTokenStore()
  }

  func close() {
    // Nobody asks for what this lane has done any more. If it stays it is pruned some time.
    if book.number > 0, let connection { _ = try? connection.run([book.forget, "COMMIT"]) }
    connection = nil
  }

  /// Runs `body` in a transaction, again and again while others are in its way, until it is committed.
  ///
  /// When the connection is lost during the commit, it is repeated once; see ``CommitToken``.
  ///
  /// - Parameter body: must commit, and look at ``Transaction/wasCommitted()`` first.
  func transact<Result>(
    until deadline: ContinuousClock.Instant, _ body: (Transaction) throws(QudoError) -> Result
  ) throws(QudoError) -> (Result, Transaction.Effects) {
    var turn = Retry()
    var lost: CommitToken?
    var isRepeated = false
    do throws(QudoError) {
      while true {
        let taken: Connection
        do throws(QudoError) {
          taken = try take()
        } catch {
          // While it was opened. A server that is not there is not waited for.
          guard let cause = error.mysql, cause.isOfStop || cause.isOfContention else { throw error }
          Retry.sleep(try turn.pause(after: error, isLate: .now >= deadline))
          continue
        }
        let transaction = Transaction(
          taken, access.kinds, access.cursors, time: access.time, book: book, after: lost,
          lifetimes: access.lifetimes,
          isRepeated: isRepeated)
        do throws(QudoError) {
          // Whatever came of it, it may have been done.
          defer { access.cursors.withLock { $0.entered(transaction.entries) } }
          let result = try body(transaction)
          lastUse = .now
          if !transaction.connection.isSound || !transaction.connection.isBetweenTransactions {
            connection = nil
          }
          if transaction.hasWritten || transaction.isConfirmed { book.number = transaction.receipt.number }
          // The receipt of the lost one must stay: it may be on its way still.
          if lost != nil { book = CommitTokenStore() }
          receipts += transaction.keyCount + (isNew ? 1 : 0)
          return (result, transaction.effects)
        } catch {
          let isLost = transaction.loses(error)
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
      // What is on its way under this name may still be done.
      if lost != nil { book = CommitTokenStore() }
      let error = access.passing(error)
      let code = lost == nil || error.code == .closed ? error.code : .outcomeUnknown
      let message =
        code == .outcomeUnknown
        ? "the connection was lost during the commit: it may or may not have been done" : error.message
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

  /// Whether it is time for ``pruneReceipts()``: after so many new ones of keys that as many old ones are gone in the long run, and once
  /// for each connection that lasts.
  var hasToPrune: Bool { receipts >= 64 }

  /// After a call was answered, so that it waits for nothing. What goes wrong is no matter: the next one does it.
  func pruneReceipts() {
    (receipts, isNew) = (0, false)
    _ = try? transact(until: .now) { transaction throws(QudoError) in
      try transaction.pruneReceipts(atMost: 256)
    }
  }

  /// The connection, alive as far as can be told: one that was not used for a while is asked.
  ///
  /// - Throws: `QudoError.Code.databaseReplaced` if the database is another one by now.
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
    // Before it is opened: what is left meanwhile is left again.
    departures = access.departures
    let new = try access.connect()
    (connection, isNew) = (new, true)
    return new
  }
}
#endif
