/// The decisions of group commit, without threads or a database: which operation commits and which waits.
struct CommitQueue<Operation> {
  enum Admission: Equatable {
    case queued
    /// The writer was idle: start its thread.
    case queuedFirst
    case closed
  }
  private struct Waiting {
    let operation: Operation
    let deadline: Deadline?
    /// Whether it closes the database.
    var isLast = false
  }

  private var waiting: [Waiting] = []
  /// The number of operations that the thread last took together.
  private var lastGroup = 0
  /// Whether a caller commits, or the thread commits or is about to.
  private var isBusy = false
  private(set) var isClosed = false
  private var isWatched = false
  /// Whether the thread waits for another process; until that ends it touches nothing.
  private var isAwaitingTurn = false
  /// Whether the database was closed without the thread, which waited too long.
  private var isGivenUp = false

  /// The number of operations that were admitted so far.
  private(set) var admitted: UInt64 = 0

  var count: Int { waiting.count }

  /// Returns whether the caller may commit on its own thread, or read. Then it must call ``leave(more:)``.
  ///
  /// While several callers come at a time, none commits alone: the others would only wait for it, and one transaction for all
  /// costs less than one for the first and one for the others.
  mutating func enterAlone(toRead: Bool = false) -> Bool {
    guard !isBusy, !isClosed, toRead || lastGroup < 2 else { return false }
    isBusy = true
    admitted += 1
    return true
  }

  mutating func enqueue(_ operation: Operation, until deadline: Deadline?) -> Admission {
    guard !isClosed else { return .closed }
    waiting.append(Waiting(operation: operation, deadline: deadline))
    admitted += 1
    defer { isBusy = true }
    return isBusy ? .queued : .queuedFirst
  }

  /// Refuses later operations, and admits this last one unless the database was closed without the thread.
  ///
  /// - Parameter deadline: When to close without the thread, if that still waits for another process; see ``giveUp(_:)``.
  mutating func close(_ last: Operation, until deadline: Deadline? = nil) -> Admission {
    isClosed = true
    guard !isGivenUp else { return .closed }
    waiting.append(Waiting(operation: last, deadline: deadline, isLast: true))
    defer { isBusy = true }
    return isBusy ? .queued : .queuedFirst
  }

  /// - Parameter more: Whether there is work left even if no operation waits.
  /// - Returns: Whether to start the thread; the queue then counts it as busy.
  mutating func leave(more: Bool = false) -> Bool {
    isBusy = more || !waiting.isEmpty
    return isBusy
  }

  /// Removes and returns all waiting operations, for one commit.
  mutating func takeGroup() -> [Operation] {
    lastGroup = waiting.count
    defer { waiting.removeAll(keepingCapacity: true) }
    return waiting.map(\.operation)
  }

  /// Removes and returns the operations whose deadline has passed, except those that close the database.
  mutating func takeExpired(_ now: Deadline) -> [Operation] {
    let isExpired = { (one: Waiting) in !one.isLast && one.deadline.map { $0 <= now } ?? false }
    let expired = waiting.filter(isExpired).map(\.operation)
    if !expired.isEmpty { waiting.removeAll(where: isExpired) }
    return expired
  }

  /// Returns whether the caller must check for expired operations from now on, for as long as ``keepWatching()`` is true.
  mutating func startWatching() -> Bool {
    defer { isWatched = true }
    return !isWatched
  }

  mutating func keepWatching() -> Bool {
    // Keep watching without operations as well: new ones may arrive while the thread waits for another process.
    isWatched = !waiting.isEmpty || isAwaitingTurn
    return isWatched
  }

  /// Notes that the thread is about to wait for another process.
  mutating func beginWaiting() { isAwaitingTurn = true }

  /// - Returns: Whether the thread may continue; if not, the database was closed meanwhile.
  mutating func endWaiting() -> Bool {
    isAwaitingTurn = false
    return !isGivenUp
  }

  /// Removes and returns the closing operations if a deadline has passed, no other operation waits, and the thread still
  /// waits for another process. After that, the thread must not touch anything.
  mutating func giveUp(_ now: Deadline) -> [Operation] {
    guard isAwaitingTurn, waiting.allSatisfy(\.isLast),
      waiting.contains(where: { $0.deadline.map { $0 <= now } ?? false })
    else { return [] }
    isGivenUp = true
    return takeGroup()
  }
}
