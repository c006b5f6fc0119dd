public import Logging

/// The settings for a queue with several databases.
public struct DatabaseOptions: Sendable {
  /// The order in which an enqueue tries the databases.
  public enum Order: String, Sendable, CaseIterable {
    /// A random order each time, so that equal databases share the load.
    case shuffled
    /// The order of the list: for example the local file first, or the servers first.
    case ordered
  }

  /// The order in which an enqueue tries the databases. Default: shuffled.
  public var order = Order.shuffled
  /// The time that an unavailable database is skipped before it is probed. Default 30 s.
  ///
  /// The probe runs in the background; calls use the other databases meanwhile.
  public var probeInterval = Duration.seconds(30)
  /// The maximum duration of an enqueue, across all databases, and of any other call to one. Default 10 s.
  ///
  /// See ``Queue/withTimeout(_:)`` to change it for single calls.
  public var callTimeout = Duration.seconds(10)
  /// Whether an enqueue with an unknown outcome fails over to the next database. Default: no, it throws
  /// ``QudoError/Code/outcomeUnknown``.
  ///
  /// If yes, an enqueue succeeds as long as any database answers. Its jobs can then be in two databases, with
  /// two ids, and run in both. A unique key does not prevent that, because it is unique within one database.
  public var failsOverOnUnknownOutcome = false
  /// Whether remote databases get an ``IdempotencyKey`` for each job without one, so that an enqueue can be
  /// repeated. Default: no.
  ///
  /// If the answer of an enqueue is lost, the queue repeats it in the same database until the timeout, and
  /// the jobs are stored once. The key costs a stored receipt per job and one more round trip per enqueue.
  /// Files, and other drivers without ``Capabilities/remote``, get no keys: their answers cannot be lost.
  public var repeatsUnknown = false
  /// Whether an enqueue waits until its timeout if no database is available. Default: no, it throws
  /// ``QudoError/Code/unreachable`` at once.
  ///
  /// This bridges a restart or failover of the only server. Permanent errors, such as a refused password, are
  /// thrown at once.
  public var waitsForOutages = false
  /// The logger for databases that become unavailable or recover. Default: a logger with the label `qudo`.
  public var logger = Logger(label: "qudo")
  /// The clock that timeouts and probes use. Default: the system clock.
  public var clock: any QueueClock = SystemClock()

  /// Creates options with the default values.
  public init() {}

  func check() throws(QudoError) {
    guard probeInterval >= .milliseconds(1) else {
      throw QudoError(.invalidArgument, "the probe interval is under 1 ms: give a longer one")
    }
    guard callTimeout >= .milliseconds(1) else {
      throw QudoError(.invalidArgument, "the call timeout is under 1 ms: give a longer one")
    }
  }
}
