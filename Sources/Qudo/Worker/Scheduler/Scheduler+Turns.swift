/// The division of the slots between the sources.
///
/// A free slot goes to the source that runs the fewest jobs; if several run equally few, to the one whose last turn is the
/// longest ago. So a backlog in one database does not starve the others, and an idle database takes no slots. With one source,
/// all slots are its own.
extension Scheduler {
  /// The slots and jobs that the other sources leave to one source.
  struct Share: Equatable {
    /// The number of slots that the source may fill with its next claim.
    var slots: Int
    /// The jobs that claims of others may return, of kinds with a limit.
    var promised: [Kind: Int] = [:]
    /// The source could run more jobs, but the others have all free slots.
    var isCrowdedOut = false
    /// There are several sources, and a kind is at its limit.
    var isKindFull = false
    /// The time at which the others may leave more, although no run has ended.
    var changesAt = Int64.max
  }

  /// The number of slots without a run.
  private var freeSlots: Int { max(0, rules.concurrency - slots.running - slots.abandoned) }

  /// The number of slots that are kept for sources.
  private func keptSlots(now: Int64, except source: Int? = nil) -> Int {
    var kept = 0
    for other in sources.indices where other != source { kept += sources[other].turn.kept(now: now).slots }
    return kept
  }

  /// The jobs that claims of sources may return, of kinds with a limit.
  private func promisedKinds(now: Int64, except source: Int? = nil) -> [Kind: Int] {
    var promised: [Kind: Int] = [:]
    guard !kinds.isEmpty else { return promised }
    for other in sources.indices where other != source {
      promised.merge(sources[other].turn.kept(now: now).kinds, uniquingKeysWith: +)
    }
    return promised
  }

  /// Returns a source's fair share of the free slots.
  func share(of source: Int, now: Int64) -> Share {
    guard sources.count > 1 else { return Share(slots: freeSlots) }
    var (rivals, changesAt) = (0, Int64.max)
    for other in sources.indices where other != source {
      changesAt = min(changesAt, sources[other].turn.end(now: now))
      if sources[other].isRival(of: rules.concurrency) { rivals += 1 }
    }
    let available = max(0, freeSlots - keptSlots(now: now, except: source))
    let promised = promisedKinds(now: now, except: source)
    return Share(
      slots: min(available, (available + rivals) / (rivals + 1)), promised: promised,
      isCrowdedOut: isCrowdedOut(source, now: now), isKindFull: kinds.isAnyFull(promised: promised),
      changesAt: changesAt)
  }

  /// Returns whether a source could run more jobs, but the others have all free slots.
  func isCrowdedOut(_ source: Int, now: Int64) -> Bool {
    guard sources.count > 1, phase == .working,
      sources[source].running + sources[source].abandoned < rules.concurrency
    else { return false }
    return freeSlots <= keptSlots(now: now, except: source)
  }

  /// Notes what a source does after a decision, and passes on what it leaves.
  mutating func noteTurn(_ source: Int, _ action: Action, _ share: Share, now: Int64) {
    var turn = Turn.none
    switch action {
    case .settle(_, let request?):
      let kinds = request.demands.reduce(into: [Kind: Int]()) { kinds, demand in
        if let limit = demand.limit { kinds[demand.kind] = min(limit, request.limit) }
      }
      turn = .claiming(slots: min(request.limit, share.slots), kinds: kinds, since: now)
      sources[source].lastTurn = nextTurn()
    case .wait where phase == .working && sources[source].wantsToClaim(now):
      if share.slots == 0 {
        turn = .waiting(for: .slot)
      } else if sources[source].nextClaim(share, kinds, phase) == nil {
        turn = .waiting(for: .kind)
      }
    default: break
    }
    sources[source].turn = turn
    callWaiting(now: now)
  }

  /// Ends the turn of a source whose claim was answered, or failed.
  mutating func endTurn(_ source: Int, now: Int64) {
    guard sources.count > 1 else { return }
    sources[source].turn = .none
    callWaiting(now: now)
  }

  mutating func nextTurn() -> UInt64 {
    lastTurn += 1
    return lastTurn
  }

  /// The sources in the order in which they get free slots.
  private var order: [Int] {
    sources.indices.sorted {
      (sources[$0].running, sources[$0].lastTurn, $0) < (sources[$1].running, sources[$1].lastTurn, $1)
    }
  }

  /// Returns the source whose job begins next, and calls those that come before it and must claim first.
  mutating func sourceToBegin(now: Int64) -> Int? {
    guard sources.count > 1 else { return sources[0].buffer.isEmpty ? nil : 0 }
    let free = freeSlots
    var kept = keptSlots(now: now)
    for source in order {
      if !sources[source].buffer.isEmpty {
        if free > kept - sources[source].turn.kept(now: now).slots { return source }
      } else if sources[source].turn == .waiting(for: .slot), free > kept {
        call(source, slots: 1)
        kept += 1
      }
    }
    return nil
  }

  /// Calls sources that wait, for what is free now.
  mutating func callWaiting(now: Int64) {
    guard sources.count > 1, phase == .working else { return }
    guard sources.indices.contains(where: { sources[$0].turn.isWaiting }) else { return }
    var free = freeSlots - keptSlots(now: now)
    for source in order where free > 0 {
      if !sources[source].buffer.isEmpty {
        // The next task without a job begins its job.
        free -= 1
      } else if sources[source].turn == .waiting(for: .slot) {
        call(source, slots: 1)
        free -= 1
      }
    }
    var promised = promisedKinds(now: now)
    for source in order where sources[source].turn == .waiting(for: .kind) {
      guard let kind = kinds.kindWithRoom(promised: promised) else { return }
      call(source, kinds: [kind: 1])
      promised[kind, default: 0] += 1
    }
  }

  private mutating func call(_ source: Int, slots: Int = 0, kinds: [Kind: Int] = [:]) {
    sources[source].turn = .called(slots: slots, kinds: kinds)
    signal(source)
  }
}
