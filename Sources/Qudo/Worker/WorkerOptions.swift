public import Logging

/// The settings of a worker. Settings per kind are in ``JobPolicy``.
public struct WorkerOptions: Sendable {
  /// The maximum number of jobs that run at the same time. Default: 1.
  public var concurrency: Int
  /// The maximum number of prefetched jobs: claimed, but not yet running. Default 1,000.
  ///
  /// The worker prefetches about ``prefetchWindow`` of work, estimated from recent run times; if jobs are
  /// slow, it prefetches none. It releases prefetched jobs that cannot start soon.
  public var maxPrefetch: Int
  /// The maximum payload size of the prefetched jobs, in bytes, estimated from recent claims. Default 16 MiB.
  ///
  /// A claim whose payloads are larger than the previous ones can exceed the limit once.
  public var maxPrefetchBytes: Int
  /// The amount of work to prefetch, as run time. Default 20 ms.
  public var prefetchWindow: Duration
  /// The time that running jobs have after the worker is stopped, before they are cancelled. Default 10 s.
  public var shutdownGracePeriod: Duration
  /// The time that a cancelled job has to end before the worker stops waiting. Default 5 s.
  public var cancellationGracePeriod: Duration
  /// The interval at which an idle worker claims without being woken, as a safety net. Default 5 s.
  ///
  /// With a doorbell that ``Doorbell/findsAll``, as a server's does, the interval is 60 times as long.
  public var pollInterval: Duration
  static let pollsLeftOut: Int64 = 60
  /// The time that ``Worker/workUntilEmpty(skipDelayed:)`` and ``Worker/workOnce()`` retry while the database
  /// is unavailable. Default 10 s.
  ///
  /// ``Worker/work()`` retries until it is stopped. With several databases, once the others are empty,
  /// ``Worker/workUntilEmpty(skipDelayed:)`` does not wait for one that has been unavailable for longer.
  public var outageTimeout: Duration
  /// The bounds of the failure log and the status log, of drivers that keep them. Default: 14 days, and 1,000,000 rows of each log.
  ///
  /// With nil, the worker prunes nothing, and the logs grow until ``Queue/prune(_:)`` or `qudo prune` shortens them. If several workers
  /// of a database have different bounds, the narrowest ones decide. ``Worker/workOnce()`` does not prune.
  public var retention: Retention?
  /// The number of slots held by runs that ignore their cancellation at which the worker ends. Default nil: it never does.
  ///
  /// A run that is cancelled, by its time limit or by ``Queue/cancel(_:reason:)-(JobID,_)``, and does not end within
  /// ``cancellationGracePeriod``, keeps its slot until it ends: Swift cannot end it. Its job is settled without it. When
  /// this many slots are lost, the worker shuts down as if it were stopped, and throws ``QudoError/Code/slotsStuck``: let
  /// the process end then, so that a supervisor starts another one. If the number is the ``concurrency``, it does so when
  /// no slot is left.
  public var maxStuckSlots: Int?
  /// The logger of the worker and its jobs. Default: a logger with the label `qudo`.
  public var logger: Logger
  /// The clock that the worker's waits use. Default: the system clock.
  public var clock: any QueueClock
  /// Watches whether the worker answers; nil if nobody asks.
  package var pulse: WorkerPulse?

  /// Creates options; those not given have their defaults.
  ///
  ///     let worker = try Worker(queue, handlers: [SendMail.self], options: WorkerOptions(concurrency: 4, pollInterval: .seconds(1)))
  ///
  /// - Parameters:
  ///   - concurrency: The maximum number of jobs that run at the same time. Default: 1.
  ///   - maxPrefetch: the maximum number of jobs that are claimed before a slot is free. Default: 1,000.
  ///   - maxPrefetchBytes: the maximum size of their payloads, in bytes. Default: 16 MiB.
  ///   - prefetchWindow: how much work is claimed ahead. Default: 20 ms.
  ///   - shutdownGracePeriod: how long running jobs may continue after the worker is stopped. Default: 10 s.
  ///   - cancellationGracePeriod: how long a cancelled job may take to end. Default: 5 s.
  ///   - pollInterval: how often an idle worker looks for jobs although nothing woke it. Default: 5 s.
  ///   - outageTimeout: how long ``Worker/workUntilEmpty(skipDelayed:)`` and ``Worker/workOnce()`` wait for an unavailable database.
  ///     Default: 10 s.
  ///   - retention: how long rows of the logs are kept; nil to keep them forever. Default: 14 days, and 1,000,000 rows
  ///     of each log.
  ///   - maxStuckSlots: the number of slots held by runs that ignore their cancellation at which the worker ends; nil for never, the
  ///     default.
  ///   - logger: the worker's logger. Default: one with the label `qudo`.
  ///   - clock: the clock of the worker's waits. Default: the machine's.
  public init(
    concurrency: Int = 1, maxPrefetch: Int = 1000, maxPrefetchBytes: Int = 16 << 20,
    prefetchWindow: Duration = .milliseconds(20),
    shutdownGracePeriod: Duration = .seconds(10), cancellationGracePeriod: Duration = .seconds(5),
    pollInterval: Duration = .seconds(5), outageTimeout: Duration = .seconds(10),
    retention: Retention? = Retention(), maxStuckSlots: Int? = nil,
    logger: Logger = Logger(label: "qudo"),
    clock: any QueueClock = SystemClock()
  ) {
    self.concurrency = concurrency
    self.maxPrefetch = maxPrefetch
    self.maxPrefetchBytes = maxPrefetchBytes
    self.prefetchWindow = prefetchWindow
    self.shutdownGracePeriod = shutdownGracePeriod
    self.cancellationGracePeriod = cancellationGracePeriod
    self.pollInterval = pollInterval
    self.outageTimeout = outageTimeout
    self.retention = retention
    self.maxStuckSlots = maxStuckSlots
    self.logger = logger
    self.clock = clock
  }

