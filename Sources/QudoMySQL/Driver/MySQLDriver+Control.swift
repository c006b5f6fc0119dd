#if MySQL
public import Qudo

extension MySQLDriver: ControlDriver {
  public func cancel(_ jobs: [Int64], reason: String?) async throws(QudoError) -> [CancelResult] {
    try check(reason: reason)
    return try await pool.transact { transaction throws(QudoError) in
      try transaction.run(cancelling: jobs, reason: reason)
    }
  }

  public func cancel(matching query: JobQuery, reason: String?) async throws(QudoError) -> [CancelledJob] {
    try check(reason: reason)
    try query.filter.check()
    return try await pool.transact { transaction throws(QudoError) in
      try transaction.run(cancelling: query, reason: reason)
    }
  }

  public func change(_ jobs: [Int64], _ change: JobChange) async throws(QudoError) -> [ChangeResult] {
    try check(change)
    return try await pool.transact { transaction throws(QudoError) in
      try transaction.run(changing: jobs, change, limits)
    }
  }

  public func change(matching query: JobQuery, _ change: JobChange) async throws(QudoError) -> [ChangedJob] {
    try check(change)
    try query.filter.check()
    return try await pool.transact { transaction throws(QudoError) in
      try transaction.run(changing: query, change, limits)
    }
  }

  public func recover(_ jobs: [Int64]) async throws(QudoError) -> [RecoverResult] {
    try await pool.transact { transaction throws(QudoError) in try transaction.run(recovering: jobs) }
  }

  public func setFailureRoutes(_ routes: [FailureRoute]) async throws(QudoError) {
    for route in routes { try route.check() }
    try await pool.transact { transaction throws(QudoError) in try transaction.run(routing: routes) }
  }

  public func failureRoutes() async throws(QudoError) -> [FailureRoute] {
    try await pool.transact { transaction throws(QudoError) in try transaction.failureRoutes() }
  }

  public func recover(matching query: JobQuery) async throws(QudoError) -> [RecoveredJob] {
    try query.filter.check()
    let query = running(query)
    return try await pool.transact { transaction throws(QudoError) in try transaction.run(recovering: query) }
  }

  public func pause(_ kinds: [Kind]?, until end: Due?, reason: String?) async throws(QudoError) {
    // Whatever the server's time is, refuse what is wrong before anything is written.
    try checkPause(kinds, until: end, reason: reason, now: .earliest)
    try await pool.transact { transaction throws(QudoError) in
      try transaction.run(pausing: kinds, until: end, reason: reason) { now throws(QudoError) in
        try checkPause(kinds, until: end, reason: reason, now: now)
      }
    }
  }

  public func resume(_ kinds: [Kind]?) async throws(QudoError) -> [Pause] {
    try await pool.transact { transaction throws(QudoError) in try transaction.run(resuming: kinds) }
  }

  public func resume(keys: [String], of kind: Kind) async throws(QudoError) -> [KeyStop] {
    try checkResume(keys, of: kind)
    return try await pool.transact { transaction throws(QudoError) in
      try transaction.run(resuming: keys, of: kind)
    }
  }

  public func concurrencyKeys(_ query: ConcurrencyKeyQuery) async throws(QudoError) -> [ConcurrencyKeyStatus]
  {
    try await pool.transact { transaction throws(QudoError) in try transaction.concurrencyKeys(query) }
  }

  public func keyStops(_ kinds: [Kind]?, after failure: Int64, limit: Int) async throws(QudoError)
    -> [KeyStop]
  {
    try await pool.transact { transaction throws(QudoError) in
      try transaction.keyStops(kinds, after: failure, limit: limit)
    }
  }

  public func throttle(_ kind: Kind, _ rate: RateLimit, for duration: Duration) async throws(QudoError) {
    try checkThrottle(kind, rate, for: duration)
    try await pool.transact { transaction throws(QudoError) in
      try transaction.run(throttling: kind, rate, for: duration)
    }
  }

  public func throttle(keyOf job: Int64, for duration: Duration) async throws(QudoError) -> Bool {
    try checkThrottle(for: duration)
    return try await pool.transact { transaction throws(QudoError) in
      try transaction.run(throttlingKeyOf: job, for: duration)
    }
  }

  public func pauses() async throws(QudoError) -> [Pause] {
    try await pool.transact { transaction throws(QudoError) in try transaction.pauses() }
  }
}
#endif
