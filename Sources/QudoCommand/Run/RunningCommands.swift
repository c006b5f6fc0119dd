internal import Qudo

/// The running commands, so that all can be stopped together.
///
/// The worker's grace period cannot be shortened. Stopping ends its runs early instead, as if each job had
/// snoozed.
final class RunningCommands: Sendable {
  private struct State {
    var isStopped = false
    var next = 0
    var tasks: [Int: Task<Void, any Error>] = [:]
  }
  private let state = Locked(State())

  /// Stops all running commands, and those started later.
  func stop() {
    let tasks = state.withLock { state in
      state.isStopped = true
      return Array(state.tasks.values)
    }
    for task in tasks { task.cancel() }
  }

  /// - Throws: what `body` throws; after ``stop()``, `Snooze`, which makes the job ready again without
  ///   counting an attempt.
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
