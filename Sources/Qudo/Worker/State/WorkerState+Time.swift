/// Grace periods, time limits, and prefetched jobs that cannot start.
extension WorkerState {
  static let stalled: Int64 = 250_000

  /// Releases prefetched jobs for other workers if they cannot start because the running jobs are slow.
  mutating func giveBackStalled(_ now: Int64) {
    guard !buffer.isEmpty, slots.running >= concurrency - slots.abandoned || isStarvedOfPermits,
      now - buffer.movedAt >= Self.stalled
    else { return }
    prefetch.noteStall(now - buffer.movedAt)
    giveBackBuffered()
  }

  /// Returns the settlement of a claimed job that is released before its run began.
  func release(_ held: Held) -> Settlement {
    handlers[held.job.kind]?.policy.rate == nil ? Settlement(held.lease, .released) : .unbegun(held.lease)
  }

  mutating func giveBackBuffered() {
    for held in buffer.takeAll() {
      finished.append(release(held))
      letGo(held.job.kind)
    }
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
    if fleet != nil { backoff.retryNow() }
    giveBackBuffered()
  }

  /// Ends the work because all of several databases are empty.
  mutating func finish() {
    fleet?.isOver = true
    guard phase == .working else { return }
    phase = .draining(until: .max)
    giveBackBuffered()
  }

  mutating func advancePhase(_ now: Int64, _ cancelled: inout [Int]) {
    if case .draining(let end) = phase, now >= end {
      phase = .cancelling(until: now.clampedPlus(options.cancellationGracePeriod.wholeMicroseconds))
      for (slot, run) in Array(slots.runs) {
        if run.stop == nil { slots.update(slot) { $0.stop = .shutdown } }
        cancelled.append(slot)
      }
    }
    guard case .cancelling(let end) = phase, now >= end else { return }
    for (slot, _) in Array(slots.runs) { abandon(slot, .released, now: now) }
    phase = .cancelling(until: .max)
  }

  mutating func enforceDeadlines(_ now: Int64, _ cancelled: inout [Int]) {
    guard now >= nextDeadline else { return }
    nextDeadline = .max
    for (slot, run) in Array(slots.runs) where run.deadline != .max {
      guard now >= run.deadline else {
        nextDeadline = min(nextDeadline, run.deadline)
        continue
      }
      if run.stop == .cancelled {
        // The driver ends a cancelled job that is released.
        abandon(slot, .released, now: now)
        continue
      }
      guard let policy = handlers[run.held.job.kind]?.policy, let limit = policy.timeLimit else { continue }
      if run.stop == nil {
        let end = now.clampedPlus(options.cancellationGracePeriod.wholeMicroseconds)
        stop(slot, .timeLimit(limit), waitingUntil: end)
        cancelled.append(slot)
      } else if case .timeLimit = run.stop {
        let failure = TimeLimitExceeded(limit: limit, ignored: true)
        abandon(
          slot,
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
  mutating func abandon(_ slot: Int, _ outcome: Settlement.Outcome, now: Int64) {
    guard let run = slots.abandon(slot) else { return }
    // One of several databases does not know the others' slots.
    if let most = options.maxStuckSlots, fleet == nil, mode != .once, slots.abandoned >= most {
      beStuck(now: now)
    }
    letGo(run.held.job.kind)
    let took = now - run.beganAt
    guard run.stop != .leaseLost else { return lose(run, outcome, took: took) }
    finished.append(settlement(of: run, outcome, took: took, recording: false))
  }
}
