#if ServiceLifecycle
public import Qudo
public import ServiceLifecycle

/// A worker as a service of swift-service-lifecycle.
///
///     let group = ServiceGroup(
///       services: [database, WorkerService(worker)], gracefulShutdownSignals: [.sigterm], logger: logger)
///     try await group.run()
///
/// A group shuts its services down in the reverse order: name the worker after what its jobs use.
public struct WorkerService<Hooks: HookSet>: Service {
  /// The worker that it runs.
  public let worker: Worker<Hooks>

  /// - Parameter worker: what it runs.
  public init(_ worker: Worker<Hooks>) { self.worker = worker }

  /// Works until the group shuts down gracefully or the task is cancelled. Then the worker claims no more jobs. Running jobs may finish
  /// within `WorkerOptions.shutdownGracePeriod` (10 s); then the worker cancels them, and releases those that do not complete.
  ///
  /// - Throws: `QudoError` when the database cannot be used any more, and when a plugin does not start.
  public func run() async throws {
    try await cancelWhenGracefulShutdown { _ = try await worker.work() }
  }
}

extension WorkerService: CustomStringConvertible {
  /// The name of the service in the group's log messages.
  public var description: String {
    "worker of \(worker.handlers.keys.sorted().map(\.name).joined(separator: ", "))"
  }
}
#endif
