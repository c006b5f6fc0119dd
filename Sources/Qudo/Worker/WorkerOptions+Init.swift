public import Logging

extension WorkerOptions {
  /// Creates options; what is not given has its default.
  ///
  ///     let worker = try Worker(queue, handlers: [SendMail.self], options: WorkerOptions(concurrency: 4, pollInterval: .seconds(1)))
  ///
  /// - Parameters:
  ///   - concurrency: how many jobs run at once. Default: 1.
  ///   - maxPrefetch: the maximum number of jobs that are claimed before a slot is free. Default: 1,000.
  ///   - maxPrefetchBytes: the maximum size of their payloads, in bytes. Default: 16 MiB.
  ///   - prefetchWindow: how much work is claimed ahead. Default: 20 ms.
  ///   - shutdownGracePeriod: how long running jobs may go on after the worker is stopped. Default: 10 s.
  ///   - cancellationGracePeriod: how long a cancelled job may take to end. Default: 5 s.
  ///   - pollInterval: how often an idle worker looks for jobs although nothing woke it. Default: 5 s.
  ///   - outageTimeout: how long ``Worker/workUntilEmpty(skipDelayed:)`` and ``Worker/workOnce()`` wait for an unavailable database.
  ///     Default: 10 s.
  ///   - logger: the worker's logger. Default: one with the label `qudo`.
  ///   - clock: the clock of the worker's waits. Default: the machine's.
  public init(
    concurrency: Int = 1, maxPrefetch: Int = 1000, maxPrefetchBytes: Int = 16 << 20,
    prefetchWindow: Duration = .milliseconds(20),
    shutdownGracePeriod: Duration = .seconds(10), cancellationGracePeriod: Duration = .seconds(5),
    pollInterval: Duration = .seconds(5), outageTimeout: Duration = .seconds(10),
    logger: Logger = Logger(label: "qudo"),
    clock: any QueueClock = SystemClock()
  ) {
    self.init()
    self.concurrency = concurrency
    self.maxPrefetch = maxPrefetch
    self.maxPrefetchBytes = maxPrefetchBytes
    self.prefetchWindow = prefetchWindow
    self.shutdownGracePeriod = shutdownGracePeriod
    self.cancellationGracePeriod = cancellationGracePeriod
    self.pollInterval = pollInterval
    self.outageTimeout = outageTimeout
    self.logger = logger
    self.clock = clock
  }
}
