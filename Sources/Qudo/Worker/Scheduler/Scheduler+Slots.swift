/// Slots: the tasks that run jobs one after the other, of any source.
extension Scheduler {
  /// Opens a slot for one more task if there are more buffered jobs than tasks without a job. Those tasks
  /// wait for a job or are about to ask for one.
  mutating func openSlot() -> Int? {
    guard phase == .working, slots.active < rules.concurrency else { return nil }
    return bufferedJobs > slots.waiting ? slots.open() : nil
  }

  /// The number of jobs that have not begun.
  var bufferedJobs: Int {
    var count = 0
    for source in sources.indices { count += sources[source].buffer.count }
    return count
  }

  /// Closes an opened slot that got no job.
  mutating func closeSlot(_ slot: Int) { slots.close(slot) }

  /// Takes the next job for a slot that has none.
  mutating func begin(_ slot: Int, now: Int64) -> Assignment? {
    guard phase == .working, let source = sourceToBegin(now: now),
      let held = sources[source].buffer.takeFirst(now: now)
    else { return nil }
    var run = ActiveRun(held: held, source: source, beganAt: now)
    if rules.hasTimeLimits, let limit = rules.handlers[held.job.kind]?.policy.timeLimit {
      run.deadline = now.clampedPlus(limit.wholeMicroseconds)
      sources[source].nextDeadline = min(sources[source].nextDeadline, run.deadline)
    }
    slots.begin(slot, run)
    sources[source].running += 1
    if sources.count > 1 {
      sources[source].turn.useSlot()
      sources[source].lastTurn = nextTurn()
    }
    return Assignment(source: source, job: held.job)
  }

  /// Ends a run and keeps its outcome to be settled.
  ///
  /// - Returns: The source of the run, and whether the slot's task may take another job; nil if the slot had no run.
  mutating func end(
    _ slot: Int, _ outcome: Settlement.Outcome, took: Int64, now: Int64, recording: Bool
  ) -> (source: Int, goesOn: Bool)? {
    switch slots.end(slot) {
    case .run(let run):
      kinds.letGo(run.held.job.kind)
      sources[run.source].end(run, outcome, took: took, now: now, recording: recording)
      return (run.source, run.stop == nil)
    case .abandoned(let source):
      // Its job was already settled.
      sources[source].abandoned -= 1
      return (source, false)
    case nil: return nil
    }
  }

  /// Ends a run like ``end(_:_:took:now:recording:)``, takes the next job for the slot, and signals the pumps for which there is
  /// news.
  ///
  /// - Returns: The next job, if there is one; and whether the slot's task goes on.
  mutating func finishAndTakeNext(
    _ slot: Int, _ outcome: Settlement.Outcome, took: Int64, now: Int64, recording: Bool
  ) -> (next: Assignment?, goesOn: Bool) {
    guard let (source, goesOn) = end(slot, outcome, took: took, now: now, recording: recording) else {
      return (nil, false)
    }
    let next = goesOn ? begin(slot, now: now) : nil
    guard sources.count > 1 else {
      if !goesOn || hasNews(source, now) { signal(source) }
      return (next, goesOn)
    }
    if next == nil || hasNews(source, now) { signal(source) }
    if let next, next.source != source, hasNews(next.source, now) { signal(next.source) }
    callWaiting(now: now)
    return (next, goesOn)
  }

  private mutating func hasNews(_ source: Int, _ now: Int64) -> Bool {
    let isCrowdedOut = isCrowdedOut(source, now: now)
    return sources[source].hasNews(now, phase, isCrowdedOut: isCrowdedOut)
  }

  /// Cancels the runs of these jobs, and releases those of them that have not begun.
  ///
  /// - Returns: The slots whose tasks must be cancelled.
  mutating func cancel(_ source: Int, _ jobs: [Int64], now: Int64) -> [Int] {
    guard !jobs.isEmpty else { return [] }
    let jobs = Set(jobs)
    var cancelled: [Int] = []
    for (slot, run) in Array(slots.runs)
    where run.source == source && run.stop == nil && jobs.contains(run.held.job.id) {
      let end = now.clampedPlus(rules.options.cancellationGracePeriod.wholeMicroseconds)
      stop(slot, of: source, .cancelled, waitingUntil: end)
      cancelled.append(slot)
    }
    sources[source].cancelBuffered(jobs, now: now, &kinds)
    return cancelled
  }

  /// Stops a run, and waits for it until a time.
  mutating func stop(_ slot: Int, of source: Int, _ reason: StopReason, waitingUntil end: Int64) {
    slots.update(slot) { run in
      run.stop = reason
      run.deadline = end
    }
    sources[source].nextDeadline = min(sources[source].nextDeadline, end)
  }

  /// Notes that the application's own transaction, not yet committed, completes the job of a run.
  mutating func completedElsewhere(_ slot: Int) {
    slots.update(slot) { $0.mayBeCompletedExternally = true }
  }
}

extension Source {
  /// Keeps the outcome of a run that has ended.
  fileprivate mutating func end(
    _ run: ActiveRun, _ outcome: Settlement.Outcome, took: Int64, now: Int64, recording: Bool
  ) {
    running -= 1
    if run.stop == .leaseLost {
      lose(run, outcome, took: took)
    } else {
      finished.append(settlement(of: run, outcome, took: took, recording: recording), now: now)
    }
    prefetch.noteRun(took)
  }

  /// The settlement of a run that has ended, or that the worker no longer waits for.
  func settlement(of run: ActiveRun, _ outcome: Settlement.Outcome, took: Int64, recording: Bool)
    -> Settlement
  {
    var settlement = Settlement(run.held.lease, outcome, recording: recording ? .microseconds(took) : nil)
    settlement.mayBeCompletedExternally = run.mayBeCompletedExternally
    if rules.reportsRuns { settlement.run = EndedRun(run.held.job, took: took) }
    return settlement
  }

  /// Keeps a run that has lost its lease until its hooks are told; its outcome is discarded.
  mutating func lose(_ run: ActiveRun, _ outcome: Settlement.Outcome, took: Int64) {
    guard rules.reportsRuns else { return }
    lostRuns.append(settlement(of: run, outcome, took: took, recording: false))
  }

  /// Releases those of these jobs that have not begun.
  fileprivate mutating func cancelBuffered(_ jobs: Set<Int64>, now: Int64, _ kinds: inout KindCounts) {
    guard buffer.all.contains(where: { jobs.contains($0.job.id) }) else { return }
    var kept: [HeldJob] = []
    for held in buffer.all {
      guard jobs.contains(held.job.id) else {
        kept.append(held)
        continue
      }
      // The driver ends a cancelled job that is released.
      finished.append(release(held), now: now)
      kinds.letGo(held.job.kind)
    }
    buffer.replaceAll(with: kept)
  }
}
