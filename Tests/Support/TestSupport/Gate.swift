internal import Qudo

/// A gate that opens once, for jobs that ignore their cancellation.
package final class Gate: Sendable {
  private let state = Locked((isOpen: false, waiters: [CheckedContinuation<Void, Never>]()))

  package init() {}

  package func open() {
    let waiters = state.withLock { state in
      state.isOpen = true
      defer { state.waiters = [] }
      return state.waiters
    }
    for waiter in waiters { waiter.resume() }
  }

  package func pass() async {
    await withCheckedContinuation { continuation in
      let isOpen = state.withLock { state in
        if !state.isOpen { state.waiters.append(continuation) }
        return state.isOpen
      }
      if isOpen { continuation.resume() }
    }
  }
}
