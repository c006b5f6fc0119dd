public import Qudo
internal import Logging

/// A worker's plugin that enqueues the ticks of schedules, and stores the schedules that it is given.
///
///     let schedules = Schedules([Schedule("nightly", try .cron("30 2 * * *", in: "Europe/Berlin"), Report())])
///     let worker = try Worker(queue, handlers: [JobHandler(Report.self)], plugins: [schedules])
///
/// When the worker starts, it stores its schedules, replacing older ones of the same names; those keep their next tick if
/// the rule is the same. From then on it enqueues the ticks of all schedules that the databases have, including those of
/// other processes. However many workers do so, no tick is enqueued twice.
///
/// A worker without this plugin enqueues no ticks, and asks the database for none.
public struct Schedules: Plugin {
  /// The schedules that the worker declares.
  public var schedules: [Schedule]
  /// The name of the database that new schedules go into; nil for the first one of the queue.
  public var database: String?
  /// The longest time between two looks at a database. Schedules that others add or change begin after it at the latest.
  static let pollInterval = Duration.seconds(10)
  /// The same for a database over a network, so that many idle workers of a server ask little.
  static let remotePollInterval = Duration.seconds(30)
  /// The time that the start of a worker waits for one of several databases.
  private static let startTimeout = Duration.seconds(1)

  private struct Shared {
    var isDeclared = false
    /// The tickers of the databases.
    var tickers: [Int: Ticker] = [:]
  }
  private let shared = Locked(Shared())

  /// Creates the plugin.
  ///
  /// - Parameters:
  ///   - schedules: The schedules that the worker declares. Default: none, to enqueue the ticks of those that are stored.
  ///   - database: The name of the database that new schedules go into. Default: the first one of the queue.
  public init(_ schedules: [Schedule] = [], database: String? = nil) {
    self.schedules = schedules
    self.database = database
  }

  /// Stores the schedules, and enqueues all ticks that have come.
  ///
  /// If a database is unavailable, the worker begins without it, and this continues in the background. One of
  /// several databases that hangs holds the worker up for a second.
  public func start(_ worker: WorkerContext) async throws {
    shared.withLock { $0 = Shared() }
    let isStored = await soon(worker) { () -> Result<Void, any Error> in
      do { return .success(try await declare(worker)) } catch { return .failure(error) }
    }
    if case .failure(let error)? = isStored {
      guard let passing = error as? QudoError, passing.isPassing else { throw error }
      warn(worker, database ?? worker.databases.names.first ?? "", passing)
    }
    // A worker that ends when the queue is empty has the jobs of ticks that have come.
    await withTaskGroup(of: Void.self) { group in
      for index in worker.databases.names.indices {
        group.addTask {
          _ = await soon(worker) {
            do throws(QudoError) {
              while !Task.isCancelled, try await tick(worker, index).next == .zero {}
            } catch {
              warn(worker, worker.databases.names[index], error)
            }
          }
        }
      }
    }
  }

  /// Returns what `body` returns; with several databases, nil after a second, while `body` continues.
  private func soon<Value: Sendable>(
    _ worker: WorkerContext, _ body: @escaping @Sendable () async -> Value
  ) async -> Value? {
    guard worker.databases.names.count > 1 else { return await body() }
    let end = worker.clock.sinceBoot().clampedPlus(Self.startTimeout.wholeMicroseconds)
    return await withDeadline(until: end, worker.clock, body)
  }

  /// Enqueues ticks until the worker ends.
  public func run(_ worker: WorkerContext) async throws {
    await withTaskGroup(of: Void.self) { group in
      for index in worker.databases.names.indices {
        // Jobs that occupy Swift's pool delay no tick.
        group.addTask(executorPreference: SerialThread("qudo.schedules")) { await run(worker, index) }
      }
      group.addTask(executorPreference: SerialThread("qudo.schedules")) { await declareLater(worker) }
    }
  }

  private func declare(_ worker: WorkerContext) async throws {
    if !schedules.isEmpty {
      guard let queue = worker.queue as? any JobPreparing else {
        throw QudoError(.invalidArgument, "the worker's queue cannot store schedules: use Qudo's Queue")
      }
      let stored = QueueSchedules(queue)
      for schedule in schedules { try await stored.add(schedule, in: database) }
    }
    shared.withLock { $0.isDeclared = true }
  }

  /// Stores the schedules when their database is available again, if it was not at the start.
  private func declareLater(_ worker: WorkerContext) async {
    while !shared.withLock({ $0.isDeclared }) {
      do {
        try await worker.clock.sleep(
          untilSinceBoot: worker.clock.sinceBoot().clampedPlus(Self.pollInterval.wholeMicroseconds))
        return try await declare(worker)
      } catch {
        if Task.isCancelled { return }
        guard (error as? QudoError)?.isPassing == true else {
          worker.logger.error("schedules not stored", metadata: ["error": "\(error)"])
          return
        }
        worker.logger.warning("schedules not stored, retrying", metadata: ["error": "\(error)"])
      }
    }
  }

  private func run(_ worker: WorkerContext, _ index: Int) async {
    while !Task.isCancelled {
      let begun = worker.clock.sinceBoot()
      var wait = Self.pollInterval
      do throws(QudoError) {
        let (next, isRemote) = try await tick(worker, index)
        if isRemote { wait = Self.remotePollInterval }
        wait = min(wait, next ?? wait)
      } catch {
        if Task.isCancelled || error.code == .closed { return }
        warn(worker, worker.databases.names[index], error)
      }
      do {
        try await worker.clock.sleep(untilSinceBoot: begun.clampedPlus(wait.wholeMicroseconds))
      } catch {
        return  // The worker ends.
      }
    }
  }

  /// - Returns: How long it is until the next tick, nil if no schedule has one, and whether the database is over a network.
  private func tick(
    _ worker: WorkerContext, _ index: Int
  ) async throws(QudoError) -> (next: Duration?, isRemote: Bool) {
    let driver = try await worker.databases.driver(at: index)
    let isRemote = driver.capabilities.contains(.remote)
    guard driver is any ScheduleDriver else { return (nil, isRemote) }
    var ticker = shared.withLock { $0.tickers[index] } ?? Ticker(logger: worker.logger)
    let next = try await ticker.tick(TickStore(worker.databases, index, name: driver.name))
    shared.withLock { [ticker] in $0.tickers[index] = ticker }
    return (next, isRemote)
  }

  private func warn(_ worker: WorkerContext, _ database: String, _ error: QudoError) {
    worker.logger.warning(
      "ticks not enqueued, retrying",
      metadata: ["database": "\(database)", "error": "\(error)", "code": "\(error.code)"])
  }
}
