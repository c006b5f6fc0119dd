/// The engine's calls of a queue's hooks. They are made where the hooks' type is known, so that the optimizer
/// removes the points that no hook names.
@usableFromInline
struct EngineHooks: Sendable {
  @usableFromInline let perform: @Sendable (ClaimedJob, Run) async -> Settlement.Outcome
  @usableFromInline let didClaim: (@Sendable (ClaimedJob) -> Void)?
  @usableFromInline let didEnqueue: (@Sendable (NewJob, EnqueueResult) async -> Void)?
  /// Called for jobs that are enqueued in the application's own transaction.
  @usableFromInline let didEnqueueInTransaction: (@Sendable (NewJob, EnqueueResult) -> Void)?
  @usableFromInline let didSettle: (@Sendable (SettledRun) async -> Void)?
  @usableFromInline let leaseLost: (@Sendable (ClaimedJob) -> Void)?
  @usableFromInline let didGiveUp: (@Sendable (GivenUpJob, String) -> Void)?
  @usableFromInline let prepare: @Sendable ([NewJob]) throws -> [NewJob]

  @inlinable
  init<Hooks: HookSet>(_ hooks: Hooks) {
    perform = { await hooks.perform($0, $1) }
    prepare = { try hooks.prepare($0) }
    if Hooks.points.contains(.didClaim) { didClaim = { hooks.didClaim($0) } } else { didClaim = nil }
    if Hooks.points.contains(.didSettle) {
      didSettle = { await hooks.didSettle($0) }
    } else {
      didSettle = nil
    }
    if Hooks.points.contains(.leaseLost) { leaseLost = { hooks.leaseLost($0) } } else { leaseLost = nil }
    if Hooks.points.contains(.didGiveUp) {
      didGiveUp = { hooks.didGiveUp($0, database: $1) }
    } else {
      didGiveUp = nil
    }
    if Hooks.points.contains(.didEnqueue) {
      didEnqueue = { await hooks.didEnqueue($0, result: $1) }
    } else {
      didEnqueue = nil
    }
    if Hooks.points.contains(.didEnqueueInTransaction) {
      didEnqueueInTransaction = { hooks.didEnqueueInTransaction($0, result: $1) }
    } else {
      didEnqueueInTransaction = nil
    }
  }
}

extension HookSet {
  /// Runs a claimed job with its hooks and returns the outcome.
  @inlinable
  func perform(_ claimed: ClaimedJob, _ run: Run) async -> Settlement.Outcome {
    // Hooks without a point in a run share one function.
    guard
      !Self.points.isDisjoint(with: [
        .willEnqueue, .serialize, .deserialize, .willWork, .around, .didFail, .didWork,
      ])
    else {
      return await run.outcome(claimed)
    }
    var job = claimed
    var failure: (any Error)?
    if Self.points.contains(.deserialize) {
      do { try deserialize(&job) } catch { failure = error }
    }
    let context = run.context(job)
    var outcome = Settlement.Outcome.completed()
    if failure == nil {
      do {
        if Self.points.contains(.willWork) { try await willWork(context) }
        // Within `around`, so that hooks see its task-local values, such as a trace, in replacements.
        let replacements =
          if Self.points.contains(.around) {
            try await around(context) { () async throws in try await performed(context, run) }
          } else {
            try await performed(context, run)
          }
        outcome = .completed(replacements: replacements)
      } catch {
        failure = error
      }
    }
    if let failure {
      outcome = run.judge(failure, context)
      if Self.points.contains(.didFail), outcome.isFailure {
        await didFail(
          FinishedRun(context: context, outcome: outcome, duration: run.duration()),
          error: Run.cause(of: failure))
      }
    }
    if Self.points.contains(.didWork) {
      await didWork(FinishedRun(context: context, outcome: outcome, duration: run.duration()))
    }
    return outcome
  }

  /// Performs the job.
  ///
  /// - Returns: The replacements. One that cannot be stored fails this run, not those in the same
  ///   transaction.
  @inlinable
  func performed(_ context: JobContext, _ run: Run) async throws -> [NewJob] {
    try await run.perform(context)
    let jobs = context.takeReplacements()
    guard !jobs.isEmpty else { return [] }
    return try run.checked(try prepare(jobs))
  }

  /// Applies the hooks to jobs before they are stored.
  @inlinable
  package func prepare(_ jobs: [NewJob]) throws -> [NewJob] {
    guard !Self.points.isDisjoint(with: [.willEnqueue, .serialize]) else { return jobs }
    var jobs = jobs
    for index in jobs.indices {
      if Self.points.contains(.willEnqueue) { try willEnqueue(&jobs[index]) }
      if Self.points.contains(.serialize) { try serialize(&jobs[index]) }
    }
    return jobs
  }
}
