package import Qudo

/// A sample of all databases by a ``QueueSampler``.
package struct QueueSample: Sendable {
  /// When the sample was taken, by this machine's clock.
  package var at: Timestamp
  /// The same in microseconds since boot, by which rates are computed.
  package var sinceBoot: Int64
  /// How long the slowest database took to answer; zero if none did.
  package var took: Duration
  /// The cost of all databases together: see ``DatabaseSample/DatabaseState/cost``.
  package var cost: Duration
  /// The databases, in the order in which the sampler got them.
  package var databases: [DatabaseSample]

  /// Creates a sample.
  ///
  /// - Parameter cost: nil for what it took.
  package init(
    at: Timestamp, sinceBoot: Int64, took: Duration, cost: Duration? = nil, databases: [DatabaseSample]
  ) {
    (self.at, self.sinceBoot, self.took, self.databases) = (at, sinceBoot, took, databases)
    self.cost = cost ?? took
  }

  /// Returns the time to wait before the next sample: at least 50 times what this one cost, so that sampling takes at most
  /// 2 % of one core; at most a minute unless the interval is longer.
  ///
  /// - Parameter interval: The shortest time. Default: 1 s.
  package func timeUntilNext(_ interval: Duration = .seconds(1)) -> Duration {
    max(interval, min(cost * 50, .seconds(60)))
  }
}

/// A sample of one database.
package struct DatabaseSample: Sendable {
  /// The name of the database.
  package var name: String
  /// The figures, or why there are none.
  package var result: Result<DatabaseState, QudoError>

  /// Creates a sample.
  package init(name: String, result: Result<DatabaseState, QudoError>) {
    (self.name, self.result) = (name, result)
  }

  /// The figures; nil if the database did not answer.
  package var state: DatabaseState? { try? result.get() }
  /// Why there are no figures; nil if there are.
  package var error: QudoError? { if case .failure(let error) = result { error } else { nil } }

  /// The figures of one database. Rates are per second since the sample before, and nil without one.
  package struct DatabaseState: Sendable {
    /// The time by the database's clock.
    package var now: Timestamp
    /// How long the database took to answer.
    package var took: Duration = .zero
    /// The processor time that the answer took, or how long it took if that is unknown: a busy machine makes a sample slow, and not costly.
    package var cost: Duration = .zero
    /// The kinds, by name: those with jobs or pauses, and those that a sample had before.
    package var kinds: [KindSample] = []
    /// The pause of everything.
    package var pause: Pause?
    /// The processes that hold running jobs, by their ids. Jobs whose process is unknown are under one without an id, the last.
    package var workers: [WorkerSample] = []
    /// How many jobs ``workers`` lack, because the listing is bounded.
    package var unlistedRunning = 0
    /// Whether a living process has looked for jobs; nil if the database does not tell.
    package var hasWorker: Bool?
    /// Whether ``enqueuedPerSecond`` and ``endedPerSecond`` are exact. They are for files: all figures are of one moment, and each id
    /// was given to one job. Servers leave gaps between ids, and read one figure after the other: there both are estimates.
    package var isExact = true
    /// Jobs that were enqueued, those by replays, schedules and `enqueueOnCompletion` included: by the highest id.
    package var enqueuedPerSecond: Double?
    /// Jobs that ended, however they ended: those enqueued, less the change of the unfinished ones.
    package var endedPerSecond: Double?
    /// Rows of the failure log, those of retried runs and without those of cancelled jobs. Exact up to as many rows as the
    /// sampler reads of the log; beyond that, it counts the ids.
    package var failuresPerSecond: Double?
    /// The id of the newest row of the failure log; nil if it is empty.
    package var newestFailure: Int64?
    /// The size of the database file in bytes; nil for a server.
    package var fileBytes: Int64?
    /// The size of the `-wal` in bytes; nil for a server.
    package var walBytes: Int64?

    /// Creates the figures of a database without jobs.
    package init(now: Timestamp) { self.now = now }

    /// The jobs that are due and wait.
    package var ready: Int { sum(\.ready) }
    /// The jobs that are not due.
    package var delayed: Int { sum(\.delayed) }
    /// The jobs under a lease.
    package var running: Int { sum(\.running) }
    /// The jobs that wait for others with the same concurrency key.
    package var held: Int { sum { $0.held ?? 0 } }
    private func sum(_ figure: (KindSample) -> Int) -> Int {
      kinds.reduce(0) { Int.clampedSum($0, figure($1)) }
    }
    /// The failures of the last minute.
    package var failuresInMinute: Int { kinds.reduce(0) { $0 + $1.failuresInMinute } }
    /// Whether there are more failures of the last minute than were read.
    package var hasMoreFailures = false
    /// How long the longest-waiting ready job has waited; nil if none is ready. Paused kinds do not count.
    package var oldestReady: Duration? {
      kinds.lazy.filter { !$0.isPaused }.compactMap(\.oldestReady).max()
    }
  }
}

