/// Who of a worker's engines, one per database, may run how many jobs: the worker's concurrency, shared fairly. It decides
/// only, without a lock or a clock of its own. Times are in microseconds since the boot.
///
/// A run needs a permit. One that is freed goes to the engine that wants it and has the fewest runs; of equals to the one that
/// has waited longest. So a backlog in one database does not starve the others, and an idle database takes nothing from them.
/// Before a claim an engine reserves permits for what it will get. A reservation does not count for longer than ``patience``: a
/// database that hangs in the midst of a claim holds nobody up.
struct ConcurrencyBudget: Sendable {
  static let reservationLifetime: Int64 = 250_000

  private struct Allocation {
    var running = 0
    var reserved = 0
    var reservedAt: Int64 = 0
    /// The place in the queue of those that want a permit.
    var queuePosition: Int?
    /// Its last claim got all that it asked for, or was not made yet.
    var mayHaveMore = true
    /// Jobs of kinds with a limit that it has.
    var held: [Kind: Int] = [:]
    /// Those that it is about to claim, which counts as long as a reservation does.
    var requested: [Kind: Int] = [:]
  }

  /// What an engine may claim.
  struct Grant: Equatable {
    /// How many jobs that begin at once.
    var count: Int
    /// When there may be more although nobody gives a permit back.
    var changesAt: Int64
    /// How many jobs of kinds with a limit the others have.
    var heldElsewhere: [Kind: Int]
  }

  let total: Int
  private let limits: [Kind: Int]
  private var allocations: [Int: Allocation] = [:]
  private var lastQueuePosition = 0
  /// Those that wait until a limit of a kind allows another job.
  private var kindQueue: [Int] = []

  /// - Parameter limits: how many jobs of a kind may be held, for those with a limit.
  init(total: Int, limits: [Kind: Int] = [:]) {
    self.total = total
    self.limits = limits
  }

  mutating func join(_ engine: Int) { allocations[engine] = Allocation() }

  /// Its runs that have not ended go on to count.
  mutating func leave(_ engine: Int) {
    allocations[engine]?.reserved = 0
    allocations[engine]?.queuePosition = nil
    allocations[engine]?.mayHaveMore = false
    allocations[engine]?.held = [:]
    allocations[engine]?.requested = [:]
    kindQueue.removeAll { $0 == engine }
  }

  private func free(_ engine: Int, _ now: Int64) -> Int {
    total - allocations.reduce(0) { sum, entry in
      let (other, share) = entry
      let counts = other != engine && now - share.reservedAt < Self.reservationLifetime
      return sum + share.running + (counts ? share.reserved : 0)
    }
  }

  /// Reserves what an engine may claim, at most a fair part of what is free; see ``claims(_:_:kinds:now:)``.
  mutating func reserve(_ engine: Int, held: [Kind: Int], now: Int64) -> Grant {
    let free = max(0, free(engine, now))
    let rivals = allocations.count { $0.key != engine && ($0.value.mayHaveMore || $0.value.queuePosition != nil) && $0.value.running < total }
    let count = min(free, (free + rivals) / (rivals + 1))
    let elsewhere = limits.reduce(into: [Kind: Int]()) { $0[$1.key] = heldCount($1.key, now, except: engine) }
    var changesAt = Int64.max
    for (other, share) in allocations where other != engine && now - share.reservedAt < Self.reservationLifetime {
      if count == 0 && share.reserved > 0 || !share.requested.isEmpty { changesAt = min(changesAt, share.reservedAt + Self.reservationLifetime) }
    }
    allocations[engine]?.reserved = count
    allocations[engine]?.reservedAt = now
    // All that is left of a limit, until it is known how much is asked for.
    allocations[engine]?.held = held
    allocations[engine]?.requested = limits.reduce(into: [:]) { $0[$1.key] = max(0, $1.value - elsewhere[$1.key, default: 0] - held[$1.key, default: 0]) }
    return Grant(count: count, changesAt: changesAt, heldElsewhere: elsewhere)
  }

