// Control verbs reach jobs through any process that has the database open.
extension Queue {
  /// Cancels a job.
  ///
  /// A waiting job moves to the failure log immediately, and can be replayed from there. If the job runs, in any process, its worker cancels
  /// the run: the task of its handler, or the command. If the run still completes, the job has completed; otherwise it moves to the failure
  /// log, too, with the reason ``FailureReason/cancelled``.
  ///
  ///     try await queue.cancel(id, reason: "the customer is gone")
  ///
  /// - Parameters:
  ///   - job: The job's id.
  ///   - reason: The message for the failure log, at most 1,024 bytes; nil for "cancelled".
  /// - Throws: ``QudoError``; ``QudoError/Code/invalidArgument`` for an unknown database.
  @discardableResult
  public func cancel(_ job: JobID, reason: String? = nil) async throws(QudoError) -> CancelResult {
    try await cancel([job], reason: reason).first ?? .notFound
  }

  /// Cancels jobs: those of each database in one transaction.
  ///
  /// - Returns: The results, in the order of the jobs.
  /// - Throws: ``QudoError``; then the jobs of earlier databases may have been cancelled.
  @discardableResult
  public func cancel(_ jobs: [JobID], reason: String? = nil) async throws(QudoError) -> [CancelResult] {
    try await databases.control(jobs, else: .notFound) { driver, numbers throws(QudoError) in
      try await driver.cancel(numbers, reason: reason)
    }
  }

  /// Cancels all jobs that fit a filter, in transactions of 1,000. Jobs that are enqueued meanwhile may be among them.
  ///
  ///     let count = try await queue.cancel(matching: JobFilter(kinds: ["mail.send"], states: [.ready, .delayed]))
  ///
  /// - Parameters:
  ///   - filter: Which jobs.
  ///   - reason: The message for the failure log, at most 1,024 bytes; nil for "cancelled".
  ///   - progress: Called after each transaction.
  /// - Returns: The number of jobs, running ones included.
  /// - Throws: ``QudoError``; the transactions before it hold.
  @discardableResult
  public func cancel(
    matching filter: JobFilter, reason: String? = nil,
    progress: @Sendable (_ cancelled: [JobID: CancelResult]) throws -> Void = { _ in }
  ) async throws -> Int {
    try await databases.control(matching: filter, counting: { $0 != .notFound }, progress) {
      driver, page throws(QudoError) in
      try await driver.cancel(matching: page, reason: reason).map { ($0.id, $0.result) }
    }
  }

  // MARK: Changing

  /// Changes a waiting job: its priority, due time, payload or metadata. A running job is left as it is.
  ///
  ///     try await queue.change(id, JobChange(priority: 10, due: .after(.seconds(60))))
  ///
  /// The job keeps its id, its unique key and its attempts.
  ///
  /// - Parameters:
  ///   - job: The job's id.
  ///   - change: What to change. A payload is stored as given: no codec and no hook changes it.
  /// - Throws: ``QudoError``; ``QudoError/Code/invalidArgument`` for an unknown database, an empty change, or values
  ///   beyond the limits.
  @discardableResult
  public func change(_ job: JobID, _ change: JobChange) async throws(QudoError) -> ChangeResult {
    try await self.change([job], change).first ?? .notFound
  }

  /// Changes waiting jobs: those of each database in one transaction.
  ///
  /// - Returns: The results, in the order of the jobs.
  /// - Throws: As for one job; then the jobs of earlier databases may have been changed.
  @discardableResult
  public func change(_ jobs: [JobID], _ change: JobChange) async throws(QudoError) -> [ChangeResult] {
    try await databases.control(jobs, else: .notFound) { driver, numbers throws(QudoError) in
      try await driver.change(numbers, change)
    }
  }

  /// Changes all waiting jobs that fit a filter, in transactions of 1,000.
  ///
  ///     let count = try await queue.change(matching: JobFilter(kinds: ["mail.send"]), JobChange(due: .now))
  ///
  /// - Parameters:
  ///   - filter: Which jobs. Running ones are left as they are.
  ///   - change: What to change.
  ///   - progress: Called after each transaction.
  /// - Returns: The number of changed jobs.
  /// - Throws: As for one job; the transactions before it hold.
  @discardableResult
  public func change(
    matching filter: JobFilter, _ change: JobChange,
    progress: @Sendable (_ jobs: [JobID: ChangeResult]) throws -> Void = { _ in }
  ) async throws -> Int {
    try await databases.control(matching: filter, counting: { $0 == .changed }, progress) {
      driver, page throws(QudoError) in
      try await driver.change(matching: page, change).map { ($0.id, $0.result) }
    }
  }

  /// Makes a delayed job due now: the same as a change of the due time to ``Due/now``.
  ///
  /// - Throws: ``QudoError``; ``QudoError/Code/invalidArgument`` for an unknown database.
  @discardableResult
  public func runNow(_ job: JobID) async throws(QudoError) -> ChangeResult {
    try await change(job, JobChange(due: .now))
  }

