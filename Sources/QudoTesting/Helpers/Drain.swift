public import Qudo

extension Worker {
  /// Works one job after the other until none of the worker's kinds is left, and moves the clock on to the next due
  /// time whenever none is ready: delayed jobs, retries and snoozes run at once, each at its own time.
  ///
  ///     let clock = ManualClock()
  ///     let queue = Queue(MemoryDriver(clock: clock))
  ///     ...
  ///     try await Worker(queue, handlers: [JobHandler(SendMail.self)]).drain(clock)
  ///
  /// Jobs that a worker claimed and never settled are waited for as well. A job that itself sleeps by the clock is not:
  /// nothing moves the clock on while a job runs.
  ///
  /// - Parameters:
  ///   - clock: the one that the driver goes by.
  ///   - limit: how many runs, and moves of the clock, at most. Default 10,000.
  /// - Returns: how many runs there were.
  /// - Throws: ``DrainFailure`` when the limit is reached; ``/Qudo/QudoError`` when the database has trouble.
  @discardableResult
  public func drain(_ clock: ManualClock, limit: Int = 10_000) async throws -> Int {
    try await drain(clock, until: nil, limit: limit)
  }

  /// As ``drain(_:limit:)``, but for so long by the clock, which has moved on by just that afterwards.
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
        } else if let next = try await nextMoment(), next <= end ?? .latest {
          clock.move(to: next)
        } else {
          if let end { clock.move(to: end) }
          return runs
        }
      }
      throw DrainFailure(runs: runs, limit: limit)
    }
  }

  /// When a job may be there to be claimed; nil when none is left.
  private func nextMoment() async throws -> Timestamp? {
    var next: Timestamp?
    for driver in try await queue.databases.drivers() {
      if let moment = try await nextMoment(driver) { next = min(next ?? moment, moment) }
    }
    return next
  }

  private func nextMoment(_ driver: any Driver) async throws -> Timestamp? {
    var next: Timestamp?
    var query = JobQuery(kinds: Array(handlers.keys), limit: 500)
    while true {
      let page = try await driver.jobs(matching: query)
      for job in page {
        let moment = job.state == .running ? job.leaseExpiresAt ?? job.dueAt : job.dueAt
        next = min(next ?? moment, moment)
      }
      guard page.count == query.limit, let last = page.last else { return next }
      query.after = last.id
    }
  }
}

extension ManualClock {
  fileprivate func move(to moment: Timestamp) {
    let now = now().wall
    if moment > now { advance(by: .microseconds(moment.microseconds - now.microseconds)) }
  }
}

extension Queue {
  /// Works until no job of these handlers' kinds is left; see `Worker.drain(_:limit:)`.
  ///
  /// - Parameters:
  ///   - handlers: the kinds to perform, each once.
  ///   - plugins: what the jobs can use, at most one of a type. Started before the first job, stopped after the last.
  ///   - clock: the one that the driver goes by.
  ///   - limit: how many runs, and moves of the clock, at most. Default 10,000.
  /// - Returns: how many runs there were.
  /// - Throws: ``DrainFailure`` when the limit is reached; ``/Qudo/QudoError`` for handlers and plugins that make no
  ///   worker, and when the database has trouble.
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

/// The jobs did not come to an end.
public struct DrainFailure: Error, CustomStringConvertible {
  /// How many runs there were.
  public let runs: Int
  /// How many runs and moves of the clock there might be.
  public let limit: Int

  public var description: String {
    """
    jobs are left after \(runs) runs and \(limit - runs) moves of the clock: \
    does a job come again and again, or does the driver go by another clock?
    """
  }
}
