public import Logging

/// A service that jobs can use while a worker runs: a client with its connections, a cache, or a task in
/// the background.
///
/// The properties of the type are its settings. For example:
///
///     struct Mailer: Plugin {
///       var server = "localhost"
///       func send(_ text: String, to address: String) async throws { … }
///     }
///     let worker = try Worker(
///       queue, handlers: [JobHandler(SendMail.self)], plugins: [Mailer(server: "mail.example.org")])
///
/// A worker has at most one plugin per type. Jobs look up a plugin by its type: see ``PluginJob``,
/// ``JobHandler`` and ``JobContext/plugin(_:)``.
public protocol Plugin: _PluginNeeds {
  /// Acquires the plugin's resources. Called once, before the worker claims its first job, in the order of
  /// the worker's plugins. An error stops the worker before it begins.
  func start(_ worker: WorkerContext) async throws

  /// Runs in the background, from the start of all plugins until the worker ends. The worker then cancels the
  /// task and waits for it. An error is logged and ends only this function.
  func run(_ worker: WorkerContext) async throws

  /// Releases what ``start(_:)`` acquired. Called after the last job, in reverse order, once for each plugin
  /// that started. The task is not cancelled.
  func stop(_ worker: WorkerContext) async
}

extension Plugin {
  public static var _types: [any Plugin.Type] { [Self.self] }
  public static func _find(_ context: JobContext) throws -> Self { try context.required(Self.self) }

  public func start(_ worker: WorkerContext) async throws {}
  public func run(_ worker: WorkerContext) async throws {}
  public func stop(_ worker: WorkerContext) async {}
}

/// The worker that a plugin runs with.
public struct WorkerContext: Sendable {
  /// The worker's queue, with its hooks.
  public let queue: any Enqueuer
  /// The queue's databases, for example to count their jobs. ``Databases/forEachDriver(_:)`` calls each of them.
  public let databases: Databases
  /// The kinds that the worker has a handler for.
  public let kinds: [Kind]
  /// The worker's logger.
  public let logger: Logger
  /// The clock that the worker's waits use.
  public let clock: any QueueClock
}
