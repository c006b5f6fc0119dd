#if MySQL
/// The connections in use, the idle ones, and the callers that wait. A plain value: the pool locks it, asks
/// it, and acts.
struct PoolQueue<Lane, Waiter> {
  enum Entry {
    /// The caller gets the connection.
    case granted(Lane)
    /// The caller waits. The first one to wait starts the watch, which finds callers whose time is over.
    case queued(startsWatch: Bool)
    case closed
  }

  private let capacity: Int
  private var made = 0
  /// The idle connections. The one that was used last is taken first, so that surplus connections stay
  /// unused.
  private var idle: [Lane] = []
  private var waiting: [(waiter: Waiter, until: ContinuousClock.Instant)] = []
  private var isWatched = false
  private(set) var isClosed = false

  init(capacity: Int) { self.capacity = capacity }

  var waitingCount: Int { waiting.count }
  /// Whether no connection is in use.
  var isQuiet: Bool { waiting.isEmpty && idle.count == made }

  mutating func enter(_ waiter: Waiter, until: ContinuousClock.Instant, make: () -> Lane) -> Entry {
    guard !isClosed else { return .closed }
    if let pooled = idle.popLast() { return .granted(pooled) }
    if made < capacity {
      made += 1
      return .granted(make())
    }
    waiting.append((waiter, until))
    defer { isWatched = true }
    return .queued(startsWatch: !isWatched)
  }

  /// - Returns: The caller that gets the connection next; nil if none waits.
  mutating func leave(_ pooled: Lane) -> Waiter? {
    guard waiting.isEmpty else { return waiting.removeFirst().waiter }
    idle.append(pooled)
    return nil
  }

  mutating func takeExpired(_ now: ContinuousClock.Instant) -> [Waiter] {
    let expired = waiting.filter { $0.until <= now }.map(\.waiter)
    waiting.removeAll { $0.until <= now }
    return expired
  }

  /// - Returns: Whether a caller still waits.
  mutating func keepWatching() -> Bool {
    isWatched = !waiting.isEmpty
    return isWatched
  }

  /// Takes the idle connections. The pool must return each of them with ``leave(_:)``.
  mutating func takeIdle() -> [Lane] {
    guard !isClosed else { return [] }
    defer { idle = [] }
    return idle
  }

  mutating func close() { isClosed = true }

  /// Takes all connections, if the pool is closed and none of them is in use.
  mutating func takeConnections() -> [Lane]? {
    guard isClosed, isQuiet else { return nil }
    defer { (idle, made) = ([], 0) }
    return idle
  }
}
#endif
