/// The worker's concurrency, shared fairly between its engines, one per database. A pure state machine
/// without lock or clock. Times are in microseconds since the boot.
///
/// A run needs a permit. A free permit goes to the waiting engine with the fewest runs; if several have
/// equally few, to the one that has waited longest. So a backlog in one database does not starve the others,
/// and an idle database takes no permits. Before a claim, an engine reserves permits for the jobs it will
/// get. A reservation counts for at most ``reservationLifetime``, so that a database that hangs during a
/// claim does not block the others.
struct ConcurrencyBudget: Sendable {
  static let reservationLifetime: Int64 = 250_000

  private struct Allocation {
    var running = 0
    var reserved = 0
    var reservedAt: Int64 = 0
    /// The position in the queue of engines that wait for a permit.
    var queuePosition: Int?
    /// True if its last claim returned as many jobs as it asked for, or it has not claimed yet.
    var mayHaveMore = true
    /// The jobs that it holds, of kinds with a limit.
    var held: [Kind: Int] = [:]
    /// The jobs that it is about to claim, of kinds with a limit. They count as long as a reservation does.
    var requested: [Kind: Int] = [:]
  }

  /// The jobs that an engine may claim.
  struct Grant: Equatable {
    /// The number of jobs that can begin at once.
    var count: Int
    /// The time at which reservations end, so that there may be more even if no permit is released.
    var changesAt: Int64
    /// The jobs that other engines hold, of kinds with a limit.
    var heldElsewhere: [Kind: Int]
  }

  let total: Int
  private let limits: [Kind: Int]
  private var allocations: [Int: Allocation] = [:]
  private var lastQueuePosition = 0
  /// The engines that wait until the limit of a kind allows another job.
  private var kindQueue: [Int] = []

  /// - Parameter limits: The maximum number of held jobs per kind, for kinds with a limit.
  init(total: Int, limits: [Kind: Int] = [:]) {
    self.total = total
    self.limits = limits
  }

  mutating func join(_ engine: Int) { allocations[engine] = Allocation() }

  /// Removes an engine. Its runs still count until they end.
  mutating func leave(_ engine: Int) {
    allocations[engine]?.reserved = 0
    allocations[engine]?.queuePosition = nil
    allocations[engine]?.mayHaveMore = false
    allocations[engine]?.held = [:]
    allocations[engine]?.requested = [:]
    kindQueue.removeAll { $0 == engine }
  }

  private func free(_ engine: Int, _ now: Int64) -> Int {
    total
      - allocations.reduce(0) { sum, entry in
        let (other, share) = entry
        let counts = other != engine && now - share.reservedAt < Self.reservationLifetime
        return sum + share.running + (counts ? share.reserved : 0)
      }
  }

  /// Reserves a fair share of the free permits. ``noteRequest(_:_:kinds:)`` reduces it to what is needed.
  mutating func reserve(_ engine: Int, held: [Kind: Int], now: Int64) -> Grant {
    let free = max(0, free(engine, now))
    let rivals = allocations.count {
      $0.key != engine && ($0.value.mayHaveMore || $0.value.queuePosition != nil) && $0.value.running < total
    }
    let count = min(free, (free + rivals) / (rivals + 1))
    let elsewhere = limits.reduce(into: [Kind: Int]()) { $0[$1.key] = heldCount($1.key, now, except: engine) }
    var changesAt = Int64.max
    for (other, share) in allocations
    where other != engine && now - share.reservedAt < Self.reservationLifetime {
      if count == 0 && share.reserved > 0 || !share.requested.isEmpty {
        changesAt = min(changesAt, share.reservedAt + Self.reservationLifetime)
      }
    }
    allocations[engine]?.reserved = count
    allocations[engine]?.reservedAt = now
    // Reserves the rest of each limit until the engine says how many jobs it asks for.
    allocations[engine]?.held = held
    allocations[engine]?.requested = limits.reduce(into: [:]) {
      $0[$1.key] = max(0, $1.value - elsewhere[$1.key, default: 0] - held[$1.key, default: 0])
    }
    return Grant(count: count, changesAt: changesAt, heldElsewhere: elsewhere)
  }

