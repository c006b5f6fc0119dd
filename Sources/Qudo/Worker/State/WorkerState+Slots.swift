/// Slots: the tasks that run jobs one after the other.
extension WorkerState {
  /// Opens a slot for one more task if there are more buffered jobs than tasks without a job. Those tasks
  /// wait for a job or are about to ask for one.
  mutating func openSlot() -> Int? {
    guard phase == .working, slots.active < concurrency, buffer.count > slots.waiting else { return nil }
    return slots.open()
  }

  /// Closes an opened slot that got no job.
  mutating func closeSlot(_ slot: Int) { slots.close(slot) }

  var hasJobToBegin: Bool { phase == .working && !buffer.isEmpty }

  /// Takes the next job for a slot that has none.
  mutating func begin(_ slot: Int, now: Int64) -> ClaimedJob? {
    guard phase == .working, let held = buffer.takeFirst(now: now) else { return nil }
    var run = ActiveRun(held: held, beganAt: now)
    if hasTimeLimits, let limit = handlers[held.job.kind]?.policy.timeLimit {
      run.deadline = now.clampedPlus(limit.wholeMicroseconds)
      nextDeadline = min(nextDeadline, run.deadline)
    }
    slots.begin(slot, run)
    return held.job
  }

  /// Ends a run and keeps its outcome to be settled.
  ///
  /// - Returns: Whether the slot's task may take another job.
  mutating func end(_ slot: Int, _ outcome: Settlement.Outcome, took: Int64, now: Int64, recording: Bool)
    -> Bool
  {
    // The job of an abandoned run was already settled.
    guard let run = slots.end(slot) else { return false }
    letGo(run.held.job.kind)
    if run.stop == .leaseLost {
      lose(run, outcome, took: took)
    } else {
      finished.append(settlement(of: run, outcome, took: took, recording: recording), now: now)
    }
    prefetch.noteRun(took)
    return run.stop == nil
  }

  /// The settlement of a run that has ended, or that the worker no longer waits for.
  func settlement(of run: ActiveRun, _ outcome: Settlement.Outcome, took: Int64, recording: Bool)
    -> Settlement
  {
    var settlement = Settlement(run.held.lease, outcome, recording: recording ? .microseconds(took) : nil)
    settlement.mayBeCompletedExternally = run.mayBeCompletedExternally
    if reportsRuns { settlement.run = EndedRun(run.held.job, took: took) }
    return settlement
  }

  /// Keeps a run that has lost its lease until its hooks are told; its outcome is discarded.
  mutating func lose(_ run: ActiveRun, _ outcome: Settlement.Outcome, took: Int64) {
    guard reportsRuns else { return }
    lostRuns.append(settlement(of: run, outcome, took: took, recording: false))
  }

  /// Cancels the runs of these jobs, and releases those of them that have not begun.
  ///
  /// - Returns: The slots whose tasks must be cancelled.
  mutating func cancel(_ jobs: [Int64], now: Int64) -> [Int] {
    guard !jobs.isEmpty else { return [] }
    let jobs = Set(jobs)
    var cancelled: [Int] = []
    for (slot, run) in Array(slots.runs) where run.stop == nil && jobs.contains(run.held.job.id) {
      stop(slot, .cancelled, waitingUntil: now.clampedPlus(options.cancellationGracePeriod.wholeMicroseconds))
      cancelled.append(slot)
    }
    guard buffer.all.contains(where: { jobs.contains($0.job.id) }) else { return cancelled }
    var kept: [Held] = []
    for held in buffer.all {
      guard jobs.contains(held.job.id) else {
        kept.append(held)
        continue
      }
      // The driver ends a cancelled job that is released.
      finished.append(release(held), now: now)
      letGo(held.job.kind)
    }
    buffer.replaceAll(with: kept)
    return cancelled
  }

  /// Stops a run, and waits for it until a time.
  mutating func stop(_ slot: Int, _ reason: Stop, waitingUntil end: Int64) {
    slots.update(slot) { run in
      run.stop = reason
      run.deadline = end
    }
    nextDeadline = min(nextDeadline, end)
  }

  /// Notes that the application's own transaction, not yet committed, completes the job of a run.
  mutating func completedElsewhere(_ slot: Int) {
    slots.update(slot) { $0.mayBeCompletedExternally = true }
  }

  mutating func letGo(_ kind: Kind) {
    if !heldOfLimited.isEmpty { heldOfLimited[kind]? -= 1 }
  }
}
