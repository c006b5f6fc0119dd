internal import Logging

/// Prunes the logs of one database alongside a worker's engine, which says when.
final class LogPruner: Sendable {
  /// The time from the end of one look to the next, in microseconds: less a random share of it, so that the workers of a
  /// fleet do not look at the same time.
  static let interval: Int64 = 600_000_000
  private static let jitter = 0.2
  /// The first look is due at a random time within this one, in microseconds. A worker that ends earlier has looked as often
  /// as its share of it, so the logs are also pruned if workers are short-lived.
  static let firstWithin: Int64 = 10_000_000
  /// The maximum number of rows of each log that one transaction deletes.
  static let batch = 500
  /// The shortest pause after a transaction that deleted rows, in microseconds. The pause is as long as the transaction took.
  private static let shortestPause: Int64 = 5000

  typealias Prune = @Sendable (PruneOptions) async throws(QudoError) -> Int

  private let options: [PruneOptions]
  private let prune: Prune
  private let database: String
  private let clock: any QueueClock
  private let logger: Logger
  private let task = Locked<Task<Void, Never>?>(nil)

  /// Creates a pruner, or nil if nothing limits the logs.
  init?(_ options: WorkerOptions, database: String, _ prune: @escaping Prune) {
    guard let retention = options.retention else { return nil }
    self.options = retention.options(limit: Self.batch)
    guard !self.options.isEmpty else { return nil }
    self.prune = prune
    self.database = database
    clock = options.clock
    logger = options.logger
  }

  var firstTime: Int64 { clock.sinceBoot().clampedPlus(.random(in: 0..<Self.firstWithin)) }

  /// Begins a look. Call it again only after the last one has ended.
  ///
  /// - Parameters:
  ///   - thread: The executor, so that jobs that occupy Swift's pool do not keep ``finish()`` waiting.
  ///   - ended: Called at the end of the look with the time of the next one.
  func start(on thread: SerialThread, ended: @escaping @Sendable (Int64) -> Void) {
    let task = Task(executorPreference: thread) {
      await Interleaving.pause()
      let deleted = await self.look()
      // A log that grows fast is looked at sooner.
      let interval = deleted < Self.batch ? Self.interval : Self.interval / 10
      let early = Int64.random(in: 0...Int64(Double(interval) * Self.jitter))
      ended(self.clock.sinceBoot().clampedPlus(interval - early))
    }
    self.task.withLock { $0 = task }
  }

  /// Ends a look after its current transaction, and returns then.
  func finish() async {
    guard let task = task.withLock({ $0 }) else { return }
    task.cancel()
    await task.value
  }

  /// Prunes until nothing is left to delete. An error ends the look.
  ///
  /// - Returns: The number of deleted rows.
  private func look() async -> Int {
    var deleted = 0
    do {
      for options in options {
        while true {
          let begun = clock.sinceBoot()
          let count = try await prune(options)
          guard count > 0 else { break }
          deleted += count
          let now = clock.sinceBoot()
          try await clock.sleep(
            untilSinceBoot: now.clampedPlus(max(now.clampedMinus(begun), Self.shortestPause)))
        }
      }
    } catch {
      // The worker ends.
      guard !Task.isCancelled else { return deleted }
      let code = (error as? QudoError)?.code
      logger.warning(
        "logs not pruned, trying later",
        metadata: ["database": "\(database)", "error": "\(error)", "code": "\(code ?? .database)"])
    }
    if deleted > 0 {
      logger.debug("logs pruned", metadata: ["database": "\(database)", "rows": "\(deleted)"])
    }
    return deleted
  }
}
