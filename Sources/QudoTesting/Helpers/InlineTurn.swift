internal import Qudo

/// A lock that lets the jobs of only one enqueue run at a time.
final class InlineTurn: Sendable {
  /// The locks that this task runs under. A job that enqueues must not wait for the lock that it runs under.
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
