#if MySQL
internal import Dispatch
internal import Qudo

/// A place for one connection, with a thread of its own: no thread of Swift's pool ever waits for the server.
final class Lane: @unchecked Sendable {  // reason: `connection` and `lastUse` are touched on `thread` only
  let thread = DispatchQueue(label: "qudo.mysql")
  private let access: ServerAccess
  private var connection: Connection?
  private var lastUse = ContinuousClock.now

  init(_ access: ServerAccess) { self.access = access }

  func close() { connection = nil }

  /// Runs `body` in a transaction, again and again while others are in its way, until it is committed.
  ///
  /// - Parameters:
  ///   - repeats: whether it may be repeated when the connection was lost during the commit: a second time does nothing
  ///     that the first one did.
  ///   - body: must commit.
  func transact<Result>(
    until deadline: ContinuousClock.Instant, repeats: Bool, _ body: (Transaction) throws(QudoError) -> Result
  ) throws(QudoError) -> (Result, wakes: Bool) {
    var turn = Retry()
    while true {
      let connection = try take()
      let transaction = Transaction(connection, access.kinds, time: access.time)
      do {
        let result = try body(transaction)
        lastUse = .now
        return (result, transaction.wakes)
      } catch {
        let wasCommitting = transaction.phase == .committing
        if error.mysql?.isOfConnection == true {
          self.connection = nil
        } else {
          rollBack(transaction)
        }
        switch turn.decide(error, wasCommitting: wasCommitting, repeats: repeats, isLate: .now >= deadline) {
        case .again(let pause): Retry.sleep(pause)
        case .fail(let error): throw QudoError(error.code, "\(access.settings.name): \(error.message)", cause: error.cause)
        }
      }
    }
  }

  /// The connection, alive as far as can be told: one that was not used for a while is asked.
  private func take() throws(QudoError) -> Connection {
    if let connection, ContinuousClock.now - lastUse < .seconds(1) || connection.isAlive() { return connection }
    connection = nil
    let new = try access.connect()
    connection = new
    return new
  }

  private func rollBack(_ transaction: Transaction) {
    do {
      try transaction.rollBack()
    } catch {
      // The server rolls back what a lost connection left.
      connection = nil
    }
  }
}
#endif
