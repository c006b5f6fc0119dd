#if MySQL
/// Who may use which connection, and who waits for one. A plain value: the pool locks it, asks, and acts.
struct PoolQueue<Lane, Waiter> {
  enum Entry {
    /// The connection is the caller's.
    case granted(Lane)
    /// It waits. The first one that waits has somebody look after those whose time is up.
    case queued(startsWatch: Bool)
    case closed
  }

  private let capacity: Int
  private var made = 0
  /// The one used last is taken first, so that those that are not needed stay unused.
  private var idle: [Lane] = []
  private var waiting: [(waiter: Waiter, until: ContinuousClock.Instant)] = []
  private var isWatched = false
  private(set) var isClosed = false

  init(capacity: Int) { self.capacity = capacity }

  var waitingCount: Int { waiting.count }
  /// Nobody uses a connection.
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

  /// - Returns: who has the connection next; nil if nobody waits.
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

  /// - Returns: whether somebody still waits.
  mutating func keepWatching() -> Bool {
    isWatched = !waiting.isEmpty
    return isWatched
  }

  /// The connections that nobody uses, each to be given back with ``leave(_:)``.
  mutating func takeIdle() -> [Lane] {
    guard !isClosed else { return [] }
    defer { idle = [] }
    return idle
  }

  mutating func close() { isClosed = true }

  /// The connections, when it is closed and nobody uses any.
  mutating func takeLanes() -> [Lane]? {
    guard isClosed, isQuiet else { return nil }
    defer { (idle, made) = ([], 0) }
    return idle
  }
}
#endif
