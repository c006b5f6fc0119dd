/// Who may commit and who waits for it: the decisions of group commit, without a thread or a database.
struct CommitQueue<Operation> {
  enum Admission: Equatable {
    case queued
    /// Nobody is at work: start the thread.
    case queuedFirst
    case closed
  }
  private struct Waiting {
    let operation: Operation
    let deadline: ContinuousClock.Instant?
    /// Whether it closes the database.
    var isLast = false
  }

  private var waiting: [Waiting] = []
  /// Somebody commits, or the thread is about to.
  private var isBusy = false
  private(set) var isClosed = false
  private var isWatched = false
  /// The thread waits for another process, and touches nothing until it has ended that.
  private var isAwaitingTurn = false
  /// The database was closed without the thread, which waited for too long.
  private var isGivenUp = false

  var count: Int { waiting.count }

  /// Whether the caller may commit by itself, since nobody is at work; then it must ``leave()``.
  mutating func enterAlone() -> Bool {
    guard !isBusy, !isClosed else { return false }
    isBusy = true
    return true
  }

  mutating func enqueue(_ operation: Operation, until deadline: ContinuousClock.Instant?) -> Admission {
    guard !isClosed else { return .closed }
    waiting.append(Waiting(operation: operation, deadline: deadline))
    defer { isBusy = true }
    return isBusy ? .queued : .queuedFirst
  }

  /// Refuses all that comes later. The last operation is admitted, unless the database was closed without the thread.
  ///
  /// - Parameter deadline: when it is done without the thread, if that still waits for another process then; see ``giveUp(_:)``.
  mutating func close(_ last: Operation, until deadline: ContinuousClock.Instant? = nil) -> Admission {
    isClosed = true
    guard !isGivenUp else { return .closed }
    waiting.append(Waiting(operation: last, deadline: deadline, isLast: true))
    defer { isBusy = true }
    return isBusy ? .queued : .queuedFirst
  }

  /// - Parameter more: whether there is more to do although nobody waits.
  /// - Returns: whether the thread must come; it is then meant to be at work.
  mutating func leave(more: Bool = false) -> Bool {
    isBusy = more || !waiting.isEmpty
    return isBusy
  }

  /// All that wait, for one commit.
  mutating func takeGroup() -> [Operation] {
    defer { waiting.removeAll(keepingCapacity: true) }
    return waiting.map(\.operation)
  }

  /// Those who have waited long enough, without those that close the database.
  mutating func takeExpired(_ now: ContinuousClock.Instant) -> [Operation] {
    let isExpired = { (one: Waiting) in !one.isLast && one.deadline.map { $0 <= now } ?? false }
    let expired = waiting.filter(isExpired).map(\.operation)
    if !expired.isEmpty { waiting.removeAll(where: isExpired) }
    return expired
  }

  /// Whether the caller is to look for expired ones from time to time; it goes on while ``keepWatching()``.
  mutating func startWatching() -> Bool {
    defer { isWatched = true }
    return !isWatched
  }

  mutating func keepWatching() -> Bool {
    // Also when nobody waits any more: who comes while the thread still waits for another process needs to be watched as well.
    isWatched = !waiting.isEmpty || isAwaitingTurn
    return isWatched
  }

  /// The thread is about to wait for another process.
  mutating func beginWaiting() { isAwaitingTurn = true }

  /// - Returns: whether the thread may go on; if not, the database was closed meanwhile.
  mutating func endWaiting() -> Bool {
    isAwaitingTurn = false
    return !isGivenUp
  }

  /// What closes the database, if it has waited long enough, and for nothing but a thread that waits for another process. Then the
  /// thread is not to touch anything any more.
  mutating func giveUp(_ now: ContinuousClock.Instant) -> [Operation] {
    guard isAwaitingTurn, waiting.allSatisfy(\.isLast), waiting.contains(where: { $0.deadline.map { $0 <= now } ?? false }) else { return [] }
    isGivenUp = true
    return takeGroup()
  }
}