  /// Frees a running job by force: see ``recover(_:)-([JobID])``.
  @discardableResult
  public func recover(_ job: JobID) async throws(QudoError) -> RecoverResult {
    try await recover([job]).first ?? .notFound
  }

  /// Frees running jobs by force: they are ready again, as if they had never been claimed.
  ///
  /// Qudo refuses the outcome of the current run. Its worker cancels it when it next renews the lease, after a third of
  /// ``JobPolicy/leaseDuration`` at most; until then the job may run twice at the same time. If a job was
  /// about to be cancelled, it goes to the failure log instead.
  ///
  /// Jobs of processes that died are recovered without it.
  ///
  /// - Returns: The results, in the order of the jobs.
  /// - Throws: ``QudoError``; ``QudoError/Code/invalidArgument`` for an unknown database.
  @discardableResult
  public func recover(_ jobs: [JobID]) async throws(QudoError) -> [RecoverResult] {
    try await databases.control(jobs, else: .notFound) { driver, numbers throws(QudoError) in
      try await driver.recover(numbers)
    }
  }

  /// Frees all running jobs that fit a filter by force, in transactions of 1,000: see ``recover(_:)-([JobID])``.
  ///
  ///     let count = try await queue.recover(matching: JobFilter(kinds: ["mail.send"]))
  ///
  /// - Parameters:
  ///   - filter: Which jobs. Waiting ones are left as they are.
  ///   - progress: Called after each transaction.
  /// - Returns: The number of jobs that are ready again.
  /// - Throws: ``QudoError``; the transactions before it hold.
  @discardableResult
  public func recover(
    matching filter: JobFilter, progress: @Sendable (_ jobs: [JobID: RecoverResult]) throws -> Void = { _ in }
  ) async throws -> Int {
    try await databases.control(matching: filter, counting: { $0 == .recovered }, progress) {
      driver, page throws(QudoError) in
      try await driver.recover(matching: page).map { ($0.id, $0.result) }
    }
  }

  // MARK: Pausing

  /// Pauses kinds in every database: their jobs are not begun until the pause ends.
  ///
  /// Running jobs continue, jobs can be enqueued, and delayed jobs become due. The pause is stored in the database
  /// and holds for every process. A second pause of a kind replaces the first one.
  ///
  ///     try await queue.pause(["mail.send"], until: .after(.seconds(3600)), reason: "the mail server is down")
  ///
  /// - Parameters:
  ///   - kinds: The kinds; nil for everything, including future kinds.
  ///   - end: When the pause ends by itself. Default: never.
  ///   - reason: A note for those who look at the queue, at most 1,024 bytes. Default: none.
  /// - Throws: ``QudoError``, even if only one of several databases is unavailable; the others are still paused.
  ///   ``QudoError/Code/invalidArgument`` if the end is not in the future.
  public func pause(_ kinds: [Kind]?, until end: Due? = nil, reason: String? = nil) async throws(QudoError) {
    let answers = await databases.forEachDriver { driver throws(QudoError) in
      try await driver.control().pause(kinds, until: end, reason: reason)
    }
    for answer in answers { try answer.result.get() }
  }

  /// Ends pauses in every database.
  ///
  /// - Parameter kinds: The kinds; nil for all pauses, that of everything included. Default: all.
  /// - Returns: The pauses that were ended.
  /// - Throws: ``QudoError``, even if only one of several databases is unavailable; the others are still resumed.
  @discardableResult
  public func resume(_ kinds: [Kind]? = nil) async throws(QudoError) -> [Pause] {
    let answers = await databases.forEachDriver { driver throws(QudoError) in
      try await driver.control().resume(kinds)
    }
    return try answers.joined()
  }

  /// Returns the pauses that have not ended, of every database.
  ///
  /// - Throws: ``QudoError``, even if only one of several databases is unavailable.
  public func pauses() async throws(QudoError) -> [Pause] {
    let answers = await databases.forEachDriver { driver throws(QudoError) in
      try await driver.control().pauses()
    }
    return try answers.joined()
  }

  // MARK: Concurrency keys

  /// Returns the concurrency keys that are in use, of every database: those that jobs have, and those that are stopped. The keys of
  /// each database and kind are adjacent, sorted by their bytes.
  ///
  ///     for key in try await queue.concurrencyKeys(["order.ship"], limit: .max) where key.held > 100 {
  ///       print("\(key.key): \(key.held) jobs wait for \(key.admitted)")
  ///     }
  ///
  /// - Parameters:
  ///   - kinds: The kinds; nil for all. Default: all.
  ///   - keys: The keys; nil for all. Default: all.
  ///   - limit: The maximum number from each database; the rest is left out. Default: 1,000.
  /// - Throws: ``QudoError``, even if only one of several databases is unavailable.
  public func concurrencyKeys(
    _ kinds: [Kind]? = nil, keys: [String]? = nil, limit: Int = 1000
  ) async throws(QudoError) -> [ConcurrencyKeyStatus] {
    let query = ConcurrencyKeyQuery(kinds: kinds, keys: keys, limit: limit)
    let answers = await databases.forEachDriver { driver throws(QudoError) in
      try await driver.control().concurrencyKeys(query)
    }
    return try answers.joined()
  }

