internal import Logging

/// The calls of the database that the pump makes, and what follows from their answers.
extension WorkerEngine {
  func settle(_ settlements: [Settlement], _ request: ClaimRequest?) async throws(QudoError) {
    let asked = clock.sinceBoot()
    do {
      let answer = try await verbs.settle(settlements, claiming: request)
      if let pulse, request != nil { pulse.looked() }
      if let didClaim = hooks.didClaim { for job in answer.claim?.jobs ?? [] { didClaim(job) } }
      let now = clock.sinceBoot()
      let (cancelled, resumed, woken) = shared.withLock { shared in
        shared.state.settled(settlements, answer.results)
        var cancelled: [Task<Void, Never>] = []
        if let request, let claim = answer.claim {
          shared.state.claimed(claim, by: request, asked: asked, now: now)
          cancelled = shared.state.cancel(claim.cancelling, now: now).compactMap { shared.tasks[$0] }
          permits?.answered(gotAll: claim.jobs.count >= request.limit, shared.state)
        }
        let resumed = dispatch(&shared, now: now)
        return (cancelled, resumed, permits?.releaseReservation(now: now) ?? [])
      }
      for task in cancelled { task.cancel() }
      for (continuation, job) in resumed { continuation.resume(returning: job) }
      permits?.worker.wake(woken)
      if let claim = answer.claim, !claim.givenUp.isEmpty || claim.recovered > 0 { report(claim) }
      report(settlements, answer.results)
    } catch {
      let left = request == nil || error.isPassing ? settlements : await settleAlone(settlements)
      if let permits {
        permits.worker.wake(shared.withLock { permits.failed($0.state, now: clock.sinceBoot()) })
      }
      try failure(error) { $0.failed(left, now: $1) }
    }
  }

  /// Settles without claiming, in case the claim failed at a damaged row and rolled back the transaction.
  ///
  /// - Returns: The settlements that are still not written.
  private func settleAlone(_ settlements: [Settlement]) async -> [Settlement] {
    guard !settlements.isEmpty, let answer = try? await verbs.settle(settlements, claiming: nil) else {
      return settlements
    }
    shared.withLock { $0.state.settledAlone(settlements, answer.results) }
    report(settlements, answer.results)
    return []
  }

  /// Hands jobs to the slots that wait, and opens slots for more.
  func dispatch(
    _ shared: inout Shared, now: Int64
  ) -> [(Continuation<ClaimedJob?, Never>, ClaimedJob)] {
    var resumed: [(Continuation<ClaimedJob?, Never>, ClaimedJob)] = []
    while let slot = shared.state.openSlot() {
      guard mayBegin(shared.state, now), let job = shared.state.begin(slot, now: now) else {
        shared.state.closeSlot(slot)
        break
      }
      // A task does not inherit the executor of its creator.
      shared.tasks[slot] = Task { await self.runSlot(slot, first: job) }
    }
    while let (slot, continuation) = shared.parked.last, mayBegin(shared.state, now),
      let job = shared.state.begin(slot, now: now)
    {
      shared.parked.removeLast()
      resumed.append((continuation, job))
    }
    return resumed
  }

  /// Takes a permit for a run if one is needed, and returns whether the run may begin.
  func mayBegin(_ state: WorkerState, _ now: Int64) -> Bool {
    guard let permits else { return true }
    return state.hasJobToBegin && permits.begin(now: now)
  }

  func renew(_ leases: [Lease], for length: Duration) async throws(QudoError) {
    let asked = clock.sinceBoot()
    do {
      let answer = try await verbs.renew(leases, for: length)
      let (lost, tasks) = shared.withLock { shared in
        let (lost, slots) = shared.state.extended(leases, answer, by: length, asked: asked)
        return (lost, slots.compactMap { shared.tasks[$0] })
      }
      for task in tasks { task.cancel() }
      for job in lost { leaseLost(job) }
    } catch {
      try failure(error) { state, now in state.extensionFailed(now: now) }
    }
  }

  func setFailureRoutes() async throws(QudoError) {
    do {
      try await setRoutes?(handlers.map { FailureRoute($0, to: $1.policy.onFinalFailure) })
      shared.withLock { shared in
        shared.state.backoff.worked()
        shared.state.hasRoutesToSet = false
      }
    } catch {
      try failure(error) { $0.failed([], now: $1) }
    }
  }

  func checkForRemainingJobs() async throws(QudoError) {
    do {
      let counts = try await verbs.count(Array(handlers.keys))
      shared.withLock { $0.state.rest(counts) }
    } catch {
      try failure(error) { $0.failed([], now: $1) }
    }
  }

  /// Claims nothing, which tells of cancelled jobs.
  func checkForCancelledJobs() async throws(QudoError) {
    do {
      let claim = try await verbs.claim(ClaimRequest([], limit: 0))
      let now = clock.sinceBoot()
      let tasks = shared.withLock { shared in
        shared.state.backoff.worked()
        shared.state.summary.count(claim.givenUp)
        return shared.state.cancel(claim.cancelling, now: now).compactMap { shared.tasks[$0] }
      }
      for task in tasks { task.cancel() }
      if !claim.givenUp.isEmpty || claim.recovered > 0 { report(claim) }
    } catch {
      try failure(error) { state, now in
        state.wake.ringsChecked = nil
        return state.failed([], now: now)
      }
    }
  }

  func pruneLogs() {
    pruner?.start(on: thread) { next in self.shared.withLock { $0.state.nextPrune = next } }
  }

  /// Throws a permanent error, or a temporary one after the outage timeout; logs it otherwise.
  private func failure(
    _ error: QudoError, _ note: @Sendable (inout WorkerState, Int64) -> Bool
  ) throws(QudoError) {
    let now = clock.sinceBoot()
    let givesUp = shared.withLock { shared in
      shared.failure = error
      return note(&shared.state, now)
    }
    // One of several databases is retried without limit, unless it was closed.
    guard error.isPassing || (permits != nil && error.code != .closed), !givesUp else { throw error }
    logger.warning(
      "database error, retrying",
      metadata: ["database": "\(driver.name)", "error": "\(error)", "code": "\(error.code)"])
  }
}

extension QudoError {
  /// - Parameter most: ``WorkerOptions/maxStuckSlots``.
  static func stuck(_ most: Int?) -> QudoError {
    QudoError(
      .slotsStuck,
      "runs that ignore their cancellation hold \(most ?? 0) or more slots of the worker: restart the process"
    )
  }

  /// Whether the error is temporary, so that a retry may succeed.
  package var isPassing: Bool {
    switch code {
    case .busy, .unreachable, .diskFull, .ioError, .outcomeUnknown, .outOfMemory, .tooManyFiles, .database,
      .cancelled:
      true
    default: false
    }
  }
}
