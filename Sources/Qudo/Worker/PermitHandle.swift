/// An engine's share of the worker's concurrency. Called under the engine's lock; takes the budget's lock.
struct PermitHandle: Sendable {
  let worker: MultiDatabaseWorker
  let index: Int

  /// Decides the next action within the available permits.
  ///
  /// - Returns: The action, the slots whose tasks must be cancelled, and the engines that must decide again.
  func nextAction(
    _ state: inout WorkerState, now: Int64, rings: UInt64
  ) -> (action: WorkerState.Action, cancelled: [Int], woken: [Int]) {
    let held = state.heldOfLimited
    // No other engine sees what is reserved during the decision.
    let (action, slots, woken) = worker.budget.withLock { permits -> (WorkerState.Action, [Int], [Int]) in
      let grant = permits.reserve(index, held: held, now: now)
      state.fleet?.grant = grant
      let (action, slots) = state.next(now: now, rings: rings)
      if case .settle(_, let request?) = action {
        permits.noteRequest(index, min(request.limit, grant.count), kinds: Self.kinds(request))
      } else {
        permits.noteRequest(index, 0, kinds: [:])
        let hasRoom = grant.count > 0
        let looks =
          state.phase == .working && !state.waitsForHooks && state.isStarvedOfPermits
          && now >= state.backoff.retryAt && state.wake.shouldClaim
        if !state.buffer.isEmpty || (looks && !hasRoom) {
          permits.enqueueWaiter(index)
        } else {
          permits.removeWaiter(index)
        }
        if looks, hasRoom, state.buffer.isEmpty, state.nextClaim() == nil {
          permits.enqueueKindWaiter(index)
        }
      }
      return (action, slots, permits.grantAll(now: now))
    }
    worker.note(index, state.progress(now))
    return (action, slots, woken)
  }

  private static func kinds(_ request: ClaimRequest) -> [Kind: Int] {
    request.demands.reduce(into: [:]) { kinds, handler in
      if let limit = handler.limit { kinds[handler.kind] = min(limit, request.limit) }
    }
  }

  func answered(gotAll: Bool, _ state: WorkerState) {
    worker.budget.withLock { $0.noteClaim(index, gotAll: gotAll, kinds: state.heldOfLimited) }
  }

  /// Releases permits that were reserved for a claim and not used, so that other engines get them.
  func releaseReservation(now: Int64) -> [Int] {
    worker.budget.withLock { permits in
      permits.releaseReservation(index)
      return permits.grantAll(now: now)
    }
  }

  func failed(_ state: WorkerState, now: Int64) -> [Int] {
    worker.budget.withLock { permits in
      permits.noteClaim(index, gotAll: false, kinds: state.heldOfLimited)
      permits.releaseReservation(index)
      return permits.grantAll(now: now)
    }
  }

  func begin(now: Int64) -> Bool { worker.budget.withLock { $0.begin(index, now: now) } }

  func end(_ state: WorkerState) {
    worker.budget.withLock { permits in
      permits.end(index)
      permits.holds(index, state.heldOfLimited)
      if state.phase == .working, (state.wake.shouldClaim && !state.waitsForHooks) || !state.buffer.isEmpty {
        permits.enqueueWaiter(index)
      }
    }
  }

  func grantAll(now: Int64) -> [Int] { worker.budget.withLock { $0.grantAll(now: now) } }

  func leave(now: Int64) -> [Int] {
    worker.budget.withLock { permits in
      permits.leave(index)
      return permits.grantAll(now: now)
    }
  }
}

extension ConcurrencyBudget {
  mutating func grantAll(now: Int64) -> [Int] {
    var woken: [Int] = []
    while let engine = grantNext(now: now) { woken.append(engine) }
    while let engine = grantNextKind(now: now) { woken.append(engine) }
    return woken
  }
}

extension WorkerState {
  /// The progress in one of several databases.
  enum DatabaseProgress: Sendable {
    case busy
    /// No jobs of the worker's kinds were left after this number of rings of the doorbell.
    case empty(rings: UInt64)
    /// It has failed for longer than the outage timeout, and none of its jobs runs.
    case unavailable
  }

  func progress(_ now: Int64) -> DatabaseProgress {
    guard !hasRuns, buffer.isEmpty else { return .busy }
    if backoff.isFailing {
      return backoff.isOver(options.outageTimeout.wholeMicroseconds, now: now) ? .unavailable : .busy
    }
    return fleet?.isEmpty == true && finished.isEmpty ? .empty(rings: wake.ringsSeen) : .busy
  }
}
