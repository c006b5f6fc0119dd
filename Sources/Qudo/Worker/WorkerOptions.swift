public import Logging

/// How a worker works. The kinds' own settings are in ``JobPolicy``.
public struct WorkerOptions: Sendable {
  /// How many jobs run at once. Default 1.
  public var concurrency = 1
  /// How many jobs at most are claimed ahead of their run. Default 1,000.
  ///
  /// As many are as take about ``horizon`` to run, judged by how long jobs took of late: none when they are slow. What
  /// was claimed and does not get its turn is given back.
  public var maxPrefetch = 1000
  /// The bytes of payloads at most that are claimed ahead, judged by the payloads of the last claims. Default 16 MiB.
  ///
  /// A claim that brings larger payloads than the ones before may exceed it once.
  public var maxPrefetchBytes = 16 << 20
  /// How much work is claimed ahead. Default 20 ms.
  public var prefetchWindow = Duration.milliseconds(20)
  /// When the worker is stopped, how long its running jobs may go on before they are cancelled. Default 10 s.
  public var shutdownGracePeriod = Duration.seconds(10)
  /// How long a cancelled job may take to end before it is no longer waited for. Default 5 s.
  public var cancellationGracePeriod = Duration.seconds(5)
  /// How often an idle worker looks for jobs although nothing woke it: the safety net. Default 5 s.
  ///
  /// Sixty times as rarely beside a doorbell that ``Doorbell/findsAll``, as that of a server does.
  public var pollInterval = Duration.seconds(5)
  static let pollsLeftOut: Int64 = 60
  /// How long ``Worker/workUntilEmpty(skipDelayed:)`` and ``Worker/workOnce()`` go on trying when the database has
  /// trouble. Default 10 s. ``Worker/work()`` goes on for ever. Of several databases, how long nothing else is left to do
  /// before ``Worker/workUntilEmpty(skipDelayed:)`` no longer waits for one that has trouble.
  public var outageTimeout = Duration.seconds(10)
  /// Default: one with the label `qudo`.
  public var logger = Logger(label: "qudo")
  /// What the worker's waits go by. Default: the machine's.
  public var clock: any QueueClock = SystemClock()

  /// The defaults.
  public init() {}

  func check() throws(QudoError) {
    guard (1...100_000).contains(concurrency) else {
      throw QudoError(.invalidArgument, "the concurrency \(concurrency) is not from 1 to 100,000")
    }
    guard (0...100_000).contains(maxPrefetch) else {
      throw QudoError(.invalidArgument, "the number of jobs to claim ahead, \(maxPrefetch), is not from 0 to 100,000")
    }
    guard maxPrefetchBytes >= 0 else {
      throw QudoError(.invalidArgument, "the number of bytes to claim ahead, \(maxPrefetchBytes), is negative")
    }
    for (name, value) in [("horizon", prefetchWindow), ("grace", shutdownGracePeriod), ("cancel grace", cancellationGracePeriod), ("patience", outageTimeout)] where value < .zero {
      throw QudoError(.invalidArgument, "the \(name) is negative")
    }
    guard pollInterval >= .milliseconds(1) else { throw QudoError(.invalidArgument, "the poll is under 1 ms") }
  }
}

/// What a worker did.
public struct WorkSummary: Hashable, Sendable {
  /// Jobs that were completed, replaced ones among them.
  public var completed = 0
  /// Failed runs that are to be tried again.
  public var retried = 0
  /// Jobs that were given up, aborted ones among them.
  public var failed = 0
  /// Runs that asked to come again later.
  public var snoozed = 0
  /// Jobs that were given back.
  public var released = 0
  /// Runs whose outcome came too late: somebody else has the job.
  public var leaseLost = 0
  /// Jobs, of whatever kind, that this worker's claims gave up because their leases expired too often: see ``GivenUpJob``. They are
  /// not in ``failed``, which counts runs of this worker.
  public var givenUp = 0

  /// Of several databases, the names of those that could not be used at the end: what is left there is not known. Empty where
  /// there is one database only, whose trouble is thrown.
  public var unreachable: [String] = []

  /// Nothing.
  public init() {}

  var isNothing: Bool { completed == 0 && retried == 0 && failed == 0 && snoozed == 0 && released == 0 && leaseLost == 0 }

  mutating func add(_ part: WorkSummary) {
    completed += part.completed
    retried += part.retried
    failed += part.failed
    snoozed += part.snoozed
    released += part.released
    leaseLost += part.leaseLost
    givenUp += part.givenUp
    unreachable += part.unreachable
  }

  mutating func count(_ settlement: Settlement, _ result: SettleResult) {
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
