/// Grace periods, time limits, and prefetched jobs that cannot start.
extension WorkerState {
  static let stalled: Int64 = 250_000

  /// Releases prefetched jobs for other workers if they cannot start because the running jobs are slow.
  mutating func giveBackStalled(_ now: Int64) {
    guard bufferedCount > 0, running >= concurrency - abandoned || isStarvedOfPermits,
      now - bufferMoved >= Self.stalled
    else { return }
    giveBackBuffered()
    averageRun = max(averageRun, Double(now - bufferMoved))
    lastPrefetch = 0
  }

  /// Returns the settlement of a claimed job that is released before its run began.
  func release(_ held: Held) -> Settlement {
    handlers[held.job.kind]?.policy.rate == nil ? Settlement(held.lease, .released) : .unbegun(held.lease)
  }

  mutating func giveBackBuffered() {
    for held in buffered[bufferHead...] {
      finished.append(release(held))
      letGo(held.job.kind)
    }
    buffered = []
    bufferHead = 0
  }

  var phaseEnd: Int64 {
    switch phase {
    case .working: .max
    case .draining(let end), .cancelling(let end): end
    }
  }

  /// Stops claiming and ends within the grace periods.
  mutating func stop(now: Int64) {
    guard phase == .working else { return }
    phase = .draining(until: now.clampedPlus(options.shutdownGracePeriod.wholeMicroseconds))
    if probeInterval != nil { retryAt = 0 }
    giveBackBuffered()
  }

  /// Ends the work because all of several databases are empty.
  mutating func finish() {
    isOver = true
    guard phase == .working else { return }
    phase = .draining(until: .max)
    giveBackBuffered()
  }

  mutating func advancePhase(_ now: Int64, _ cancelled: inout [Int]) {
    if case .draining(let end) = phase, now >= end {
      phase = .cancelling(until: now.clampedPlus(options.cancellationGracePeriod.wholeMicroseconds))
      for index in slots.indices where slots[index].run != nil {
        if slots[index].run?.stop == nil { slots[index].run?.stop = .shutdown }
        slots[index].isCancelled = true
        cancelled.append(index)
      }
    }
    guard case .cancelling(let end) = phase, now >= end else { return }
    for index in slots.indices where slots[index].run != nil { abandon(index, .released, now: now) }
    phase = .cancelling(until: .max)
  }

  mutating func enforceDeadlines(_ now: Int64, _ cancelled: inout [Int]) {
    guard now >= nextDeadline else { return }
    nextDeadline = .max
    for index in slots.indices {
      guard let run = slots[index].run, run.deadline != .max else { continue }
      guard now >= run.deadline else {
        nextDeadline = min(nextDeadline, run.deadline)
        continue
      }
      if run.stop == .cancelled {
        // The driver ends a cancelled job that is released.
        abandon(index, .released, now: now)
        continue
      }
      guard let policy = handlers[run.held.job.kind]?.policy, let limit = policy.timeLimit else { continue }
      if run.stop == nil {
        let end = now.clampedPlus(options.cancellationGracePeriod.wholeMicroseconds)
        slots[index].run?.stop = .timeLimit(limit)
        slots[index].run?.deadline = end
        slots[index].isCancelled = true
        nextDeadline = min(nextDeadline, end)
        cancelled.append(index)
      } else if case .timeLimit = run.stop {
        let failure = TimeLimitExceeded(limit: limit, ignored: true)
        abandon(
          index,
          Qudo.settlementOutcome(
            failure: failure, job: run.held.job, policy: policy, random: .random(in: 0...1)), now: now)
      }
    }
  }

  /// Ends the work, like ``stop(now:)``, because too many slots are lost. Not if it ends already.
  mutating func beStuck(now: Int64) {
    guard phase == .working else { return }
    isStuck = true
    stop(now: now)
  }

  /// Settles a job while its run continues in its slot.
  mutating func abandon(_ index: Int, _ outcome: Settlement.Outcome, now: Int64) {
    guard let run = slots[index].run else { return }
    slots[index].run = nil
    slots[index].isAbandoned = true
    running -= 1
    abandoned += 1
    // One of several databases does not know the others' slots.
    if let most = options.maxStuckSlots, probeInterval == nil, mode != .once, abandoned >= most {
      beStuck(now: now)
    }
    letGo(run.held.job.kind)
    let took = now - run.beganAt
    guard run.stop != .leaseLost else { return lose(run, outcome, took: took) }
    finished.append(settlement(of: run, outcome, took: took, recording: false))
  }
}
