#if MySQL
internal import Qudo

extension Opening {
  /// A client that goes away in the middle of a transaction, its machine or its network with it, must not keep what it has locked: for the
  /// server that connection may hold for hours. A client that was merely held up repeats the transaction.
  ///
  /// "idle_transaction_timeout: time in seconds that the server waits for idle transactions before it closes the connection" (MariaDB). MySQL
  /// has nothing but `wait_timeout`, which ends connections without a transaction as well; those are opened anew when they are needed.
  static func idleLimit(_ facts: MySQLServerFacts) -> SQL {
    facts.isMariaDB ? "SET SESSION idle_transaction_timeout = 5" : "SET SESSION wait_timeout = LEAST(@@SESSION.wait_timeout, 60)"
  }
}
#endif