  /// How many jobs of a kind are held, or about to be.
  private func heldCount(_ kind: Kind, _ now: Int64, except engine: Int? = nil) -> Int {
    allocations.reduce(0) { sum, entry in
      guard entry.key != engine else { return sum }
      let asked = now - entry.value.reservedAt < Self.reservationLifetime ? entry.value.requested[kind, default: 0] : 0
      return sum + entry.value.held[kind, default: 0] + asked
    }
  }

  /// An engine asks for so many jobs, or for none, of what it has reserved.
  ///
  /// - Parameter kinds: how many of kinds with a limit it asks for.
  mutating func noteRequest(_ engine: Int, _ count: Int, kinds: [Kind: Int]) {
    guard let reserved = allocations[engine]?.reserved else { return }
    allocations[engine]?.reserved = min(reserved, count)
    allocations[engine]?.requested = kinds
    if count > 0 { allocations[engine]?.queuePosition = nil }
  }

  /// A claim was answered, or failed.
  mutating func noteClaim(_ engine: Int, gotAll: Bool, kinds: [Kind: Int]) {
    allocations[engine]?.mayHaveMore = gotAll
    allocations[engine]?.held = kinds
    allocations[engine]?.requested = [:]
  }

  mutating func holds(_ engine: Int, _ kinds: [Kind: Int]) { allocations[engine]?.held = kinds }

  /// Puts an engine into the queue of those that have nothing to claim because of a limit, if it is not there.
  mutating func enqueueKindWaiter(_ engine: Int) { if !kindQueue.contains(engine) { kindQueue.append(engine) } }

  /// The engine that may claim a job of a kind with a limit now. It is taken note of as if it were claimed.
  mutating func grantNextKind(now: Int64) -> Int? {
    guard let first = kindQueue.first else { return nil }
    guard let (kind, _) = limits.first(where: { heldCount($0.key, now) < $0.value }) else { return nil }
    kindQueue.removeFirst()
    allocations[first]?.requested[kind, default: 0] += 1
    allocations[first]?.reservedAt = now
    return first
  }

  /// Nothing that was reserved is needed any more.
  mutating func releaseReservation(_ engine: Int) { allocations[engine]?.reserved = 0 }

  /// Puts an engine into the queue, if it is not there.
  mutating func enqueueWaiter(_ engine: Int) {
    guard allocations[engine] != nil, allocations[engine]?.queuePosition == nil else { return }
    lastQueuePosition += 1
    allocations[engine]?.queuePosition = lastQueuePosition
  }

  mutating func removeWaiter(_ engine: Int) { allocations[engine]?.queuePosition = nil }

  /// An engine begins a run, if there is a permit and nobody has a better claim to it.
  mutating func begin(_ engine: Int, now: Int64) -> Bool {
    guard let share = allocations[engine], allocations.reduce(0, { $0 + $1.value.running }) < total, free(engine, now) > 0 else {
      enqueueWaiter(engine)
      return false
    }
    if share.reserved == 0 || now - share.reservedAt >= Self.reservationLifetime, let best = nextWaiter(), best != engine, isBefore(best, engine) {
      enqueueWaiter(engine)
      return false
    }
    allocations[engine]?.running += 1
    allocations[engine]?.reserved = max(0, share.reserved - 1)
    allocations[engine]?.queuePosition = nil
    return true
  }

  mutating func end(_ engine: Int) { allocations[engine]?.running -= 1 }

  private func nextWaiter() -> Int? { allocations.filter { $0.value.queuePosition != nil }.keys.min { isBefore($0, $1) } }

  /// Whether one engine is to have a permit rather than the other.
  private func isBefore(_ one: Int, _ other: Int) -> Bool {
    guard let a = allocations[one], let b = allocations[other] else { return false }
    return (a.running, a.queuePosition ?? .max, one) < (b.running, b.queuePosition ?? .max, other)
  }

  /// The engine to which a free permit goes now. It is reserved for it.
  mutating func grantNext(now: Int64) -> Int? {
    guard let best = nextWaiter(), free(best, now) > (allocations[best]?.reserved ?? 0) else { return nil }
    allocations[best]?.queuePosition = nil
    allocations[best]?.reserved += 1
    allocations[best]?.reservedAt = now
    return best
  }
}
