/// The settings of a worker, the same for all of its sources.
struct WorkerRules {
  let mode: Scheduler.Mode
  let handlers: [Kind: JobHandler]
  let options: WorkerOptions
  /// The number of slots.
  let concurrency: Int
  /// True if any handler has a time limit.
  let hasTimeLimits: Bool
  /// True if any kind has a rate.
  let hasRates: Bool
  /// A claim of all kinds, without limits.
  let request: ClaimRequest
  /// True if a hook is told of settled runs.
  var reportsRuns = false

  init(mode: Scheduler.Mode, handlers: [Kind: JobHandler], options: WorkerOptions) {
    self.mode = mode
    self.handlers = handlers
    self.options = options
    concurrency = mode == .once ? 1 : options.concurrency
    hasTimeLimits = handlers.values.contains { $0.policy.timeLimit != nil }
    hasRates = handlers.values.contains { $0.policy.rate != nil }
    request = ClaimRequest(
      handlers.values.sorted { $0.kind < $1.kind }
        .map {
          .init(
            $0.kind, leaseDuration: $0.policy.leaseDuration, maxExpiredLeases: $0.policy.maxExpiredLeases,
            maxRunning: $0.policy.maxRunning, rate: $0.policy.rate)
        }, limit: 0)
  }
}