  func check() throws(QudoError) {
    guard (1...100_000).contains(concurrency) else {
      throw QudoError(.invalidArgument, "the concurrency \(concurrency) is out of range: give 1 to 100,000")
    }
    guard (0...100_000).contains(maxPrefetch) else {
      throw QudoError(
        .invalidArgument, "the maximum prefetch \(maxPrefetch) is out of range: give 0 to 100,000")
    }
    guard maxPrefetchBytes >= 0 else {
      throw QudoError(
        .invalidArgument, "the maximum prefetch of \(maxPrefetchBytes) bytes is negative: give 0 or more")
    }
    let durations = [
      ("prefetch window", prefetchWindow), ("shutdown grace period", shutdownGracePeriod),
      ("cancellation grace period", cancellationGracePeriod), ("outage timeout", outageTimeout),
    ]
    for (name, value) in durations where value < .zero {
      throw QudoError(.invalidArgument, "the \(name) is negative: give 0 or more")
    }
    guard pollInterval >= .milliseconds(1) else {
      throw QudoError(.invalidArgument, "the poll interval is under 1 ms: give a longer one")
    }
    if let maxStuckSlots, !(1...concurrency).contains(maxStuckSlots) {
      throw QudoError(
        .invalidArgument,
        "the maximum of \(maxStuckSlots) stuck slots is out of range: give 1 to the concurrency, \(concurrency)"
      )
    }
    try retention?.check()
  }
}

/// The number of runs by outcome, and the databases that a worker could not reach.
public struct WorkSummary: Hashable, Sendable {
  /// The number of completed jobs, including those that enqueued replacements.
  public var completed = 0
  /// The number of failed runs whose jobs will be retried.
  public var retried = 0
  /// The number of jobs that failed for good, including aborted ones.
  public var failed = 0
  /// The number of runs that ended with ``Snooze``.
  public var snoozed = 0
  /// The number of jobs that were released without a result.
  public var released = 0
  /// The number of jobs that were cancelled while this worker held them.
  public var cancelled = 0
  /// The number of runs whose lease was lost: another worker has the job, or it is gone.
  public var leaseLost = 0
  /// The number of jobs, of any kind, that this worker's claims gave up because too many leases expired. See
  /// ``GivenUpJob``. They do not count as ``failed``, which counts this worker's own runs.
  public var givenUp = 0
  /// The number of jobs, of any kind, that this worker's claims moved to the failure log because they still waited at
  /// their ``Expiry``.
  public var expired = 0

  /// The names of databases that were unavailable at the end; they may still have jobs. Always empty with a
  /// single database, whose errors are thrown instead.
  public var unreachable: [String] = []

  /// Creates a summary whose counts are zero.
  public init() {}

  var isNothing: Bool {
    completed == 0 && retried == 0 && failed == 0 && snoozed == 0 && released == 0 && leaseLost == 0
      && cancelled == 0
  }

  mutating func add(_ part: WorkSummary) {
    completed += part.completed
    retried += part.retried
    failed += part.failed
    snoozed += part.snoozed
    released += part.released
    leaseLost += part.leaseLost
    cancelled += part.cancelled
    givenUp += part.givenUp
    expired += part.expired
    unreachable += part.unreachable
  }

  mutating func count(_ jobs: [GivenUpJob]) {
    for job in jobs { if job.reason == .expired { expired += 1 } else { givenUp += 1 } }
  }

  mutating func count(_ settlement: Settlement, _ result: SettleResult) {
    if result == .cancelled { return cancelled += 1 }
    guard case .settled = result else {
      if settlement.mayBeCompletedExternally { completed += 1 } else { leaseLost += 1 }
      return
    }
    switch settlement.outcome {
    case .completed: completed += 1
    case .retry: retried += 1
    case .failed, .aborted: failed += 1
    case .snoozed: snoozed += 1
    case .released: released += 1
    }
  }
}
