internal import Logging

/// One run in a worker's slot: what of it does not depend on the hooks' type.
@usableFromInline
struct Run: Sendable {
  let engine: WorkerEngine
  let handler: JobHandler
  let slot: Int
  /// Since the boot, in microseconds.
  let started: Int64

  @usableFromInline
  func context(_ job: ClaimedJob) -> JobContext { JobContext(job, run: self) }

  @usableFromInline
  func perform(_ context: JobContext) async throws { try await handler.perform(context) }

  /// The whole run, where no hook hears of it.
  @usableFromInline
  func outcome(_ job: ClaimedJob) async -> Settlement.Outcome {
    let context = context(job)
    do {
      try await handler.perform(context)
      return .completed(replacements: try checked(context.takeReplacements()))
    } catch {
      return judge(error, context)
    }
  }

  @usableFromInline
  func duration() -> Duration { .microseconds(engine.clock.sinceBoot() - started) }

  @usableFromInline
  func checked(_ jobs: [NewJob]) throws -> [NewJob] {
    for job in jobs { try engine.driver.limits.check(job) }
    return jobs
  }

  /// What becomes of a run that threw, which is logged.
  @usableFromInline
  func judge(_ failure: any Error, _ context: JobContext) -> Settlement.Outcome {
    var failure = failure
    switch engine.stopReason(slot) {
    // A worker that stops gives its jobs back; they did not fail. Nor is it this one's fault if the lease was lost.
    // Nor does it matter any more what comes of a run that was given up.
    case .shutdown, .leaseLost, .givenUp: return .released
    case .timeLimit(let limit): failure = TimeLimitExceeded(limit: limit)
    case nil: break
    }
    let outcome = settlementOutcome(failure: failure, job: context.job, policy: handler.policy, random: .random(in: 0...1))
    switch outcome {
    case .retry(let delay, let message):
      context.logger.info("a run failed and is tried again", metadata: ["error": "\(message)", "delay": "\(delay.inUnits)"])
    case .failed(let message), .aborted(let message):
      context.logger.error("a job failed", metadata: ["error": "\(message)"])
    case .completed, .snoozed, .released: break
    }
    return outcome
  }

  /// The error as the job threw it.
  @usableFromInline
  static func cause(of failure: any Error) -> any Error { (failure as? JobHandler.Failure)?.error ?? failure }
}

extension Settlement.Outcome {
  /// Whether it counts as a failure.
  @usableFromInline
  var isFailure: Bool {
    switch self {
    case .retry, .failed, .aborted: true
    case .completed, .snoozed, .released: false
    }
  }
}
