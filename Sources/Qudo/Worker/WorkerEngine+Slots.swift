/// The tasks that run jobs, one after the other.
extension WorkerEngine {
  func runSlot(_ slot: Int, first: ClaimedJob) async {
    var next: ClaimedJob? = first
    await Interleaving.pause()
    var known: JobHandler?
    while let job = next {
      let started = clock.sinceBoot()
      if known?.kind != job.kind { known = handlers[job.kind] }
      guard let handler = known else { return }
      let run = Run(engine: self, handler: handler, slot: slot, started: started)
      let outcome: Settlement.Outcome
      if handler.policy.execution == .blocking, let threads {
        outcome = await threads.run { await hooks.perform(job, run) }
      } else {
        outcome = await hooks.perform(job, run)
      }
      next = await finishAndTakeNext(slot, outcome, started: started, recording: handler.policy.recordsStatus)
    }
  }

  /// Hands in an outcome and takes the next job; returns nil if the slot's task must end.
  private func finishAndTakeNext(_ slot: Int, _ outcome: Settlement.Outcome, started: Int64, recording: Bool)
    async -> ClaimedJob?
  {
    let now = clock.sinceBoot()
    let (job, waits, pump, woken) = shared.withLock {
      shared -> (ClaimedJob?, Bool, Continuation<Void, Never>?, [Int]) in
      let goesOn = shared.state.end(slot, outcome, took: now - started, now: now, recording: recording)
      if !goesOn { shared.tasks[slot] = nil }
      permits?.end(shared.state)
      let job = goesOn && mayBegin(shared.state, now) ? shared.state.begin(slot, now: now) : nil
      // If this engine does not use the permit, another database gets it.
      let woken = job == nil ? permits?.grantAll(now: now) ?? [] : []
      guard !goesOn || shared.state.hasNews(now) || (job == nil && permits != nil) else {
        return (job, job == nil, nil, woken)
      }
      shared.isSignalled = true
      defer { shared.pump = nil }
      return (job, goesOn && job == nil, shared.pump, woken)
    }
    permits?.worker.wake(woken)
    pump?.resume()
    guard waits else { return job }
    await Interleaving.pause()
    return await withContinuation { continuation in
      let now = clock.sinceBoot()
      let (job, isOver) = shared.withLock { shared -> (ClaimedJob?, Bool) in
        if mayBegin(shared.state, now), let job = shared.state.begin(slot, now: now) { return (job, false) }
        if !shared.isOver { shared.parked.append((slot, continuation)) }
        return (nil, shared.isOver)
      }
      if job != nil || isOver { continuation.resume(returning: job) }
    }
  }

  /// Notes that the application's own transaction, not yet committed, completes the job of a slot's run.
  func completedElsewhere(_ slot: Int) { shared.withLock { $0.state.completedElsewhere(slot) } }

  /// The newest lease of the job that a slot runs; nil if it no longer runs that job.
  func lease(_ slot: Int, of job: Int64) -> Lease? {
    shared.withLock { shared in
      guard let held = shared.state.slots.run(slot)?.held, held.job.id == job else { return nil }
      return held.lease
    }
  }

  /// The reason why a slot's run was cancelled; nil if it was not.
  func stopReason(_ slot: Int) -> WorkerState.Stop? { shared.withLock { $0.state.slots.stop(of: slot) } }
}
