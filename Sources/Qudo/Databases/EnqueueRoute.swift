/// The order in which one enqueue tries the databases.
struct EnqueueRoute: Sendable {
  /// The databases not yet tried, in the order for healthy ones.
  private(set) var rest: [Int]

  init<Random: RandomNumberGenerator>(
    _ count: Int, _ order: DatabaseOptions.Order, using random: inout Random
  ) {
    rest = Array(0..<count)
    if order == .shuffled { rest.shuffle(using: &random) }
  }

  /// Picks the next database: live or unopened ones first, then slow ones, then unavailable ones.
  ///
  /// So an unavailable database is tried before its probe is due only if nothing else is left.
  mutating func next(_ now: Int64, _ health: (Int) -> DatabaseHealth) -> Int? {
    let ranks = rest.map { index in
      let health = health(index)
      return !health.isUsable ? 2 : health.isSlow(now) ? 1 : 0
    }
    guard let best = ranks.min(), let place = ranks.firstIndex(of: best) else { return nil }
    return rest.remove(at: place)
  }

  /// The deadline of the next step if each remaining database gets an equal share of the time.
  func share(from now: Int64, to end: Int64) -> Int64 {
    end == .max ? .max : now + max(0, end - now) / Int64(rest.count + 1)
  }
}
