internal import Qudo

/// The commands that run, so that all can be stopped at once.
///
/// The worker's own grace cannot be cut short; ending its runs early, as if each job had put itself off, does that.
final class RunningCommands: Sendable {
  private struct State {
    var isStopped = false
    var next = 0
    var tasks: [Int: Task<Void, any Error>] = [:]
  }
  private let state = Locked(State())

  /// Stops all that run, and all that are yet to be started.
  func stop() {
    let tasks = state.withLock { state in
      state.isStopped = true
      return Array(state.tasks.values)
    }
    for task in tasks { task.cancel() }
  }

  /// - Throws: what `body` throws; `Snooze`, so that the job waits again and counts no attempt, when all were stopped.
  func run(_ body: @escaping @Sendable () async throws -> Void) async throws {
    let task = Task { try await body() }
    let id = state.withLock { state in
      state.next += 1
      state.tasks[state.next] = task
      if state.isStopped { task.cancel() }
      return state.next
    }
    defer { state.withLock { $0.tasks[id] = nil } }
    do {
      try await withTaskCancellationHandler {
        try await task.value
      } onCancel: {
        task.cancel()
      }
    } catch is CancellationError where state.withLock({ $0.isStopped }) {
      throw Snooze(for: .zero)
    }
  }
}
