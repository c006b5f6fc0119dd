public import Qudo

extension SQLiteDriver: ControlDriver {
  public func cancel(_ jobs: [Int64], reason: String?) async throws(QudoError) -> [CancelResult] {
    try check(reason: reason)
    return try await writer.write(isDurable: true, isSmall: jobs.count <= Self.small) {
      transaction throws(QudoError) in
      try transaction.cancel(jobs, reason: reason)
    }
  }

  public func cancel(matching query: JobQuery, reason: String?) async throws(QudoError) -> [CancelledJob] {
    try check(reason: reason)
    return try await bulk(query, else: .notFound) { transaction, ids throws(QudoError) in
      try transaction.cancel(ids, reason: reason)
    }.map { CancelledJob(id: $0, result: $1) }
  }

  public func change(_ jobs: [Int64], _ change: JobChange) async throws(QudoError) -> [ChangeResult] {
    try check(change)
    let limits = limits
    return try await writer.write(isDurable: true, isSmall: jobs.count <= Self.small, needsRoom: true) {
      transaction throws(QudoError) in
      try transaction.change(jobs, change, limits)
    }
  }

  public func change(matching query: JobQuery, _ change: JobChange) async throws(QudoError) -> [ChangedJob] {
    try check(change)
    let limits = limits
    return try await bulk(query, else: .notFound, needsRoom: true) { transaction, ids throws(QudoError) in
      try transaction.change(ids, change, limits)
    }.map { ChangedJob(id: $0, result: $1) }
  }

  /// Runs a verb on the jobs of a query.
  ///
  /// A query that looks into jobs may have to look at very many of them. It does so alongside the writers, and
  /// the transaction looks again at those that it found.
  ///
  /// - Parameter missing: The result for a job that no longer fits then.
  private func bulk<Result: Sendable>(
    _ query: JobQuery, else missing: Result, needsRoom: Bool = false,
    _ verb: @escaping @Sendable (Transaction, [Int64]) throws(QudoError) -> [Result]
  ) async throws(QudoError) -> [(Int64, Result)] {
    try query.filter.check()
    var found: [Int64]?
    var query = query
    if query.filter.looksIntoJobs {
      let page = query
      let ids = try await reader.read { snapshot throws(QudoError) in try snapshot.ids(matching: page) }
      guard !ids.isEmpty else { return [] }
      (found, query.ids) = (ids, ids)
    }
    let (page, all, locks) = (query, found, locks)
    let before = writer.admittedCount
    let (answers, start, followsOthers) = try await writer.write(
      isDurable: true, isSmall: query.limit <= Self.small, needsRoom: needsRoom
    ) { transaction throws(QudoError) in
      let start = ContinuousClock.now
      try transaction.insertCollectedReady()
      let snapshot = Snapshot(connection: transaction.connection, now: transaction.now, locks: locks)
      let ids = try snapshot.ids(matching: page)
      let results = Dictionary(zip(ids, try verb(transaction, ids)), uniquingKeysWith: { first, _ in first })
      let answers = (all ?? ids).map { ($0, results[$0] ?? missing) }
      return (answers, start, transaction.effects.followsOthers)
    }
    let pause = BulkPace.pause(
      after: .now - start, hasMore: answers.count >= query.limit,
      hasOthers: followsOthers || writer.admittedCount > before + 1)
    // A cancellation ends the pause only: the page is written.
    if let pause { try? await ContinuousClock().sleep(for: pause) }
    return answers
  }

  public func recover(_ jobs: [Int64]) async throws(QudoError) -> [RecoverResult] {
    try await writer.write(isDurable: true, isSmall: jobs.count <= Self.small) {
      transaction throws(QudoError) in
      try transaction.recover(jobs)
    }
  }

  public func setFailureRoutes(_ routes: [FailureRoute]) async throws(QudoError) {
    for route in routes { try route.check() }
    try await writer.write(isDurable: true, isSmall: true) { transaction throws(QudoError) in
      try transaction.setFailureRoutes(routes)
    }
  }

  public func failureRoutes() async throws(QudoError) -> [FailureRoute] {
    try await reader.read { snapshot throws(QudoError) in try snapshot.kindTable.failureRoutes() }
  }

  public func recover(matching query: JobQuery) async throws(QudoError) -> [RecoveredJob] {
    try await bulk(running(query), else: .notFound) { transaction, ids throws(QudoError) in
      try transaction.recover(ids)
    }.map { RecoveredJob(id: $0, result: $1) }
  }

  public func pause(_ kinds: [Kind]?, until end: Due?, reason: String?) async throws(QudoError) {
    try checkPause(kinds, until: end, reason: reason, now: clock.now().wall)
    try await writer.write(isDurable: true, isSmall: true) { transaction throws(QudoError) in
      try transaction.pause(kinds, until: end, reason: reason)
    }
  }

  public func throttle(_ kind: Kind, _ rate: RateLimit, for duration: Duration) async throws(QudoError) {
    try checkThrottle(kind, rate, for: duration)
    try await writer.write(isDurable: true, isSmall: true) { transaction throws(QudoError) in
      try transaction.throttle(kind, rate, for: duration)
    }
  }

  public func throttle(keyOf job: Int64, for duration: Duration) async throws(QudoError) -> Bool {
    try checkThrottle(for: duration)
    return try await writer.write(isDurable: true, isSmall: true) { transaction throws(QudoError) in
      try transaction.throttle(keyOf: job, for: duration)
    }
  }

  public func resume(_ kinds: [Kind]?) async throws(QudoError) -> [Pause] {
    try await writer.write(isDurable: true, isSmall: true) { transaction throws(QudoError) in
      try transaction.resume(kinds)
    }
  }

  public func pauses() async throws(QudoError) -> [Pause] {
    try await reader.read { snapshot throws(QudoError) in try snapshot.pauses() }
  }

  public func resume(keys: [String], of kind: Kind) async throws(QudoError) -> [KeyStop] {
    try checkResume(keys, of: kind)
    return try await writer.write(isDurable: true, isSmall: true) { transaction throws(QudoError) in
      try transaction.resume(keys: keys, of: kind)
    }
  }

  public func concurrencyKeys(_ query: ConcurrencyKeyQuery) async throws(QudoError) -> [ConcurrencyKeyStatus]
  {
    try await reader.read { snapshot throws(QudoError) in try snapshot.concurrencyKeys(query) }
  }

  public func keyStops(_ kinds: [Kind]?, after failure: Int64, limit: Int) async throws(QudoError)
    -> [KeyStop]
  {
    try await reader.read { snapshot throws(QudoError) in
      try snapshot.keyStops(kinds, after: failure, limit: limit)
    }
  }
}