  /// The number of jobs of a kind that are held or about to be claimed.
  private func heldCount(_ kind: Kind, _ now: Int64, except engine: Int? = nil) -> Int {
    allocations.reduce(0) { sum, entry in
      guard entry.key != engine else { return sum }
      let asked =
        now - entry.value.reservedAt < Self.reservationLifetime ? entry.value.requested[kind, default: 0] : 0
      return sum + entry.value.held[kind, default: 0] + asked
    }
  }

  /// Reduces a reservation to the jobs that the engine asks for, or to none.
  ///
  /// - Parameter kinds: The number of jobs it asks for, of kinds with a limit.
  mutating func noteRequest(_ engine: Int, _ count: Int, kinds: [Kind: Int]) {
    guard let reserved = allocations[engine]?.reserved else { return }
    allocations[engine]?.reserved = min(reserved, count)
    allocations[engine]?.requested = kinds
    if count > 0 { allocations[engine]?.queuePosition = nil }
  }

  /// Notes that a claim was answered, or failed.
  mutating func noteClaim(_ engine: Int, gotAll: Bool, kinds: [Kind: Int]) {
    allocations[engine]?.mayHaveMore = gotAll
    allocations[engine]?.held = kinds
    allocations[engine]?.requested = [:]
  }

  mutating func holds(_ engine: Int, _ kinds: [Kind: Int]) { allocations[engine]?.held = kinds }

  /// Adds an engine to the queue of those that a kind's limit keeps from claiming.
  mutating func enqueueKindWaiter(_ engine: Int) {
    if !kindQueue.contains(engine) { kindQueue.append(engine) }
  }

  /// Picks the engine that may now claim a job of a kind with a limit, and counts the job as requested.
  mutating func grantNextKind(now: Int64) -> Int? {
    guard let first = kindQueue.first else { return nil }
    guard let (kind, _) = limits.first(where: { heldCount($0.key, now) < $0.value }) else { return nil }
    kindQueue.removeFirst()
    allocations[first]?.requested[kind, default: 0] += 1
    allocations[first]?.reservedAt = now
    return first
  }

  /// Releases the permits that an engine has reserved and not used.
  mutating func releaseReservation(_ engine: Int) { allocations[engine]?.reserved = 0 }

  /// Adds an engine to the queue for permits, unless it is already there.
  mutating func enqueueWaiter(_ engine: Int) {
    guard allocations[engine] != nil, allocations[engine]?.queuePosition == nil else { return }
    lastQueuePosition += 1
    allocations[engine]?.queuePosition = lastQueuePosition
  }

  mutating func removeWaiter(_ engine: Int) { allocations[engine]?.queuePosition = nil }

  /// Takes a permit for a run, if there is one and no other engine has precedence.
  mutating func begin(_ engine: Int, now: Int64) -> Bool {
    guard let share = allocations[engine], allocations.reduce(0, { $0 + $1.value.running }) < total,
      free(engine, now) > 0
    else {
      enqueueWaiter(engine)
      return false
    }
    if share.reserved == 0 || now - share.reservedAt >= Self.reservationLifetime, let best = nextWaiter(),
      best != engine, isBefore(best, engine)
    {
      enqueueWaiter(engine)
      return false
    }
    allocations[engine]?.running += 1
    allocations[engine]?.reserved = max(0, share.reserved - 1)
    allocations[engine]?.queuePosition = nil
    return true
  }

  mutating func end(_ engine: Int) { allocations[engine]?.running -= 1 }

  private func nextWaiter() -> Int? {
    allocations.filter { $0.value.queuePosition != nil }.keys.min { isBefore($0, $1) }
  }

  /// Returns whether the first engine has precedence over the second.
  private func isBefore(_ one: Int, _ other: Int) -> Bool {
    guard let a = allocations[one], let b = allocations[other] else { return false }
    return (a.running, a.queuePosition ?? .max, one) < (b.running, b.queuePosition ?? .max, other)
  }

  /// Picks the engine that gets a free permit, and reserves the permit for it.
  mutating func grantNext(now: Int64) -> Int? {
    guard let best = nextWaiter(), free(best, now) > (allocations[best]?.reserved ?? 0) else { return nil }
    allocations[best]?.queuePosition = nil
    allocations[best]?.reserved += 1
    allocations[best]?.reservedAt = now
    return best
  }
}
