internal import Logging

/// A worker's plugins.
@usableFromInline
struct Plugins: Sendable {
  private let all: [any Plugin]
  private let byType: [ObjectIdentifier: any Plugin]

  /// - Throws: ``QudoError/Code/invalidArgument`` for two of one type.
  init(_ plugins: [any Plugin]) throws(QudoError) {
    var byType: [ObjectIdentifier: any Plugin] = [:]
    for plugin in plugins {
      guard byType.updateValue(plugin, forKey: ObjectIdentifier(type(of: plugin))) == nil else {
        throw QudoError(.invalidArgument, "two plugins have the type \(type(of: plugin)): give each a type of its own")
      }
    }
    all = plugins
    self.byType = byType
  }

  subscript<P: Plugin>(type: P.Type) -> P? { byType[ObjectIdentifier(type)] as? P }

  /// - Throws: ``QudoError/Code/invalidArgument`` for one that a handler needs and that is not there.
  func check(_ handler: JobHandler) throws(QudoError) {
    for type in handler.plugins where byType[ObjectIdentifier(type)] == nil {
      throw QudoError(.invalidArgument, "jobs of the kind \(handler.kind) need the plugin \(type): give the worker one")
    }
  }

  /// Runs `body` between the start and the stop of all.
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
        failure = QudoError(.plugin, "the plugin \(type(of: plugin)) did not start", cause: error)
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
    // A task of its own: this one may be cancelled.
    await Task { [started] in for plugin in started.reversed() { await plugin.stop(worker) } }.value
    return result
  }

  private static func run(_ plugin: any Plugin, _ worker: WorkerContext) async {
    do {
      try await plugin.run(worker)
    } catch where Task.isCancelled {
      return  // It was told to end.
    } catch {
      worker.logger.error("a plugin failed", metadata: ["plugin": "\(type(of: plugin))", "error": "\(error)"])
    }
  }
}
