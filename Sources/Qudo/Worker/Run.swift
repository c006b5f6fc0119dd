internal import Logging

/// One run in a worker's slot, as far as it does not depend on the type of the hooks.
@usableFromInline
struct Run: Sendable {
  /// The pump of the database that the job is from.
  let pump: Pump
  let handler: JobHandler
  let slot: Int
  /// The start, in microseconds since the boot.
  let started: Int64

  var engine: WorkerEngine { pump.engine }
  var driver: any Driver { pump.driver }

  @usableFromInline
  func context(_ job: ClaimedJob) -> JobContext { JobContext(job, run: self) }

  @usableFromInline
  func perform(_ context: JobContext) async throws { try await handler.perform(context) }

  /// Runs the job without hooks.
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
    for job in jobs { try driver.limits.check(job) }
    try driver.capabilities.check(keysOf: jobs)
    return jobs
  }

  /// Decides the outcome of a run that threw, and logs it.
  @usableFromInline
  func judge(_ failure: any Error, _ context: JobContext) -> Settlement.Outcome {
    var failure = failure
    switch engine.stopReason(slot) {
    // The job did not fail if the worker stops, its lease was lost, or it was settled without the run.
    // The driver ends a cancelled job that is released.
    case .shutdown, .leaseLost, .givenUp, .cancelled: return .released
    case .timeLimit(let limit): failure = TimeLimitExceeded(limit: limit)
    case nil: break
    }
    let outcome = settlementOutcome(
      failure: failure, job: context.job, policy: handler.policy, random: .random(in: 0...1))
    switch outcome {
    case .retry(let delay, let message):
      context.logger.info(
        "run failed, retrying", metadata: ["error": "\(message)", "delay": "\(delay.inUnits)"])
    case .failed(let message), .aborted(let message):
      context.logger.error("job failed", metadata: ["error": "\(message)"])
    case .completed, .snoozed, .released: break
    }
    return outcome
  }

  /// The error that the job threw.
  @usableFromInline
  static func cause(of failure: any Error) -> any Error { (failure as? JobHandler.Failure)?.error ?? failure }
}

extension Settlement.Outcome {
  /// Whether the outcome counts as a failure.
  @usableFromInline
  var isFailure: Bool {
    switch self {
    case .retry, .failed, .aborted: true
    case .completed, .snoozed, .released: false
    }
  }
}
