/// An engine's place among those of a worker's other databases. Called under the engine's lock; it takes the company's.
struct Seat: Sendable {
  let company: WorkerCompany
  let index: Int

  /// What to do next, with what permits there are.
  ///
  /// - Returns: besides that, the engines that are to look again.
  func decide(
    _ state: inout WorkerState, now: Int64, rings: UInt64
  ) -> (action: WorkerState.Action, cancelled: [Int], woken: [Int]) {
    let held = state.heldOfLimited
    // Nobody sees what is reserved for the time of the decision.
    let (action, slots, woken) = company.permits.withLock { permits -> (WorkerState.Action, [Int], [Int]) in
      state.room = permits.reserve(index, held: held, now: now)
      let (action, slots) = state.next(now: now, rings: rings)
      if case .settle(_, let request?) = action {
        permits.claims(index, min(request.limit, state.room?.count ?? 0), kinds: Self.kinds(request))
      } else {
        permits.claims(index, 0, kinds: [:])
        let hasRoom = (state.room?.count ?? 0) > 0
        let looks = state.phase == .working && state.isCrowdedOut && now >= state.retryAt && state.hungry
        if state.bufferedCount > 0 || (looks && !hasRoom) { permits.want(index) } else { permits.wantsNothing(index) }
        if looks, hasRoom, state.bufferedCount == 0, state.nextClaim() == nil { permits.awaitKind(index) }
      }
      return (action, slots, permits.offers(now: now))
    }
    company.note(index, state.standing(now))
    return (action, slots, woken)
  }

  private static func kinds(_ request: ClaimRequest) -> [Kind: Int] {
    request.abilities.reduce(into: [:]) { kinds, ability in
      if let limit = ability.limit { kinds[ability.kind] = min(limit, request.limit) }
    }
  }

  func answered(gotAll: Bool, _ state: WorkerState) {
    company.permits.withLock { $0.answered(index, gotAll: gotAll, kinds: state.heldOfLimited) }
  }

  /// What was reserved for a claim and not taken goes to others.
  func drop(now: Int64) -> [Int] {
    company.permits.withLock { permits in
      permits.drop(index)
      return permits.offers(now: now)
    }
  }

  func failed(_ state: WorkerState, now: Int64) -> [Int] {
    company.permits.withLock { permits in
      permits.answered(index, gotAll: false, kinds: state.heldOfLimited)
      permits.drop(index)
      return permits.offers(now: now)
    }
  }

  func begin(now: Int64) -> Bool { company.permits.withLock { $0.begin(index, now: now) } }

  func end(_ state: WorkerState) {
    company.permits.withLock { permits in
      permits.end(index)
      permits.holds(index, state.heldOfLimited)
      if state.phase == .working, state.hungry || state.bufferedCount > 0 { permits.want(index) }
    }
  }

  func offer(now: Int64) -> [Int] { company.permits.withLock { $0.offers(now: now) } }

  func leave(now: Int64) -> [Int] {
    company.permits.withLock { permits in
      permits.leave(index)
      return permits.offers(now: now)
    }
  }
}

extension WorkerPermits {
  mutating func offers(now: Int64) -> [Int] {
    var woken: [Int] = []
    while let engine = offer(now: now) { woken.append(engine) }
    while let engine = offerKind(now: now) { woken.append(engine) }
    return woken
  }
}

extension WorkerState {
  /// How things stand in one of several databases.
  enum Standing: Sendable {
    case busy
    /// Nothing of the worker's kinds is left, as of so many rings of the doorbell.
    case empty(rings: UInt64)
    /// It has had trouble for longer than the worker's patience, and nothing of it runs.
    case down
  }

  func standing(_ now: Int64) -> Standing {
    guard running == 0, abandoned == 0, bufferedCount == 0 else { return .busy }
    if troubles > 0 { return now - troubleSince >= options.patience.wholeMicroseconds ? .down : .busy }
    return isEmpty && finished.isEmpty ? .empty(rings: ringsSeen) : .busy
  }
}
