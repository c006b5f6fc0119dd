/// Slots: the tasks that run jobs, one after the other.
extension WorkerState {
  /// A place for one more task that runs jobs, if it would have something to do: if more are buffered than there are tasks
  /// that have no job, be it that they wait for one or are about to ask for it.
  mutating func openSlot() -> Int? {
    guard phase == .working, activeSlots < concurrency, bufferedCount > activeSlots - running - abandoned else { return nil }
    activeSlots += 1
    if let free = slots.firstIndex(where: \.isFree) {
      slots[free] = Slot(isFree: false)
      return free
    }
    slots.append(Slot(isFree: false))
    return slots.count - 1
  }

  /// An opened slot got no job after all.
  mutating func closeSlot(_ slot: Int) {
    slots[slot] = Slot()
    activeSlots -= 1
  }

  var hasJobToBegin: Bool { phase == .working && bufferedCount > 0 }

  /// The next job for a slot that has none.
  mutating func begin(_ slot: Int, now: Int64) -> ClaimedJob? {
    guard phase == .working, bufferedCount > 0 else { return nil }
    let held = buffered[bufferHead]
    bufferHead += 1
    if bufferHead == buffered.count {
      buffered.removeAll(keepingCapacity: true)
      bufferHead = 0
    }
    bufferMoved = now
    var run = ActiveRun(held: held)
    if hasTimeLimits, let limit = handlers[held.job.kind]?.policy.timeLimit {
      run.deadline = now.clampedPlus(limit.wholeMicroseconds)
      nextDeadline = min(nextDeadline, run.deadline)
    }
    slots[slot].run = run
    running += 1
    return held.job
  }

  /// Why a slot's run was cancelled, if it was.
  func stop(of slot: Int) -> Stop? { slots[slot].isAbandoned ? .givenUp : slots[slot].run?.stop }

  /// A run ended.
  ///
  /// - Returns: whether the slot's task may go on.
  mutating func end(_ slot: Int, _ outcome: Settlement.Outcome, took: Int64, now: Int64, recording: Bool) -> Bool {
    if slots[slot].isAbandoned {
      // Its job was settled without it.
      slots[slot] = Slot()
      activeSlots -= 1
      abandoned -= 1
      return false
    }
    guard let run = slots[slot].run else { return false }
    running -= 1
    letGo(run.held.job.kind)
    if run.stop != .leaseLost {
      var settlement = Settlement(run.held.lease, outcome, recording: recording ? .microseconds(took) : nil)
      settlement.mayBeCompletedExternally = run.mayBeCompletedExternally
      if finished.isEmpty { finishedSince = now }
      finished.append(settlement)
    }
    noteRun(took)
    slots[slot].run = nil
    guard slots[slot].isCancelled else { return true }
    slots[slot] = Slot()
    activeSlots -= 1
    return false
  }

  /// A run that was interrupted by something else does not make all of them slow; the first slow one of many is noticed.
  private mutating func noteRun(_ took: Int64) {
    averagedRuns = min(averagedRuns + 1, 128)
    averageRun = max(averageRun, 0) + (Double(took) - max(averageRun, 0)) / averagedRuns
  }

  /// A run's job was completed in a transaction of the application's, which is not committed yet.
  mutating func completedElsewhere(_ slot: Int) { slots[slot].run?.mayBeCompletedExternally = true }

  mutating func letGo(_ kind: Kind) {
    if !heldOfLimited.isEmpty { heldOfLimited[kind]? -= 1 }
  }
}
