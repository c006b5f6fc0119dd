internal import Logging

/// A worker's plugins.
@usableFromInline
struct Plugins: Sendable {
  private let all: [any Plugin]
  private let byType: [ObjectIdentifier: any Plugin]

  /// - Throws: ``QudoError/Code/invalidArgument`` if two plugins have one type.
  init(_ plugins: [any Plugin]) throws(QudoError) {
    var byType: [ObjectIdentifier: any Plugin] = [:]
    for plugin in plugins {
      guard byType.updateValue(plugin, forKey: ObjectIdentifier(type(of: plugin))) == nil else {
        throw QudoError(
          .invalidArgument, "two plugins have the type \(type(of: plugin)): give each its own type")
      }
    }
    all = plugins
    self.byType = byType
  }

  subscript<P: Plugin>(type: P.Type) -> P? { byType[ObjectIdentifier(type)] as? P }

  /// - Throws: ``QudoError/Code/invalidArgument`` if a plugin that the handler requires is missing.
  func check(_ handler: JobHandler) throws(QudoError) {
    for type in handler.plugins where byType[ObjectIdentifier(type)] == nil {
      throw QudoError(
        .invalidArgument, "jobs of the kind \(handler.kind) need the plugin \(type): give the worker one")
    }
  }

  /// Starts all plugins, runs `body`, and stops them.
  func around<Success: Sendable>(
    _ worker: WorkerContext, _ body: () async -> Result<Success, QudoError>
  ) async -> Result<Success, QudoError> {
    guard !all.isEmpty else { return await body() }
    var started: [any Plugin] = []
    var failure: QudoError?
    for plugin in all {
      do {
        try await plugin.start(worker)
        started.append(plugin)
      } catch {
        failure = QudoError(
          .plugin, "the plugin \(type(of: plugin)) did not start: resolve its error and retry", cause: error)
        break
      }
    }
    let result: Result<Success, QudoError>
    if let failure {
      result = .failure(failure)
    } else {
      let runs = all.map { plugin in Task { await Self.run(plugin, worker) } }
      result = await body()
      for run in runs { run.cancel() }
      for run in runs { await run.value }
    }
    // In a separate task, because this one may be cancelled.
    await Task { [started] in for plugin in started.reversed() { await plugin.stop(worker) } }.value
    return result
  }

  private static func run(_ plugin: any Plugin, _ worker: WorkerContext) async {
    do {
      try await plugin.run(worker)
    } catch  where Task.isCancelled {
      return  // Ended as told.
    } catch {
      worker.logger.error("plugin failed", metadata: ["plugin": "\(type(of: plugin))", "error": "\(error)"])
    }
  }
}
