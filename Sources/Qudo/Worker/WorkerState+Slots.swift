/// Slots: the tasks that run jobs one after the other.
extension WorkerState {
  /// Opens a slot for one more task if there are more buffered jobs than tasks without a job. Those tasks
  /// wait for a job or are about to ask for one.
  mutating func openSlot() -> Int? {
    guard phase == .working, activeSlots < concurrency, bufferedCount > activeSlots - running - abandoned
    else { return nil }
    activeSlots += 1
    if let free = slots.firstIndex(where: \.isFree) {
      slots[free] = Slot(isFree: false)
      return free
    }
    slots.append(Slot(isFree: false))
    return slots.count - 1
  }

  /// Closes an opened slot that got no job.
  mutating func closeSlot(_ slot: Int) {
    slots[slot] = Slot()
    activeSlots -= 1
  }

  var hasJobToBegin: Bool { phase == .working && bufferedCount > 0 }

  /// Takes the next job for a slot that has none.
  mutating func begin(_ slot: Int, now: Int64) -> ClaimedJob? {
    guard phase == .working, bufferedCount > 0 else { return nil }
    let held = buffered[bufferHead]
    bufferHead += 1
    if bufferHead == buffered.count {
      buffered.removeAll(keepingCapacity: true)
      bufferHead = 0
    }
    bufferMoved = now
    var run = ActiveRun(held: held, beganAt: now)
    if hasTimeLimits, let limit = handlers[held.job.kind]?.policy.timeLimit {
      run.deadline = now.clampedPlus(limit.wholeMicroseconds)
      nextDeadline = min(nextDeadline, run.deadline)
    }
    slots[slot].run = run
    running += 1
    return held.job
  }

  /// The reason why a slot's run was cancelled; nil if it was not.
  func stop(of slot: Int) -> Stop? { slots[slot].isAbandoned ? .givenUp : slots[slot].run?.stop }

  /// Ends a run and keeps its outcome to be settled.
  ///
  /// - Returns: Whether the slot's task may take another job.
  mutating func end(_ slot: Int, _ outcome: Settlement.Outcome, took: Int64, now: Int64, recording: Bool)
    -> Bool
  {
    if slots[slot].isAbandoned {
      // Its job was already settled.
      slots[slot] = Slot()
      activeSlots -= 1
      abandoned -= 1
      return false
    }
    guard let run = slots[slot].run else { return false }
    running -= 1
    letGo(run.held.job.kind)
    if run.stop == .leaseLost {
      lose(run, outcome, took: took)
    } else {
      if finished.isEmpty { finishedSince = now }
      finished.append(settlement(of: run, outcome, took: took, recording: recording))
    }
    noteRun(took)
    slots[slot].run = nil
    guard slots[slot].isCancelled else { return true }
    slots[slot] = Slot()
    activeSlots -= 1
    return false
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
    for index in slots.indices {
      guard let run = slots[index].run, run.stop == nil, jobs.contains(run.held.job.id) else { continue }
      let end = now.clampedPlus(options.cancellationGracePeriod.wholeMicroseconds)
      slots[index].run?.stop = .cancelled
      slots[index].run?.deadline = end
      slots[index].isCancelled = true
      nextDeadline = min(nextDeadline, end)
      cancelled.append(index)
    }
    guard buffered[bufferHead...].contains(where: { jobs.contains($0.job.id) }) else { return cancelled }
    var kept: [Held] = []
    for held in buffered[bufferHead...] {
      guard jobs.contains(held.job.id) else {
        kept.append(held)
        continue
      }
      // The driver ends a cancelled job that is released.
      if finished.isEmpty { finishedSince = now }
      finished.append(release(held))
      letGo(held.job.kind)
    }
    (buffered, bufferHead) = (kept, 0)
    return cancelled
  }

  /// Updates the average run time. A single interrupted run changes it little; the first slow run of many
  /// shows at once.
  private mutating func noteRun(_ took: Int64) {
    averagedRuns = min(averagedRuns + 1, 128)
    averageRun = max(averageRun, 0) + (Double(took) - max(averageRun, 0)) / averagedRuns
  }

  /// Notes that the application's own transaction, not yet committed, completes the job of a run.
  mutating func completedElsewhere(_ slot: Int) { slots[slot].run?.mayBeCompletedExternally = true }

  mutating func letGo(_ kind: Kind) {
    if !heldOfLimited.isEmpty { heldOfLimited[kind]? -= 1 }
  }
}
