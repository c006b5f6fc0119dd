internal import Logging

/// One run, from claim to outcome.
extension WorkerEngine {
  func perform(_ claimed: ClaimedJob, _ ability: Ability, slot: Int, started: Int64) async -> Settlement.Outcome {
    let queue = worker.queue
    let hooks = queue.hooks
    var job = claimed
    var failure: (any Error)?
    do {
      if Hooks.points.contains(.deserialize) { try hooks.deserialize(&job) }
    } catch {
      failure = error
    }
    let context = JobContext(job, database: queue.driver.name, codecs: queue.codecs, logger: worker.options.logger)
    let took = { [clock = worker.options.clock] in Duration.microseconds(clock.sinceBoot() - started) }
    var outcome = Settlement.Outcome.completed()
    if failure == nil {
      do {
        if Hooks.points.contains(.willWork) { try await hooks.willWork(context) }
        if Hooks.points.contains(.around) {
          try await hooks.around(context) { () async throws in try await ability.perform(context) }
        } else {
          try await ability.perform(context)
        }
        outcome = .completed(replacements: try checked(context.takeReplacements()))
      } catch {
        failure = error
      }
    }
    if let failure {
      outcome = judge(failure, job, ability.policy, slot)
      await tell(failure, FinishedRun(context: context, outcome: outcome, duration: took()))
    }
    if Hooks.points.contains(.didWork) {
      await hooks.didWork(FinishedRun(context: context, outcome: outcome, duration: took()))
    }
    return outcome
  }

  /// What cannot be stored fails this run instead of the transaction that others share.
  private func checked(_ jobs: [NewJob]) throws -> [NewJob] {
    guard !jobs.isEmpty else { return [] }
    let jobs = Hooks.points.isDisjoint(with: [.willEnqueue, .serialize]) ? jobs : try worker.queue.prepare(jobs)
    for job in jobs { try worker.queue.driver.limits.check(job) }
    return jobs
  }

  private func judge(_ failure: any Error, _ job: ClaimedJob, _ policy: JobPolicy, _ slot: Int) -> Settlement.Outcome {
    var failure = failure
    switch stopReason(slot) {
    // A worker that stops gives its jobs back; they did not fail. Nor is it this one's fault if the lease was lost.
    // Nor does it matter any more what comes of a run that was given up.
    case .shutdown, .leaseLost, .givenUp: return .released
    case .timeLimit(let limit): failure = TimeLimitExceeded(limit: limit)
    case nil: break
    }
    return decide(failure: failure, job: job, policy: policy, random: .random(in: 0...1))
  }

  private func tell(_ failure: any Error, _ run: FinishedRun) async {
    let context = run.context
    switch run.outcome {
    case .retry(let delay, let message):
      context.logger.info("a run failed and is tried again", metadata: ["error": "\(message)", "delay": "\(delay)"])
    case .failed(let message), .aborted(let message):
      context.logger.error("a job failed", metadata: ["error": "\(message)"])
    case .completed, .snoozed, .released: return
    }
    guard Hooks.points.contains(.didFail) else { return }
    await worker.queue.hooks.didFail(run, (failure as? Ability.Failure)?.error ?? failure)
  }
}
