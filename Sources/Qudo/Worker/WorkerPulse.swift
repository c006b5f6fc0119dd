/// Tells a supervisor whether a worker's engines still answer, and when one of them first looked for jobs.
///
/// An engine beats each time it decides what to do next. ``answered()`` asks all of them to do so, and waits: a worker that
/// hangs in a call, or whose thread is blocked, does not answer, however busy its jobs are.
package final class WorkerPulse: Sendable {
  private struct State {
    var signals: [Int: @Sendable () -> Void] = [:]
    /// The number of the last question that each engine has answered.
    var answered: [Int: UInt64] = [:]
    var nextEngine = 0
    var question: UInt64 = 0
    var waiters: [UInt64: Continuation<Void, Never>] = [:]
    var hasLooked = false

    /// Whether all engines have answered a question.
    func isAnswered(_ question: UInt64) -> Bool { answered.values.allSatisfy { $0 >= question } }

    mutating func takeAnswered() -> [Continuation<Void, Never>] {
      let done = waiters.keys.filter(isAnswered)
      return done.compactMap { waiters.removeValue(forKey: $0) }
    }
  }

  private let state = Locked(State())
  private let didLook: @Sendable () -> Void

  /// - Parameter didLook: Called once: when a claim of any engine was first answered.
  package init(didLook: @escaping @Sendable () -> Void) { self.didLook = didLook }

  /// Waits until every engine has beaten since this call, or the task is cancelled. Without engines it returns at once.
  package func answered() async {
    let (question, signals) = state.withLock { state in
      state.question += 1
      return (state.question, Array(state.signals.values))
    }
    for signal in signals { signal() }
    await withTaskCancellationHandler {
      await withContinuation { continuation in
        let isOver = state.withLock { state in
          guard !Task.isCancelled, !state.isAnswered(question) else { return true }
          state.waiters[question] = continuation
          return false
        }
        if isOver { continuation.resume() }
      }
    } onCancel: {
      state.withLock { $0.waiters.removeValue(forKey: question) }?.resume()
    }
  }

  // MARK: For engines

  /// Adds an engine.
  ///
  /// - Parameter signal: Lets the engine decide again.
  /// - Returns: Its number for the other calls.
  func join(_ signal: @escaping @Sendable () -> Void) -> Int {
    state.withLock { state in
      state.nextEngine += 1
      state.signals[state.nextEngine] = signal
      state.answered[state.nextEngine] = state.question
      return state.nextEngine
    }
  }

  func leave(_ engine: Int) {
    let done = state.withLock { state in
      state.signals[engine] = nil
      state.answered[engine] = nil
      return state.takeAnswered()
    }
    for waiter in done { waiter.resume() }
  }

  /// Notes that an engine decides what to do next.
  func beat(_ engine: Int) {
    let done = state.withLock { state -> [Continuation<Void, Never>] in
      guard let last = state.answered[engine], last < state.question else { return [] }
      state.answered[engine] = state.question
      return state.takeAnswered()
    }
    for waiter in done { waiter.resume() }
  }

  /// Notes that a claim was answered.
  func looked() {
    let isFirst = state.withLock { state in
      defer { state.hasLooked = true }
      return !state.hasLooked
    }
    if isFirst { didLook() }
  }
}
