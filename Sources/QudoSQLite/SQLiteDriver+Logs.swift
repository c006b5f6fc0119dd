public import Qudo

extension SQLiteDriver: LogDriver {
  public func failures(_ query: LogQuery) async throws(QudoError) -> [FailureRecord] {
    try query.failures?.check()
    return try await reader.read { snapshot throws(QudoError) in try snapshot.failures(query) }
  }

  public func statuses(_ query: LogQuery) async throws(QudoError) -> [StatusRecord] {
    try await reader.read { snapshot throws(QudoError) in try snapshot.statuses(query) }
  }

  public func outcomes(of jobs: [Int64]) async throws(QudoError) -> [JobOutcome] {
    try await reader.read { snapshot throws(QudoError) in try snapshot.outcomes(of: jobs) }
  }

  public func job(withUniqueKey key: String, kind: Kind) async throws(QudoError) -> Int64? {
    try await reader.read { snapshot throws(QudoError) in try snapshot.job(withUniqueKey: key, kind: kind) }
  }

  public func resolve(_ failures: [Int64]) async throws(QudoError) -> [ResolveResult] {
    try await writer.write(isDurable: true, isSmall: failures.count <= Self.small) {
      transaction throws(QudoError) in
      try transaction.resolve(failures)
    }
  }

  public func replay(_ failures: [Int64], changing change: JobChange, unique: UniqueKey?)
    async throws(QudoError) -> [ReplayResult]
  {
    let limits = limits
    return try await writer.write(isDurable: true, isSmall: failures.count <= Self.small) {
      transaction throws(QudoError) in
      try transaction.replay(failures, change, unique, limits)
    }
  }

  public func prune(_ prune: PruneOptions) async throws(QudoError) -> Int {
    var receiptPages = 0
    while receiptPages < Snapshot.mostReceiptPages {
      let rows = try await reader.read { snapshot throws(QudoError) in try snapshot.prunable(prune) }
      if rows.isEmpty { return 0 }
      let deleted = try await writer.write(isDurable: false, isSmall: false) {
        transaction throws(QudoError) in try transaction.delete(rows)
      }
      if deleted.logRows > 0 { return deleted.logRows }
      // Another process deleted these log rows first, or there were only idempotency keys: look for more.
      if rows.failures == nil, rows.statuses == nil {
        guard deleted.isAny else { return 0 }
        receiptPages += 1
      }
    }
    return 0
  }
}
