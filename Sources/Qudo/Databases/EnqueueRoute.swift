/// Which database an enqueue asks next.
struct EnqueueRoute: Sendable {
  /// What is left, in the order in which they would be asked if all were well.
  private(set) var rest: [Int]

  init<Random: RandomNumberGenerator>(_ count: Int, _ order: DatabaseOptions.Order, using random: inout Random) {
    rest = Array(0..<count)
    if order == .shuffled { rest.shuffle(using: &random) }
  }

  /// First those that are live, or not opened yet; then those that owe an answer for long; then those that are set aside: when
  /// nothing else is left, they are asked before their time.
  mutating func next(_ now: Int64, _ health: (Int) -> DatabaseHealth) -> Int? {
    let ranks = rest.map { index in
      let health = health(index)
      return !health.isUsable ? 2 : health.isSlow(now) ? 1 : 0
    }
    guard let best = ranks.min(), let place = ranks.firstIndex(of: best) else { return nil }
    return rest.remove(at: place)
  }

  /// When the next step must end so that as much is left for each of the others.
  func share(from now: Int64, to end: Int64) -> Int64 { end == .max ? .max : now + max(0, end - now) / Int64(rest.count + 1) }
}
