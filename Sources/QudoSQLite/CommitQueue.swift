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
  }

  private var waiting: [Waiting] = []
  /// Somebody commits, or the thread is about to.
  private var isBusy = false
  private(set) var isClosed = false
  private var isWatched = false

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

  /// Refuses all that comes later. The last operation is always admitted.
  mutating func close(_ last: Operation) -> Admission {
    isClosed = false
    defer { isClosed = true }
    return enqueue(last, until: nil)
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

  /// Those who have waited long enough.
  mutating func takeExpired(_ now: ContinuousClock.Instant) -> [Operation] {
    let isExpired = { (one: Waiting) in one.deadline.map { $0 <= now } ?? false }
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
    isWatched = !waiting.isEmpty
    return isWatched
  }
}
