public import Qudo

extension SQLiteDriver: TransactionalDriver {
  /// Stores jobs as part of the application's own transaction, as `Queue.enqueue(_:in:)` does, but without hooks.
  @discardableResult
  public func insert(_ jobs: [NewJob], in connection: OpaquePointer?) throws(QudoError) -> [InsertResult] {
    for job in jobs { try limits.check(job) }
    return try join(connection) { transaction throws(QudoError) in try transaction.insert(jobs) }
  }
}
