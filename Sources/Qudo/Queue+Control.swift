// Control verbs reach jobs through any process that has the database open.
extension Queue {
  /// Cancels a job.
  ///
  /// A waiting job leaves at once, for the failure log, from which it can be replayed. The run of a running job is
  /// cancelled, in whatever process it runs: the task of its handler, or the command. If the run completes all the
  /// same, the job completed; otherwise it is in the failure log, too, with the reason ``FailureReason/cancelled``.
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
    var results: [JobID: CancelResult] = [:]
    var groups: [(database: String, jobs: [JobID])] = []
    for job in jobs {
      if let index = groups.firstIndex(where: { $0.database == job.database }) {
        groups[index].jobs.append(job)
      } else {
        groups.append((job.database, [job]))
      }
    }
    for (database, jobs) in groups {
      let numbers = jobs.map(\.number)
      let answers = try await databases.control(in: database) { driver throws(QudoError) in
        try await driver.cancel(numbers, reason: reason)
      }
      for (job, answer) in zip(jobs, answers) { results[job] = answer }
    }
    return jobs.map { results[$0] ?? .notFound }
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
    var count = 0
    for name in databases.names {
      var query = JobQuery(filter, limit: 1000)
      while true {
        let page = query
        let found = try await databases.control(in: name) { driver throws(QudoError) in
          try await driver.cancel(matching: page, reason: reason)
        }
        count += found.count
        if !found.isEmpty {
          try progress(
            Dictionary(
              found.map { (JobID(database: name, number: $0.id), $0.result) }, uniquingKeysWith: { $1 }))
        }
        guard found.count == query.limit, let last = found.last else { break }
        query.after = last.id
      }
    }
    return count
  }

  /// Pauses kinds in every database: their jobs are not begun until the pause ends.
  ///
  /// Running jobs go on, jobs can be enqueued, and delayed jobs become due. The pause is stored in the database and
  /// holds for every process. A second pause of a kind replaces the first one.
  ///
  ///     try await queue.pause(["mail.send"], until: .after(.seconds(3600)), reason: "the mail server is down")
  ///
  /// - Parameters:
  ///   - kinds: The kinds; nil for everything, including kinds to come.
  ///   - end: When the pause ends by itself. Default: never.
  ///   - reason: A note for those who look at the queue, at most 1,024 bytes. Default: none.
  /// - Throws: ``QudoError``, also if one of several databases is unavailable; the others are paused all the same.
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
  /// - Throws: ``QudoError``, also if one of several databases is unavailable; the others go on all the same.
  @discardableResult
  public func resume(_ kinds: [Kind]? = nil) async throws(QudoError) -> [Pause] {
    let answers = await databases.forEachDriver { driver throws(QudoError) in
      try await driver.control().resume(kinds)
    }
    return try answers.joined()
  }

  /// Returns the pauses that have not ended, of every database.
  ///
  /// - Throws: ``QudoError``, also if one of several databases is unavailable.
  public func pauses() async throws(QudoError) -> [Pause] {
    let answers = await databases.forEachDriver { driver throws(QudoError) in
      try await driver.control().pauses()
    }
    return try answers.joined()
  }
}

extension Databases {
  /// Calls `body` with the driver of one database.
  ///
  /// - Throws: ``QudoError``; ``QudoError/Code/invalidArgument`` if no database has the name.
  package func control<Value: Sendable>(
    in database: String, _ body: @escaping @Sendable (any ControlDriver) async throws(QudoError) -> Value
  ) async throws(QudoError) -> Value {
    if let only {
      guard only.name == database else { throw unknown(database) }
      return try await body(try only.control())
    }
    guard let member = await member(database) else { throw unknown(database) }
    let end = end(options.callTimeout)
    _ = try await member.ready(until: end)
    return try await member.call(until: end) { driver throws(QudoError) in
      try await body(try driver.control())
    }
  }
}
