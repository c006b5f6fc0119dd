public import Logging

/// A service that lives as long as a worker works and that its jobs can use: a client with its connections, a cache, a task
/// that prunes the logs. Its settings are its own properties.
///
///     struct Mailer: Plugin {
///       var server = "localhost"
///       func send(_ text: String, to address: String) async throws { … }
///     }
///     let worker = try Worker(queue, [JobHandler(SendMail.self)], plugins: [Mailer(server: "mail.example.org")])
///
/// A worker has at most one of a type. Jobs reach it by its type: see ``PluginJob``, ``JobHandler`` and
/// ``JobContext/plugin(_:)``.
public protocol Plugin: _PluginNeeds {
  /// Gets ready. Called once before the worker claims its first job, in the order in which the worker was given its plugins.
  /// An error stops the worker before it has begun.
  func start(_ worker: WorkerContext) async throws

  /// Works beside the jobs, from the start of all plugins until the worker has ended; then its task is cancelled and waited
  /// for. An error is logged and ends nothing but this function.
  func run(_ worker: WorkerContext) async throws

  /// Lets go of what ``start(_:)`` took. Called once after the last job, in the reverse order, for each plugin that was
  /// started; not in a cancelled task.
  func stop(_ worker: WorkerContext) async
}

extension Plugin {
  public static var _types: [any Plugin.Type] { [Self.self] }
  public static func _find(_ context: JobContext) throws -> Self { try context.required(Self.self) }

  public func start(_ worker: WorkerContext) async throws {}
  public func run(_ worker: WorkerContext) async throws {}
  public func stop(_ worker: WorkerContext) async {}
}

/// What a plugin knows of the worker that it lives with.
public struct WorkerContext: Sendable {
  /// The queue with its hooks.
  public let queue: any Enqueuer
  /// The databases: for reading lists, pruning logs. ``Databases/forEachDriver(_:)`` asks all of them.
  public let databases: Databases
  /// The kinds that the worker performs.
  public let kinds: [Kind]
  /// The worker's.
  public let logger: Logger
  /// What the worker's waits go by.
  public let clock: any QueueClock
}
