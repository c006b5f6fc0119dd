// What became of jobs, and waiting for it.
extension Queue {
  /// Returns what became of a job.
  ///
  ///     switch try await queue.outcome(of: id) {
  ///     case .unfinished(let job): print(job.state)
  ///     case .failed(let failure): print(failure.message)
  ///     default: break
  ///     }
  ///
  /// - Throws: ``QudoError``; ``QudoError/Code/invalidArgument`` for an unknown database.
  public func outcome(of job: JobID) async throws(QudoError) -> JobOutcome {
    try await outcomes(of: [job]).first ?? .neverExisted
  }

  /// Returns what became of jobs: those of each database at one point in time.
  ///
  /// - Returns: The outcomes, in the order of the jobs.
  /// - Throws: ``QudoError``; ``QudoError/Code/invalidArgument`` for an unknown database.
  public func outcomes(of jobs: [JobID]) async throws(QudoError) -> [JobOutcome] {
    var outcomes: [JobID: JobOutcome] = [:]
    for (database, jobs) in jobs.byDatabase {
      let numbers = jobs.map(\.number)
      let answers = try await databases.logs(in: database) { driver throws(QudoError) in
        try await driver.outcomes(of: numbers)
      }
      for (job, outcome) in zip(jobs, answers) { outcomes[job] = outcome }
    }
    return jobs.map { outcomes[$0] ?? .neverExisted }
  }

  /// Returns the id of the job with a unique key: the live job that holds it, else the newest one in the logs. With several
  /// databases, a live job of any comes before the logs of all.
  ///
  ///     if let id = try await queue.job(withUniqueKey: "order-17", kind: "mail.send") { … }
  ///
  /// - Returns: Nil if no live job holds the key and no log has it. A job that completed is in a log only if its kind has
  ///   ``JobPolicy/recordsStatus``.
  /// - Throws: ``QudoError``, also if one of several databases is unavailable.
  public func job(withUniqueKey key: String, kind: Kind) async throws(QudoError) -> JobID? {
    let answers = await databases.forEachDriver {
      driver throws(QudoError) -> (number: Int64, isLive: Bool)? in
      guard let number = try await driver.logs().job(withUniqueKey: key, kind: kind) else { return nil }
      return (number, try await driver.jobs(matching: JobQuery(ids: [number], limit: 1)).first != nil)
    }
    var found: (id: JobID, isLive: Bool)?
    for answer in answers {
      guard let job = try answer.result.get(), found == nil || (job.isLive && found?.isLive == false) else {
        continue
      }
      found = (JobID(database: answer.database, number: job.number), job.isLive)
    }
    return found?.id
  }

  /// Waits until a job has ended, and returns what became of it.
  ///
  ///     let outcome = try await queue.wait(for: id, timeout: .seconds(60))
  ///
  /// On a SQLite file, the end of the job wakes the wait, in whatever process the job runs. A server is asked at growing
  /// intervals, of 20 ms to 1 s.
  ///
  /// - Parameters:
  ///   - job: The job's id.
  ///   - timeout: How long to wait. Default: until the job ends.
  /// - Returns: The outcome; ``JobOutcome/unfinished(_:)`` if the timeout came first.
  /// - Throws: ``QudoError``; ``QudoError/Code/invalidArgument`` for an unknown database; `CancellationError` if the task is
  ///   cancelled.
  public func wait(for job: JobID, timeout: Duration? = nil) async throws -> JobOutcome {
    try await wait(for: [job], timeout: timeout).first ?? .neverExisted
  }

  /// Waits until all of the jobs have ended, and returns what became of them.
  ///
  /// - Returns: The outcomes, in the order of the jobs; ``JobOutcome/unfinished(_:)`` for those that the timeout left.
  /// - Throws: As for one job.
  public func wait(for jobs: [JobID], timeout: Duration? = nil) async throws -> [JobOutcome] {
    let clock = databases.options.clock
    let end = timeout.map { clock.sinceBoot().clampedPlus($0.wholeMicroseconds) } ?? .max
    var outcomes: [JobID: JobOutcome] = [:]
    // One database after the other: the wait is over when the last one is.
    for (database, jobs) in jobs.byDatabase {
      let found = try await databases.wait(for: jobs.map(\.number), in: database, until: end)
      for (job, outcome) in zip(jobs, found) { outcomes[job] = outcome }
    }
    return jobs.map { outcomes[$0] ?? .neverExisted }
  }
}

extension Databases {
  /// The time between two looks at a database whose doorbell does not ring when jobs end, at first and at most, and the
  /// most for one whose doorbell does, in microseconds.
  private static let (firstPause, longestPause): (Int64, Int64) = (20_000, 1_000_000)

  func wait(for jobs: [Int64], in database: String, until end: Int64) async throws -> [JobOutcome] {
    let driver = try await logs(in: database) { driver throws(QudoError) in driver }
    let rings = driver.capabilities.contains(.ringsAtEnds)
    let bell = Bell()
    let listener = rings ? driver.doorbell.listen { bell.ring() } : nil
    defer { if let listener { driver.doorbell.stopListening(listener) } }
    var pause = rings ? Self.longestPause : Self.firstPause
    while true {
      bell.clear()
      let outcomes = try await logs(in: database) { driver throws(QudoError) in
        try await driver.outcomes(of: jobs)
      }
      let now = options.clock.sinceBoot()
      guard outcomes.contains(where: \.isUnfinished), now < end else { return outcomes }
      _ = await withDeadline(until: min(end, now.clampedPlus(pause)), options.clock) { await bell.rung() }
      // After the deadline, a task still waits for a ring.
      bell.ring()
      try Task.checkCancellation()
      if !rings { pause = min(pause + pause / 2, Self.longestPause) }
    }
  }

  /// Calls `body` with the driver of one database, for a read.
  ///
  /// - Throws: ``QudoError``; ``QudoError/Code/invalidArgument`` if no database has the name.
  package func logs<Value: Sendable>(
    in database: String, _ body: @escaping @Sendable (any LogDriver) async throws(QudoError) -> Value
  ) async throws(QudoError) -> Value {
    if let only {
      guard only.name == database else { throw unknown(database) }
      return try await body(try only.logs())
    }
    guard let member = await member(database) else { throw unknown(database) }
    let end = end(options.callTimeout)
    _ = try await member.ready(until: end)
    return try await member.call(until: end, isRead: true) { driver throws(QudoError) in
      try await body(try driver.logs())
    }
  }
}

/// Remembers a ring of a doorbell until it is cleared.
private final class Bell: Sendable {
  private struct State {
    var isRung = false
    var waiters: [Continuation<Void, Never>] = []
  }
  private let state = Locked(State())

  func ring() {
    let waiters = state.withLock { state in
      defer { state.waiters = [] }
      state.isRung = true
      return state.waiters
    }
    for waiter in waiters { waiter.resume() }
  }

  /// Forgets a ring.
  func clear() { state.withLock { $0.isRung = false } }

  /// Returns when it has rung, or the task is cancelled.
  func rung() async {
    await withTaskCancellationHandler {
      await withContinuation { continuation in
        let isRung = state.withLock { state in
          if !state.isRung, !Task.isCancelled { state.waiters.append(continuation) }
          return state.isRung || Task.isCancelled
        }
        if isRung { continuation.resume() }
      }
    } onCancel: {
      Interleaving.point()
      ring()
    }
  }
}
