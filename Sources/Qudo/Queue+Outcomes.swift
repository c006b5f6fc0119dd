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
      let answers = try await databases.logs(in: database, isRead: true) { driver throws(QudoError) in
        try await driver.outcomes(of: numbers)
      }
      for (job, outcome) in zip(jobs, answers) { outcomes[job] = outcome }
    }
    return jobs.map { outcomes[$0] ?? .neverExisted }
  }

  /// Returns the id of the job with a unique key: the live job that holds it, else the newest one in the logs. With several
  /// databases, a live job of any comes before the logs of all, and the logs of the first before those of the next.
  ///
  ///     if let id = try await queue.job(withUniqueKey: "order-17", kind: "mail.send") { … }
  ///
  /// - Returns: Nil if no live job holds the key and no log has it. A job that completed is in a log only if its kind has
  ///   ``JobPolicy/recordsStatus``.
  /// - Throws: ``QudoError``, even if only one of several databases is unavailable.
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
  /// On a SQLite file, the end of the job wakes the call, even if the job runs in another process. Qudo polls a server at
  /// growing intervals, from 20 ms to 1 s. If the database fails meanwhile, the call waits until it answers again.
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
  /// The time from a look to the next one, in microseconds: at first, after a ring, and at most.
  private static let (firstPause, shortestPause, longestPause): (Int64, Int64, Int64) = (
    20_000, 10_000, 1_000_000
  )

  func wait(for jobs: [Int64], in database: String, until end: Int64) async throws -> [JobOutcome] {
    let clock = options.clock
    let driver = try await logs(in: database, isRead: true) { driver throws(QudoError) in driver }
    let bell = Bell()
    // Listens before it looks, so that no ring is missed.
    let listener = driver.capabilities.contains(.ringsAtEnds) ? driver.doorbell.listen { bell.ring() } : nil
    defer {
      if let listener { driver.doorbell.stopListening(listener) }
      // A task of the last pause may still wait for a ring.
      bell.ring()
    }
    var outcomes: [Int64: JobOutcome] = [:]
    var pause = Self.firstPause
    while true {
      try Task.checkCancellation()
      bell.clear()
      let looked = clock.sinceBoot()
      let left = Array(Set(jobs.filter { outcomes[$0]?.isUnfinished ?? true }))
      do {
        let found = try await logs(in: database, isRead: true) { driver throws(QudoError) in
          try await driver.outcomes(of: left)
        }
        for (job, outcome) in zip(left, found) { outcomes[job] = outcome }
      } catch {
        try Task.checkCancellation()
        // A database that has answered before is waited for, too.
        guard error.isPassing, !outcomes.isEmpty else { throw error }
      }
      guard outcomes.values.contains(where: \.isUnfinished), clock.sinceBoot() < end else {
        return jobs.map { outcomes[$0] ?? .neverExisted }
      }
      // A ring may come before what it tells of can be read: look again soon after it. With a busy file it rings all the
      // time: do not look each time.
      let isRung = await bell.isRung(until: min(end, looked.clampedPlus(pause)), clock)
      if isRung { try await clock.sleep(untilSinceBoot: min(end, looked.clampedPlus(Self.shortestPause))) }
      pause = isRung ? Self.firstPause : min(pause + pause / 2, Self.longestPause)
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

  /// Waits for a ring.
  ///
  /// - Returns: False if the time came first.
  func isRung(until time: Int64, _ clock: any QueueClock) async -> Bool {
    let isRung =
      await withDeadline(until: time, clock) {
        await self.rung(); return true
      } ?? false
    // After the deadline, the task still waits.
    if !isRung { ring() }
    return isRung
  }

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
