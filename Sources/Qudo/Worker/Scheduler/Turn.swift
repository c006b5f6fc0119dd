/// A source's claim on slots, and on kinds with a limit, before it has jobs for them.
///
///     none ── no slot, or no kind, is free for it ──> waiting ── one becomes free ──> called
///      └───────────────────────────────── claim ──────────────────────────────────────┴──> claiming ──> none
enum Turn: Equatable {
  /// The time in which a source answers a claim, in microseconds. If it takes longer, the claim keeps nothing from the
  /// others: a database that hangs holds nobody up.
  static let promptAnswer: Int64 = 250_000

  enum Need { case slot, kind }

  case none
  /// It would claim, but all slots are busy or kept for others, or its kinds are at their limits.
  case waiting(for: Need)
  /// Its pump was woken, and is about to decide. Until then, these are kept for it.
  case called(slots: Int, kinds: [Kind: Int])
  /// Its claim is under way, and these are kept for the answer.
  case claiming(slots: Int, kinds: [Kind: Int], since: Int64)

  var isWaiting: Bool { if case .waiting = self { true } else { false } }

  /// The slots and jobs of kinds that are kept for the source.
  func kept(now: Int64) -> (slots: Int, kinds: [Kind: Int]) {
    switch self {
    case .none, .waiting: (0, [:])
    case .called(let slots, let kinds): (slots, kinds)
    case .claiming(let slots, let kinds, let since):
      now - since < Self.promptAnswer ? (slots, kinds) : (0, [:])
    }
  }

  /// The time at which the source loses what is kept for it.
  func end(now: Int64) -> Int64 {
    guard case .claiming(let slots, let kinds, let since) = self, slots > 0 || !kinds.isEmpty else {
      return .max
    }
    let end = since.clampedPlus(Self.promptAnswer)
    return end <= now ? .max : end
  }

  /// Notes that a run of the source has begun in one of the slots that are kept for it, if there is one.
  mutating func useSlot() {
    switch self {
    case .called(let slots, let kinds) where slots > 0: self = .called(slots: slots - 1, kinds: kinds)
    case .claiming(let slots, let kinds, let since) where slots > 0:
      self = .claiming(slots: slots - 1, kinds: kinds, since: since)
    default: break
    }
  }
}
