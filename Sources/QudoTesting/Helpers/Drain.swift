public import Qudo

extension Worker {
  /// Runs one job after the other until no job of the worker's kinds is left. If no job is ready, advances
  /// the clock to the next due time, so that delayed jobs, retries and snoozes take no real time, each at its own
  /// time.
  ///
  ///     let clock = ManualClock()
  ///     let queue = Queue(MemoryDriver(clock: clock))
  ///     ...
  ///     try await Worker(queue, handlers: [JobHandler(SendMail.self)]).drain(clock)
  ///
  /// This includes jobs that a worker claimed and never settled. A job must not sleep by the clock: nothing
  /// advances the clock while a job runs.
  ///
  /// - Parameters:
  ///   - clock: the driver's clock.
  ///   - limit: the maximum number of runs and clock advances. Default 10,000.
  /// - Returns: the number of runs.
  /// - Throws: ``DrainFailure`` if the limit is reached; ``/Qudo/QudoError`` if the database fails.
  @discardableResult
  public func drain(_ clock: ManualClock, limit: Int = 10_000) async throws -> Int {
    try await drain(clock, until: nil, limit: limit)
  }

  /// Like ``drain(_:limit:)``, but runs only the jobs due within a duration. Afterwards the clock has
  /// advanced by exactly that duration.
  @discardableResult
  public func drain(_ clock: ManualClock, for duration: Duration, limit: Int = 10_000) async throws -> Int {
    try await drain(clock, until: clock.now().wall.advanced(by: duration), limit: limit)
  }

  private func drain(_ clock: ManualClock, until end: Timestamp?, limit: Int) async throws -> Int {
    try await stepwise { step in
      var runs = 0
      for _ in 0..<max(0, limit) {
        if try await step() {
          runs += 1
        } else if let next = try await nextMoment(clock.now().wall), next <= end ?? .latest {
          clock.move(to: next)
        } else {
          if let end { clock.move(to: end) }
          return runs
        }
      }
      throw DrainFailure(runs: runs, limit: limit)
    }
  }

  /// Returns the next time at which a job may be claimable, or nil if no job is left.
  private func nextMoment(_ now: Timestamp) async throws -> Timestamp? {
    var next: Timestamp?
    for driver in try await queue.databases.drivers() {
      if let moment = try await nextMoment(driver, now) { next = min(next ?? moment, moment) }
    }
    return next
  }

  private func nextMoment(_ driver: any Driver, _ now: Timestamp) async throws -> Timestamp? {
    // A ready job of a kind with a rate waits for a token.
    var next = try await nextToken(driver, now)
    var query = JobQuery(kinds: Array(handlers.keys), limit: 500)
    while true {
      let page = try await driver.jobs(matching: query)
      for job in page {
        // What admits a held job comes first.
        if job.state == .held { continue }
        if job.state == .ready, next != nil, handlers[job.kind]?.policy.rate != nil { continue }
        let moment = job.state == .running ? job.leaseExpiresAt ?? job.dueAt : job.dueAt
        next = min(next ?? moment, moment)
      }
      guard page.count == query.limit, let last = page.last else { return next }
      query.after = last.id
    }
  }

  /// Returns the time at which a rate lets a job begin, or nil if none holds up a job.
  private func nextToken(_ driver: any Driver, _ now: Timestamp) async throws -> Timestamp? {
    let rated = handlers.values.compactMap { handler -> ClaimRequest.KindDemand? in
      handler.policy.rate.map { .init(handler.kind, rate: $0) }
    }
    guard !rated.isEmpty else { return nil }
    // Only a claim tells. It takes none: the step before found no token either.
    let claim = try await driver.claim(ClaimRequest(rated, limit: 1))
    _ = try await driver.release(claim.jobs.map(\.lease))
    return claim.jobs.isEmpty ? claim.timeUntilNextDue.map { now.advanced(by: $0) } : now
  }
}

extension ManualClock {
  fileprivate func move(to moment: Timestamp) {
    let now = now().wall
    if moment > now { advance(by: .microseconds(moment.microseconds - now.microseconds)) }
  }
}

extension Queue {
  /// Runs jobs until none of these handlers' kinds is left; see `Worker.drain(_:limit:)`.
  ///
  /// - Parameters:
  ///   - handlers: the handlers, one per kind.
  ///   - plugins: the plugins for the jobs, at most one per type. They start before the first job and stop
  ///     after the last.
  ///   - clock: the driver's clock.
  ///   - limit: the maximum number of runs and clock advances. Default 10,000.
  /// - Returns: the number of runs.
  /// - Throws: ``DrainFailure`` if the limit is reached; ``/Qudo/QudoError`` if the handlers or plugins are
  ///   invalid or the database fails.
  @discardableResult
  public func drain(
    _ handlers: [JobHandler], plugins: [any Plugin] = [], _ clock: ManualClock, limit: Int = 10_000
  ) async throws -> Int {
    var options = WorkerOptions()
    options.clock = clock
    return try await Worker(self, handlers: handlers, plugins: plugins, options: options).drain(
      clock, limit: limit)
  }
}

/// A drain reached its limit before all jobs were done.
public struct DrainFailure: Error, CustomStringConvertible {
  /// The number of runs.
  public let runs: Int
  /// The maximum number of runs and clock advances.
  public let limit: Int

  public var description: String {
    """
    jobs are left after \(runs) runs and \(limit - runs) clock advances. \
    Check that the jobs come to an end, and that the driver uses this clock.
    """
  }
}