/// The figures of one kind in one database.
package struct KindSample: Hashable, Sendable {
  /// The kind.
  package var kind: Kind
  /// The jobs that are due and wait.
  package var ready = 0
  /// The jobs that are not due.
  package var delayed = 0
  /// The jobs under a lease, those that a worker has prefetched included.
  package var running = 0
  /// The jobs that wait for others with the same concurrency key; nil if none does.
  package var held: Int?
  /// Whether the kind, or everything, is paused.
  package var isPaused = false
  /// The pause of the kind; nil if it has none of its own.
  package var pause: Pause?
  /// How long the longest-waiting ready job has waited; nil if none is ready.
  package var oldestReady: Duration?
  /// The failures of the last minute, those of retried runs included, among the rows that were read.
  package var failuresInMinute = 0
  /// Failures per second since the sample before, as exact as the database's.
  package var failuresPerSecond: Double?
  /// How much the number of unfinished jobs changed per second since the sample before.
  package var changePerSecond: Double?
  /// Completed runs per second since the sample before; nil if no run of the kind is in the status log. It is exact up to as many
  /// rows as the sampler reads of the log; beyond that, it is an estimate by the ids.
  package var completedPerSecond: Double?
  /// How long runs took, by the newest rows of the status log; nil if it has none of the kind.
  package var runTime: Percentiles?
  /// How long jobs waited from their due times to their claims: an estimate by the running jobs that samples found; nil if none was.
  package var waitTime: Percentiles?

  /// Creates the figures of a kind without jobs.
  package init(_ kind: Kind) { self.kind = kind }

  /// The jobs that have not ended.
  package var unfinished: Int { [ready, delayed, running, held ?? 0].reduce(0, Int.clampedSum) }
}

extension Int {
  /// A sum of counts. Those of a damaged file may be of any size.
  static func clampedSum(_ a: Int, _ b: Int) -> Int {
    let (sum, overflow) = a.addingReportingOverflow(b)
    return overflow ? .max : sum
  }
}

/// Two percentiles of a few hundred durations.
package struct Percentiles: Hashable, Sendable {
  /// The median.
  package var p50: Duration
  /// The 99th percentile.
  package var p99: Duration

  /// Creates percentiles.
  package init(p50: Duration, p99: Duration) { (self.p50, self.p99) = (p50, p99) }

  /// Computes the percentiles of durations in microseconds; nil without any.
  package init?(ofMicroseconds values: some Collection<Int64>) {
    let sorted = values.sorted()
    guard let last = sorted.last else { return nil }
    // The nearest rank.
    func rank(_ percent: Int) -> Int64 {
      let index = (sorted.count * percent + 99) / 100 - 1
      return index < sorted.count ? sorted[max(index, 0)] : last
    }
    self.init(p50: .microseconds(rank(50)), p99: .microseconds(rank(99)))
  }
}

/// A process that holds running jobs.
package struct WorkerSample: Hashable, Sendable {
  /// The process, in its own process namespace; nil if it is unknown.
  package var processID: Int64?
  /// The host of the process; nil if the database does not record it.
  package var host: String?
  /// The jobs that it holds, those claimed first coming first. Some may be prefetched, and not begun.
  package var jobs: [QueueFigures.RunningJob]

  /// Creates a worker.
  package init(processID: Int64?, host: String? = nil, jobs: [QueueFigures.RunningJob]) {
    (self.processID, self.host, self.jobs) = (processID, host, jobs)
  }
}
