internal import Logging

/// The calls of the database, and what follows from their answers.
extension Pump {
  func settle(_ settlements: [Settlement], _ request: ClaimRequest?) async throws(QudoError) {
    let asked = clock.sinceBoot()
    do {
      let answer = try await verbs.settle(settlements, claiming: request)
      if let pulse, request != nil { pulse.looked() }
      if let didClaim = hooks.didClaim { for job in answer.claim?.jobs ?? [] { didClaim(job) } }
      let now = clock.sinceBoot()
      engine.decide { shared, after in
        shared.scheduler.settled(index, settlements, answer.results)
        if let request, let claim = answer.claim {
          let cancelled = shared.scheduler.claimed(index, claim, by: request, asked: asked, now: now)
          for slot in cancelled { if let task = shared.tasks[slot] { after.cancel(task) } }
        }
        // First into the slots that were kept for this claim; others get what it leaves.
        engine.dispatch(&shared, &after, now: now)
        shared.scheduler.endTurn(index, now: now)
        engine.dispatch(&shared, &after, now: now)
      }
      if let claim = answer.claim, !claim.givenUp.isEmpty || claim.recovered > 0 { report(claim) }
      report(settlements, answer.results)
    } catch {
      let left = request == nil || error.isPassing ? settlements : await settleAlone(settlements)
      try failure(error) { $0.failed($1, left, now: $2) }
    }
  }

  /// Settles without claiming, in case the claim failed at a damaged row and rolled back the transaction.
  ///
  /// - Returns: The settlements that are still not written.
  private func settleAlone(_ settlements: [Settlement]) async -> [Settlement] {
    // If this call fails, too, the settlements stay pending, and the caller reports the error of the first call.
    guard !settlements.isEmpty, let answer = try? await verbs.settle(settlements, claiming: nil) else {
      return settlements
    }
    engine.shared.withLock { $0.scheduler.sources[index].settledAlone(settlements, answer.results) }
    report(settlements, answer.results)
    return []
  }

  func renew(_ leases: [Lease], for length: Duration) async throws(QudoError) {
    let asked = clock.sinceBoot()
    do {
      let answer = try await verbs.renew(leases, for: length)
      let lost = engine.decide { shared, after -> [ClaimedJob] in
        let (lost, slots) = shared.scheduler.extended(index, leases, answer, by: length, asked: asked)
        for slot in slots { if let task = shared.tasks[slot] { after.cancel(task) } }
        return lost
      }
      for job in lost { leaseLost(job) }
    } catch {
      try failure(error) { $0.extensionFailed($1, now: $2) }
    }
  }

  func setFailureRoutes() async throws(QudoError) {
    do {
      try await setRoutes?(handlers.map { FailureRoute($0, to: $1.policy.onFinalFailure) })
      engine.shared.withLock { shared in
        shared.scheduler.sources[index].backoff.worked()
        shared.scheduler.sources[index].settings.hasRoutesToSet = false
      }
    } catch {
      try failure(error) { $0.failed($1, [], now: $2) }
    }
  }

  func checkForRemainingJobs() async throws(QudoError) {
    do {
      let counts = try await verbs.count(Array(handlers.keys))
      engine.shared.withLock { $0.scheduler.sources[index].rest(counts) }
    } catch {
      try failure(error) { $0.failed($1, [], now: $2) }
    }
  }

  /// Claims nothing, which tells of cancelled jobs.
  func checkForCancelledJobs() async throws(QudoError) {
    do {
      let claim = try await verbs.claim(ClaimRequest([], limit: 0))
      let now = clock.sinceBoot()
      engine.decide { shared, after in
        shared.scheduler.sources[index].backoff.worked()
        shared.scheduler.sources[index].summary.count(claim.givenUp)
        let cancelled = shared.scheduler.cancel(index, claim.cancelling, now: now)
        for slot in cancelled { if let task = shared.tasks[slot] { after.cancel(task) } }
      }
      if !claim.givenUp.isEmpty || claim.recovered > 0 { report(claim) }
    } catch {
      try failure(error) { scheduler, source, now in
        scheduler.sources[source].wake.ringsChecked = nil
        return scheduler.failed(source, [], now: now)
      }
    }
  }

  func pruneLogs() {
    pruner?.start(on: thread) { next in
      self.engine.shared.withLock { $0.scheduler.sources[self.index].settings.nextPrune = next }
    }
  }

  /// Throws a permanent error, or a temporary one after the outage timeout; logs it otherwise.
  ///
  /// - Parameter note: Notes the error in the scheduler, for this source and the present time, and returns whether to give up.
  private func failure(
    _ error: QudoError, _ note: @Sendable (inout Scheduler, Int, Int64) -> Bool
  ) throws(QudoError) {
    let now = clock.sinceBoot()
    let givesUp = engine.decide { shared, after -> Bool in
      shared.pumps[index].failure = error
      let givesUp = note(&shared.scheduler, index, now)
      // Others may use what it leaves.
      engine.dispatch(&shared, &after, now: now)
      return givesUp
    }
    // One of several databases is retried without limit, unless it was closed.
    guard error.isPassing || (isMonitored && error.code != .closed), !givesUp else { throw error }
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
