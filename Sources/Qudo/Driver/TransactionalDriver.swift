/// A driver that can store jobs as part of a transaction that the application has open on its own connection.
///
/// `SQLiteDriver` is one. `MemoryDriver` of QudoTesting stands in for it: it has no connection to join, and stores the jobs at once.
public protocol TransactionalDriver: Driver {
  /// Stores jobs as part of the application's own transaction, or of a new transaction if none is open.
  ///
  /// - Parameters:
  ///   - jobs: the jobs.
  ///   - connection: the application's `sqlite3 *`, which has the driver's file open as `main`. No other thread may use it during the
  ///     call.
  /// - Returns: the results, in the order of the jobs. If the transaction is rolled back, other jobs may get the same ids.
  /// - Throws: ``QudoError``; then the transaction contains none of the jobs.
  func insert(_ jobs: [NewJob], in connection: OpaquePointer?) throws(QudoError) -> [InsertResult]
}