  /// Ends the stops of concurrency keys in every database: see ``ConcurrencyKey/AfterFailure/stop``. Held jobs of the keys begin in the order
  /// of their enqueues, and the jobs that stopped the keys stay in the failure log.
  ///
  ///     try await queue.resume(keys: ["customer-7"], of: "order.ship")
  ///
  /// To run the failed job before the held ones, replay its failure instead.
  ///
  /// - Parameters:
  ///   - keys: The keys; nil for all stopped keys of the kind, in transactions of 1,000. Keys that are not stopped are left as they are.
  ///   - kind: The kind of the keys.
  /// - Returns: The stops that were ended.
  /// - Throws: ``QudoError``, even if only one of several databases is unavailable; the others are still resumed.
  @discardableResult
  public func resume(keys: [String]?, of kind: Kind) async throws(QudoError) -> [KeyStop] {
    let answers = await databases.forEachDriver { driver throws(QudoError) in
      try await driver.control().resume(keys: keys, of: kind)
    }
    return try answers.joined()
  }

  /// Returns the final failures that stop concurrency keys, of every database: see ``ConcurrencyKey/AfterFailure/stop``. Those of each
  /// database are in the order of the failures.
  ///
  ///     for stop in try await queue.keyStops() { try await queue.replay([stop.failure]) }
  ///
  /// - Parameters:
  ///   - kinds: The kinds; nil for all. Default: all.
  ///   - limit: The maximum number from each database. Default: 1,000.
  /// - Throws: ``QudoError``, even if only one of several databases is unavailable.
  public func keyStops(_ kinds: [Kind]? = nil, limit: Int = 1000) async throws(QudoError) -> [KeyStop] {
    let answers = await databases.forEachDriver { driver throws(QudoError) in
      try await driver.control().keyStops(kinds, after: 0, limit: limit)
    }
    return try answers.joined()
  }
}

extension Databases {
  /// Calls `body` once for each database with the numbers of its jobs.
  ///
  /// - Parameter missing: The answer for a job without one.
  /// - Returns: The answers, in the order of the jobs.
  /// - Throws: ``QudoError``; then the calls for earlier databases took effect.
  package func control<Value: Hashable & Sendable>(
    _ jobs: [JobID], else missing: Value,
    _ body: @escaping @Sendable (any ControlDriver, [Int64]) async throws(QudoError) -> [Value]
  ) async throws(QudoError) -> [Value] {
    var results: [JobID: Value] = [:]
    for (database, jobs) in jobs.byDatabase {
      let numbers = jobs.map(\.number)
      let answers = try await control(in: database) { driver throws(QudoError) in
        try await body(driver, numbers)
      }
      for (job, answer) in zip(jobs, answers) { results[job] = answer }
    }
    return jobs.map { results[$0] ?? missing }
  }

  /// Calls `body` with one page after the other of a filter's jobs, in each database.
  ///
  /// - Parameters:
  ///   - isCounted: Whether a job with this answer counts.
  ///   - progress: Called after each page that has jobs.
  ///   - body: Returns the jobs of a page, in the order of their ids, and their answers.
  /// - Returns: The number of jobs that count.
  fileprivate func control<Value: Sendable>(
    matching filter: JobFilter, counting isCounted: (Value) -> Bool,
    _ progress: (_ jobs: [JobID: Value]) throws -> Void,
    _ body: @escaping @Sendable (any ControlDriver, JobQuery) async throws(QudoError) -> [(Int64, Value)]
  ) async throws -> Int {
    var count = 0
    for name in names {
      var query = JobQuery(filter, limit: 1000)
      while true {
        let page = query
        let found = try await control(in: name) { driver throws(QudoError) in try await body(driver, page) }
        count += found.count { isCounted($0.1) }
        if !found.isEmpty {
          try progress(
            Dictionary(
              found.map { (JobID(database: name, number: $0), $1) }, uniquingKeysWith: { $1 }))
        }
        guard found.count == query.limit, let last = found.last else { break }
        query.after = last.0
      }
    }
    return count
  }

  /// Calls `body` with the driver of one database, which can control jobs.
  ///
  /// - Throws: ``QudoError``; ``QudoError/Code/invalidArgument`` if no database has the name, or it cannot control jobs.
  package func control<Value: Sendable>(
    in database: String, _ body: @escaping @Sendable (any ControlDriver) async throws(QudoError) -> Value
  ) async throws(QudoError) -> Value {
    try await call(in: database) { driver throws(QudoError) in try await body(try driver.control()) }
  }
}

extension [JobID] {
  /// The jobs of each database, in the order of its first job.
  var byDatabase: [(database: String, jobs: [JobID])] {
    var groups: [(database: String, jobs: [JobID])] = []
    for job in self {
      if let index = groups.firstIndex(where: { $0.database == job.database }) {
        groups[index].jobs.append(job)
      } else {
        groups.append((job.database, [job]))
      }
    }
    return groups
  }
}
