public import Qudo

extension SQLiteDriver: TransactionalDriver {
  /// Stores jobs as part of the application's own transaction, as `Queue.enqueue(_:in:)` does, but without hooks.
  @discardableResult
  public func insert(_ jobs: [NewJob], in connection: OpaquePointer?) throws(QudoError) -> [InsertResult] {
    for job in jobs { try limits.check(job) }
    let bounds = try MaxWaiting.bounds(of: jobs)
    return try join(connection) { transaction throws(QudoError) in
      try bounds.isEmpty ? transaction.insert(jobs) : transaction.insert(jobs, bounds).get()
    }
  }
}
