/// The state and the decisions of a worker, for one database or several, without tasks, databases or clock.
///
/// It owns the slots, the limits per kind, and one ``Source`` per database. The engine keeps it under the worker's only lock. The
/// pump of each source asks ``next(_:now:rings:)`` for an action, performs it without the lock, and reports the result. A slot's
/// task reports each run with ``end(_:_:took:now:recording:)``, and asks ``begin(_:now:)`` for the next job of any source.
/// Times are in microseconds since the boot.
struct Scheduler {
  enum Mode: Equatable {
    case forever
    case untilEmpty(skipDelayed: Bool)
    case once
  }

  enum Action {
    /// Write outcomes, claim, or both.
    case settle([Settlement], claiming: ClaimRequest?)
    /// Store where final failures go, before the first claim.
    case setFailureRoutes
    case renew([Lease], for: Duration)
    /// Say that the worker ends because so many slots are held by runs that ignore their cancellation.
    case reportStuck(Int)
    /// Tell the hooks of runs that ended after they had lost their leases.
    case reportLost([Settlement])
    /// Count the jobs of all kinds, to see whether any are left.
    case checkForRemainingJobs
    /// Ask which of the running jobs were cancelled.
    case checkForCancelledJobs
    /// Begin to prune the logs, and continue meanwhile.
    case pruneLogs
    case listen
    case stopListening
    /// Wait for a signal, or until this time.
    case wait(until: Int64)
    case finish
  }

  enum Phase: Equatable {
    case working
    /// The worker claims nothing; runs may finish until this time.
    case draining(until: Int64)
    /// Runs are cancelled; the worker waits for them until this time.
    case cancelling(until: Int64)

    /// The time at which the phase ends.
    var end: Int64 {
      switch self {
      case .working: .max
      case .draining(let end), .cancelling(let end): end
      }
    }
  }

  /// A job for a slot, and the source that it is from.
  struct Assignment: Sendable {
    let source: Int
    let job: ClaimedJob
  }

  let rules: WorkerRules
  var phase = Phase.working
  /// Whether the work ends because no source has jobs left.
  private(set) var isOver = false
  var slots = Slots()
  var kinds: KindCounts
  var sources: [Source]
  /// Whether runs that ignore their cancellation hold so many slots that the worker ends, and whether that was said.
  var (isStuck, isStuckTold) = (false, false)
  /// The number of turns so far.
  var lastTurn: UInt64 = 0
  /// The sources whose pumps must decide again. The engine wakes them when it has unlocked.
  private(set) var signalled: [Int] = []

  /// - Parameters:
  ///   - sources: The number of databases.
  ///   - probeInterval: The longest pause between two calls to a database that fails, in microseconds; nil for a single database
  ///     that is not monitored.
  init(_ rules: WorkerRules, sources: Int = 1, probeInterval: Int64? = nil) {
    self.rules = rules
    kinds = KindCounts(rules.handlers)
    self.sources = (0..<sources).map { Source($0, rules, probeInterval: probeInterval) }
  }

  /// Decides what a source's pump does next.
  ///
  /// - Parameter rings: The number of rings of a source's doorbell so far.
  /// - Returns: The next action, and the slots whose tasks must be cancelled first.
  mutating func next(_ source: Int, now: Int64, rings: (Int) -> UInt64) -> (action: Action, cancelled: [Int])
  {
    sources[source].isSignalled = false
    var cancelled: [Int] = []
    endIfEmpty(now: now, rings: rings)
    advancePhase(now, &cancelled)
    enforceDeadlines(source, now, &cancelled)
    if isStuck, !isStuckTold {
      isStuckTold = true
      return (.reportStuck(slots.abandoned), cancelled)
    }
    let share = share(of: source, now: now)
    let action = sources[source].nextAction(
      now: now, rings: rings(source), share, phase, isOver: isOver, slots, &kinds)
    if sources.count > 1 { noteTurn(source, action, share, now: now) }
    return (action, cancelled)
  }

  // MARK: Signals

  /// Lets a source's pump decide again.
  mutating func signal(_ source: Int) {
    guard !sources[source].isSignalled else { return }
    sources[source].isSignalled = true
    signalled.append(source)
  }

  mutating func signalAll() { for source in sources.indices { signal(source) } }

  /// Returns one of the sources whose pumps must decide again, each once.
  mutating func takeSignalled() -> Int? { signalled.popLast() }

  // MARK: Sources

  /// Adds a source whose database is open.
  mutating func open(_ source: Int, _ settings: Source.Settings) {
    sources[source].settings = settings
    sources[source].availability = .open
  }

  /// Notes that a source's database could not be opened.
  mutating func openingFailed(_ source: Int, isUnavailable: Bool, now: Int64, rings: (Int) -> UInt64) {
    sources[source].availability = isUnavailable ? .unavailable : .opening
    endIfEmpty(now: now, rings: rings)
  }

  /// Removes a source whose pump has ended. Its runs hold their slots until they end.
  mutating func close(_ source: Int, now: Int64, rings: (Int) -> UInt64) {
    sources[source].availability = .closed
    sources[source].drop(&kinds)
    endTurn(source, now: now)
    endIfEmpty(now: now, rings: rings)
  }

  // MARK: End

  /// Stops claiming and ends within the grace periods.
  mutating func stop(now: Int64) {
    signalAll()
    guard phase == .working else { return }
    phase = .draining(until: now.clampedPlus(rules.options.shutdownGracePeriod.wholeMicroseconds))
    for source in sources.indices { sources[source].stop(&kinds) }
  }

  /// Ends the work, like ``stop(now:)``, because too many slots are lost. Not if it ends already.
  mutating func beStuck(now: Int64) {
    guard phase == .working else { return }
    isStuck = true
    stop(now: now)
  }

  /// Ends the work if no available database has jobs left.
  private mutating func endIfEmpty(now: Int64, rings: (Int) -> UInt64) {
    guard case .untilEmpty = rules.mode, phase == .working else { return }
    for source in sources.indices {
      // A job of another database that enqueued here has rung the doorbell. No other process counts.
      guard sources[source].isDone(now, rings: sources.count > 1 ? rings(source) : nil) else { return }
    }
    isOver = true
    phase = .draining(until: .max)
    for source in sources.indices { sources[source].giveBackBuffered(&kinds) }
    signalAll()
  }
}
