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
    let locks = locks
    return try await writer.write(isDurable: true, isSmall: query.limit <= Self.small) {
      transaction throws(QudoError) in
      try transaction.insertCollectedReady()
      let snapshot = Snapshot(connection: transaction.connection, now: transaction.now, locks: locks)
      let ids = try snapshot.ids(matching: query)
      return zip(ids, try transaction.cancel(ids, reason: reason)).map { CancelledJob(id: $0, result: $1) }
    }
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
    let (locks, limits) = (locks, limits)
    return try await writer.write(isDurable: true, isSmall: query.limit <= Self.small, needsRoom: true) {
      transaction throws(QudoError) in
      try transaction.insertCollectedReady()
      let snapshot = Snapshot(connection: transaction.connection, now: transaction.now, locks: locks)
      let ids = try snapshot.ids(matching: query)
      return zip(ids, try transaction.change(ids, change, limits)).map { ChangedJob(id: $0, result: $1) }
    }
  }

  public func recover(_ jobs: [Int64]) async throws(QudoError) -> [RecoverResult] {
    try await writer.write(isDurable: true, isSmall: jobs.count <= Self.small) {
      transaction throws(QudoError) in
      try transaction.recover(jobs)
    }
  }

  public func pause(_ kinds: [Kind]?, until end: Due?, reason: String?) async throws(QudoError) {
    try checkPause(kinds, until: end, reason: reason, now: clock.now().wall)
    try await writer.write(isDurable: true, isSmall: true) { transaction throws(QudoError) in
      try transaction.pause(kinds, until: end, reason: reason)
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
}
