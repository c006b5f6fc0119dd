#if MySQL
public import Qudo

extension MySQLDriver: LogDriver {
  public func failures(_ query: LogQuery) async throws(QudoError) -> [FailureRecord] {
    try query.failures?.check()
    return try await pool.transact { transaction throws(QudoError) in try transaction.failures(query) }
  }

  public func statuses(_ query: LogQuery) async throws(QudoError) -> [StatusRecord] {
    try await pool.transact { transaction throws(QudoError) in try transaction.statuses(query) }
  }

  public func outcomes(of jobs: [Int64]) async throws(QudoError) -> [JobOutcome] {
    try await pool.transact { transaction throws(QudoError) in try transaction.outcomes(of: jobs) }
  }

  public func job(withUniqueKey key: String, kind: Kind) async throws(QudoError) -> Int64? {
    try await pool.transact { transaction throws(QudoError) in
      try transaction.job(withUniqueKey: key, kind: kind)
    }
  }

  public func resolve(_ failures: [Int64]) async throws(QudoError) -> [ResolveResult] {
    try await pool.transact { transaction throws(QudoError) in try transaction.resolve(failures) }
  }

  public func replay(_ failures: [Int64], changing change: JobChange, unique: UniqueKey?)
    async throws(QudoError) -> [ReplayResult]
  {
    let limits = limits
    return try await pool.transact { transaction throws(QudoError) in
      try transaction.replay(failures, change, unique, limits)
    }
  }

  public func prune(_ prune: PruneOptions) async throws(QudoError) -> Int {
    let sizes = logSizes
    while true {
      let count = try await pool.transact { transaction throws(QudoError) in
        try transaction.prune(prune, sizes)
      }
      guard let count else { break }
      // Another process deleted them first; more may be left.
      if count > 0 { return count }
    }
    guard prune.limit > 0 else { return 0 }
    for _ in 0..<Self.mostReceiptPages {
      guard
        try await pool.transact({ transaction throws(QudoError) in try transaction.pruneExpiredReceipts() })
      else { break }
    }
    return 0
  }

  /// The maximum number of transactions in which one call deletes idempotency keys.
  private static let mostReceiptPages = 10
}
#endif
