/// The tasks that run jobs, one after the other.
extension WorkerEngine {
  func runSlot(_ slot: Int, first: Scheduler.Assignment) async {
    var next: Scheduler.Assignment? = first
    await Interleaving.pause()
    var known: (pump: Pump, handler: JobHandler)?
    while let (source, job) = next.map({ ($0.source, $0.job) }) {
      let started = clock.sinceBoot()
      if known?.handler.kind != job.kind || known?.pump.index != source {
        known = nil
        if let pump = pump(source), let handler = handlers[job.kind] { known = (pump, handler) }
      }
      guard let (pump, handler) = known else { return }
      let run = Run(pump: pump, handler: handler, slot: slot, started: started)
      let outcome: Settlement.Outcome
      if handler.policy.execution == .blocking, let threads {
        outcome = await threads.run { await self.hooks.perform(job, run) }
      } else {
        outcome = await hooks.perform(job, run)
      }
      next = await finishAndTakeNext(slot, outcome, started: started, recording: handler.policy.recordsStatus)
    }
  }

  private func pump(_ source: Int) -> Pump? { shared.withLock { $0.pumps[source].pump } }

  /// Hands in an outcome and takes the next job; returns nil if the slot's task must end.
  private func finishAndTakeNext(_ slot: Int, _ outcome: Settlement.Outcome, started: Int64, recording: Bool)
    async -> Scheduler.Assignment?
  {
    let now = clock.sinceBoot()
    let (next, goesOn) = decide { shared, after -> (Scheduler.Assignment?, Bool) in
      let (next, goesOn) = shared.scheduler.finishAndTakeNext(
        slot, outcome, took: now - started, now: now, recording: recording)
      if !goesOn {
        shared.tasks[slot] = nil
        // Another source's job may begin in another slot.
        dispatch(&shared, &after, now: now)
      }
      return (next, goesOn)
    }
    guard goesOn, next == nil else { return next }
    await Interleaving.pause()
    return await withContinuation { continuation in
      let now = clock.sinceBoot()
      let (job, isOver) = decide { shared, _ -> (Scheduler.Assignment?, Bool) in
        if let job = shared.scheduler.begin(slot, now: now) { return (job, false) }
        if !shared.isOver { shared.parked.append((slot, continuation)) }
        return (nil, shared.isOver)
      }
      if job != nil || isOver { continuation.resume(returning: job) }
    }
  }

  /// Notes that the application's own transaction, not yet committed, completes the job of a slot's run.
  func completedElsewhere(_ slot: Int) { shared.withLock { $0.scheduler.completedElsewhere(slot) } }

  /// The newest lease of the job that a slot runs; nil if it no longer runs that job.
  func lease(_ slot: Int, of job: Int64) -> Lease? {
    shared.withLock { shared in
      guard let held = shared.scheduler.slots.run(slot)?.held, held.job.id == job else { return nil }
      return held.lease
    }
  }

  /// The reason why a slot's run was cancelled; nil if it was not.
  func stopReason(_ slot: Int) -> StopReason? { shared.withLock { $0.scheduler.slots.stop(of: slot) } }
}
