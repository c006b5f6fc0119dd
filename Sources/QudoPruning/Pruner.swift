internal import Logging
public import Qudo

/// Keeps the failure log and the status log from growing for ever: deletes what is too old or too much, from the worker's
/// start on and then at an interval.
///
///     let worker = try Worker(queue, handlers: handlers, plugins: [Pruner(maxAge: .seconds(7 * 86_400))])
///
/// A failure that is deleted cannot be replayed any more. One worker of a database with a pruner is enough; more of them do
/// no harm.
public struct Pruner: Plugin {
  /// Rows that are older go, as told by the worker's clock; nil: rows of any age stay. Default 30 days.
  public var maxAge: Duration?
  /// How many rows of each log stay at most, the newest ones; nil: any number. Default 100,000.
  public var maxCount: Int?
  /// How long from the end of one look to the next. Default one hour.
  public var interval: Duration
  /// How many rows of each log are deleted in one transaction at most, so that others get their turn in between. Default
  /// 1,000.
  public var batch: Int

  /// - Parameters:
  ///   - maxAge: rows that are older go; nil: none for its age. Default 30 days.
  ///   - maxCount: how many rows of each log stay at most; nil: any number. Default 100,000.
  ///   - interval: how long from the end of one look to the next. Default one hour.
  ///   - batch: how many rows of each log are deleted in one transaction at most. Default 1,000.
  public init(
    maxAge: Duration? = .seconds(30 * 86_400), maxCount: Int? = 100_000, interval: Duration = .seconds(3600),
    batch: Int = 1000
  ) {
    self.maxAge = maxAge
    self.maxCount = maxCount
    self.interval = interval
    self.batch = batch
  }

  /// - Throws: `QudoError.Code.invalidArgument` for a driver without logs and for settings that make no sense.
  public func start(_ worker: WorkerContext) async throws {
    try check()
    for driver in worker.databases.opened { _ = try Self.logs(of: driver) }
  }

  /// Trouble of the database is logged, and the next interval waited for.
  public func run(_ worker: WorkerContext) async throws {
    while true {
      do {
        let deleted = try await prune(worker)
        if deleted > 0 { worker.logger.debug("the logs were pruned", metadata: ["deleted": "\(deleted)"]) }
      } catch let error as QudoError where !Task.isCancelled {
        worker.logger.warning(
          "the logs could not be pruned, the pruner tries again at its next interval",
          metadata: ["error": "\(error)", "code": "\(error.code)"])
      }
      let (next, isTooLate) = worker.clock.sinceBoot().addingReportingOverflow(interval.wholeMicroseconds)
      try await worker.clock.sleep(untilSinceBoot: isTooLate ? .max : next)
    }
  }

  private func prune(_ worker: WorkerContext) async throws -> Int {
    let now = worker.clock.now().wall
    var deleted = 0
    if let maxAge {
      deleted += try await repeated(
        PruneOptions(before: now.advanced(by: .zero - maxAge), limit: batch), worker)
    }
    if let maxCount {
      deleted += try await repeated(PruneOptions(keep: maxCount, limit: batch), worker)
    }
    return deleted
  }

  /// Batch by batch, so that no call takes long; of several databases in each that answers.
  private func repeated(_ prune: PruneOptions, _ worker: WorkerContext) async throws -> Int {
    var deleted = 0
    var isFirst = true
    while true {
      try Task.checkCancellation()
      let answers = await worker.databases.forEachDriver { driver throws(QudoError) in
        try await Self.logs(of: driver).prune(prune)
      }
      var count = 0
      for answer in answers {
        do throws(QudoError) {
          count += try answer.result.get()
        } catch {
          guard answers.count > 1 else { throw error }
          guard isFirst else { continue }
          worker.logger.warning(
            "the logs of a database could not be pruned, the pruner tries again at its next interval",
            metadata: ["database": "\(answer.database)", "error": "\(error)", "code": "\(error.code)"])
        }
      }
      if count == 0 { return deleted }
      deleted += count
      isFirst = false
    }
  }

  private static func logs(of driver: any Driver) throws(QudoError) -> any LogDriver {
    guard let logs = driver as? any LogDriver else {
      throw QudoError(
        .invalidArgument, "the driver of \(driver.name) has no logs to prune: leave the pruner out")
    }
    return logs
  }

  private func check() throws(QudoError) {
    if let maxAge, maxAge < .zero {
      throw QudoError(.invalidArgument, "the pruner's greatest age is negative")
    }
    if let maxCount, maxCount < 0 {
      throw QudoError(.invalidArgument, "the pruner's greatest count, \(maxCount), is negative")
    }
    guard interval >= .milliseconds(1) else {
      throw QudoError(.invalidArgument, "the pruner's interval is under 1 ms")
    }
    guard (1...1_000_000).contains(batch) else {
      throw QudoError(.invalidArgument, "the pruner's batch, \(batch), is not from 1 to 1,000,000")
    }
  }
}
