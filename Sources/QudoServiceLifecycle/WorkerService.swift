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
  /// What it runs.
  public let worker: Worker<Hooks>

  /// - Parameter worker: what it runs.
  public init(_ worker: Worker<Hooks>) { self.worker = worker }

  /// Works until the group shuts down gracefully or the task is cancelled. Then no job is claimed any more; the running ones
  /// may end within the worker's own `grace` (10 s), are cancelled after it, and what does not complete is given back.
  ///
  /// - Throws: `QudoError` when the database cannot be used any more, and when a plugin does not start.
  public func run() async throws {
    try await cancelWhenGracefulShutdown { _ = try await worker.work() }
  }
}

extension WorkerService: CustomStringConvertible {
  /// What the group's log lines call it.
  public var description: String {
    "worker of \(worker.handlers.keys.sorted().map(\.name).joined(separator: ", "))"
  }
}
#endif
