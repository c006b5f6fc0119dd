/// Who of a worker's engines, one per database, may run how many jobs: the worker's concurrency, shared fairly. It decides
/// only, without a lock or a clock of its own. Times are in microseconds since the boot.
///
/// A run needs a permit. One that is freed goes to the engine that wants it and has the fewest runs; of equals to the one that
/// has waited longest. So a backlog in one database does not starve the others, and an idle database takes nothing from them.
/// Before a claim an engine reserves permits for what it will get. A reservation does not count for longer than ``patience``: a
/// database that hangs in the midst of a claim holds nobody up.
struct WorkerPermits: Sendable {
  static let patience: Int64 = 250_000

  private struct Share {
    var running = 0
    var reserved = 0
    var reservedAt: Int64 = 0
    /// The place in the queue of those that want a permit.
    var ticket: Int?
    /// Its last claim got all that it asked for, or was not made yet.
    var mayHaveMore = true
    /// Jobs of kinds with a limit that it has, or asks for.
    var held: [Kind: Int] = [:]
  }

  /// What an engine may claim.
  struct Room: Equatable {
    /// How many jobs that begin at once.
    var count: Int
    /// When there may be more although nobody gives a permit back.
    var changesAt: Int64
    /// How many jobs of kinds with a limit the others have.
    var heldElsewhere: [Kind: Int]
  }

  let total: Int
  private let limits: [Kind: Int]
  private var shares: [Int: Share] = [:]
  private var tickets = 0

  /// - Parameter limits: how many jobs of a kind may be held, for those with a limit.
  init(total: Int, limits: [Kind: Int] = [:]) {
    self.total = total
    self.limits = limits
  }

  mutating func join(_ engine: Int) { shares[engine] = Share() }

  /// Its runs that have not ended go on to count.
  mutating func leave(_ engine: Int) {
    shares[engine]?.reserved = 0
    shares[engine]?.ticket = nil
    shares[engine]?.mayHaveMore = false
    shares[engine]?.held = [:]
  }

  private func free(_ engine: Int, _ now: Int64) -> Int {
    total - shares.reduce(0) { sum, entry in
      let (other, share) = entry
      let counts = other != engine && now - share.reservedAt < Self.patience
      return sum + share.running + (counts ? share.reserved : 0)
    }
  }

  /// Reserves what an engine may claim, at most a fair part of what is free; see ``claims(_:_:kinds:now:)``.
  mutating func reserve(_ engine: Int, held: [Kind: Int], now: Int64) -> Room {
    let free = max(0, free(engine, now))
    let rivals = shares.count { $0.key != engine && ($0.value.mayHaveMore || $0.value.ticket != nil) && $0.value.running < total }
    let count = min(free, (free + rivals) / (rivals + 1))
    var elsewhere: [Kind: Int] = [:]
    for (kind, _) in limits { elsewhere[kind] = shares.reduce(0) { $0 + ($1.key == engine ? 0 : $1.value.held[kind, default: 0]) } }
    var changesAt = Int64.max
    if count == 0 {
      for (other, share) in shares where other != engine && share.reserved > 0 && now - share.reservedAt < Self.patience {
        changesAt = min(changesAt, share.reservedAt + Self.patience)
      }
    }
    shares[engine]?.reserved = count
    shares[engine]?.reservedAt = now
    // All that is left of a limit, until it is known how much is asked for.
    shares[engine]?.held = Dictionary(uniqueKeysWithValues: limits.map { ($0, max(held[$0, default: 0], $1 - elsewhere[$0, default: 0])) })
    return Room(count: count, changesAt: changesAt, heldElsewhere: elsewhere)
  }

  /// An engine asks for so many jobs, or for none, of what it has reserved.
  ///
  /// - Parameter kinds: how many of kinds with a limit it has or asks for.
  mutating func claims(_ engine: Int, _ count: Int, kinds: [Kind: Int]) {
    guard let reserved = shares[engine]?.reserved else { return }
    shares[engine]?.reserved = min(reserved, count)
    shares[engine]?.held = kinds
    if count > 0 { shares[engine]?.ticket = nil }
  }

  /// A claim was answered, or failed.
  mutating func answered(_ engine: Int, gotAll: Bool, kinds: [Kind: Int]) {
    shares[engine]?.mayHaveMore = gotAll
    shares[engine]?.held = kinds
  }

  mutating func holds(_ engine: Int, _ kinds: [Kind: Int]) { shares[engine]?.held = kinds }

  /// Nothing that was reserved is needed any more.
  mutating func drop(_ engine: Int) { shares[engine]?.reserved = 0 }

  /// Puts an engine into the queue, if it is not there.
  mutating func want(_ engine: Int) {
    guard shares[engine] != nil, shares[engine]?.ticket == nil else { return }
    tickets += 1
    shares[engine]?.ticket = tickets
  }

  mutating func wantsNothing(_ engine: Int) { shares[engine]?.ticket = nil }

  /// An engine begins a run, if there is a permit and nobody has a better claim to it.
  mutating func begin(_ engine: Int, now: Int64) -> Bool {
    guard let share = shares[engine], shares.reduce(0, { $0 + $1.value.running }) < total, free(engine, now) > 0 else {
      want(engine)
      return false
    }
    if share.reserved == 0 || now - share.reservedAt >= Self.patience, let best = best(), best != engine, isBefore(best, engine) {
      want(engine)
      return false
    }
    shares[engine]?.running += 1
    shares[engine]?.reserved = max(0, share.reserved - 1)
    shares[engine]?.ticket = nil
    return true
  }

  mutating func end(_ engine: Int) { shares[engine]?.running -= 1 }

  private func best() -> Int? { shares.filter { $0.value.ticket != nil }.keys.min { isBefore($0, $1) } }

  /// Whether one engine is to have a permit rather than the other.
  private func isBefore(_ one: Int, _ other: Int) -> Bool {
    guard let a = shares[one], let b = shares[other] else { return false }
    return (a.running, a.ticket ?? .max, one) < (b.running, b.ticket ?? .max, other)
  }

  /// The engine to which a free permit goes now. It is reserved for it.
  mutating func offer(now: Int64) -> Int? {
    guard let best = best(), free(best, now) > (shares[best]?.reserved ?? 0) else { return nil }
    shares[best]?.ticket = nil
    shares[best]?.reserved += 1
    shares[best]?.reservedAt = now
    return best
  }
}
