/// Grace periods and time limits.
extension Scheduler {
  mutating func advancePhase(_ now: Int64, _ cancelled: inout [Int]) {
    if case .draining(let end) = phase, now >= end {
      phase = .cancelling(until: now.clampedPlus(rules.options.cancellationGracePeriod.wholeMicroseconds))
      for (slot, run) in Array(slots.runs) {
        if run.stop == nil { slots.update(slot) { $0.stop = .shutdown } }
        cancelled.append(slot)
      }
      signalAll()
    }
    guard case .cancelling(let end) = phase, now >= end else { return }
    for (slot, _) in Array(slots.runs) { abandon(slot, .released, now: now) }
    phase = .cancelling(until: .max)
    signalAll()
  }

  /// Cancels the runs of a source that have reached their time limits, and gives up those that ignore it.
  mutating func enforceDeadlines(_ source: Int, _ now: Int64, _ cancelled: inout [Int]) {
    guard now >= sources[source].nextDeadline else { return }
    sources[source].nextDeadline = .max
    for (slot, run) in Array(slots.runs) where run.source == source && run.deadline != .max {
      guard now >= run.deadline else {
        sources[source].nextDeadline = min(sources[source].nextDeadline, run.deadline)
        continue
      }
      if run.stop == .cancelled {
        // The driver ends a cancelled job that is released.
        abandon(slot, .released, now: now)
        continue
      }
      guard let policy = rules.handlers[run.held.job.kind]?.policy, let limit = policy.timeLimit else {
        continue
      }
      if run.stop == nil {
        let end = now.clampedPlus(rules.options.cancellationGracePeriod.wholeMicroseconds)
        stop(slot, of: source, .timeLimit(limit), waitingUntil: end)
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

  /// Settles a job while its run continues in its slot.
  private mutating func abandon(_ slot: Int, _ outcome: Settlement.Outcome, now: Int64) {
    guard let run = slots.abandon(slot) else { return }
    if let most = rules.options.maxStuckSlots, rules.mode != .once, slots.abandoned >= most {
      beStuck(now: now)
    }
    kinds.letGo(run.held.job.kind)
    let source = run.source
    sources[source].running -= 1
    sources[source].abandoned += 1
    let took = now - run.beganAt
    guard run.stop != .leaseLost else { return sources[source].lose(run, outcome, took: took) }
    let settlement = sources[source].settlement(of: run, outcome, took: took, recording: false)
    sources[source].finished.append(settlement)
  }
}
