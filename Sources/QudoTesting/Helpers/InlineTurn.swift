internal import Qudo

/// Whose jobs run now: one enqueue's after the other's.
final class InlineTurn: Sendable {
  /// The turns within which this task runs: a job that enqueues does not wait for the turn that it is part of.
  @TaskLocal static var mine: Set<ObjectIdentifier> = []

  private struct State {
    var isTaken = false
    var waiters: [Continuation<Void, Never>] = []
  }
  private let state = Locked(State())

  func take() async {
    await withContinuation { continuation in
      let isMine = state.withLock { state in
        if state.isTaken { state.waiters.append(continuation) }
        defer { state.isTaken = true }
        return !state.isTaken
      }
      if isMine { continuation.resume() }
    }
  }

  func giveBack() {
    let next = state.withLock { state -> Continuation<Void, Never>? in
      guard !state.waiters.isEmpty else {
        state.isTaken = false
        return nil
      }
      return state.waiters.removeFirst()
    }
    next?.resume()
  }
}
