public import Logging

/// How a queue uses several databases.
public struct DatabaseOptions: Sendable {
  /// Which database an enqueue goes to.
  public enum Order: String, Sendable, CaseIterable {
    /// To one at random each time, so that equals share the load.
    case shuffled
    /// To the first that is there, in the order of the list: "the local file first", "the fleet first".
    case ordered
  }

  /// Which database an enqueue goes to. Default: shuffled.
  public var order = Order.shuffled
  /// How long a database is set aside that had trouble. Default 30 s. Then somebody finds out whether it is there again,
  /// while the others go on.
  public var probeInterval = Duration.seconds(30)
  /// How long an enqueue may take at most, whatever the databases do, and each other call of one database. Default 10 s. See
  /// ``Queue/withTimeout(_:)``.
  public var callTimeout = Duration.seconds(10)
  /// Whether an enqueue of which it is unknown whether it was done goes on to the next database. Default: no, it throws
  /// ``QudoError/Code/outcomeUnknown``.
  ///
  /// With it an enqueue is acknowledged as long as any database answers, and its jobs may be in two of them, under two ids,
  /// and then run in both. A unique key does not prevent that: it holds within one database.
  public var failsOverOnUnknownOutcome = false
  /// Whether jobs that are enqueued without an ``IdempotencyKey`` get one where a network lies between, so that an enqueue whose
  /// answer is lost is repeated in the same database, until the deadline, and done once. Default: no.
  ///
  /// Each such job costs a receipt, and each enqueue a look at the receipts: a round trip more. Files (and each driver without
  /// ``Capabilities/remote``) give no job a key: their answers are not lost.
  public var repeatsUnknown = false
  /// Whether an enqueue that finds no database available waits for one until its deadline. Default: no, it throws
  /// ``QudoError/Code/unreachable`` at once.
  ///
  /// It bridges a restart or a fail-over of the only server. Errors that do not pass, such as a refused password, are thrown at once.
  public var waitsForOutages = false
  /// Hears of databases that are set aside, and of those that are used again. Default: one with the label `qudo`.
  public var logger = Logger(label: "qudo")
  /// What deadlines and retries go by. Default: the machine's.
  public var clock: any QueueClock = SystemClock()

  /// The defaults.
  public init() {}

  func check() throws(QudoError) {
    guard probeInterval >= .milliseconds(1) else { throw QudoError(.invalidArgument, "the time for which a database is set aside is under 1 ms") }
    guard callTimeout >= .milliseconds(1) else { throw QudoError(.invalidArgument, "the deadline of an enqueue is under 1 ms") }
  }
}
