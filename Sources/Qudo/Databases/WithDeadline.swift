/// Whatever comes first: what `body` returns, or the time.
///
/// The body runs in a task of its own. When it loses, nobody waits for it; it goes on and ends by itself. A cancellation of
/// the caller's task is handed on to it.
///
/// - Parameters:
///   - time: in microseconds since the boot. No thread of Swift's pool is needed for it to come.
///   - executor: where the body runs; nil for Swift's pool.
///   - late: called with what the body returns after all.
/// - Returns: nil when the time came first.
func withDeadline<Value: Sendable>(
  until time: Int64, _ clock: any QueueClock, on executor: (any TaskExecutor)? = nil, late: (@Sendable (Value) -> Void)? = nil, _ body: @escaping @Sendable () async -> Value
) async -> Value? {
  let finish = FirstResult<Value>()
  let work = Task(executorPreference: executor) {
    await Interleaving.pause()
    let value = await body()
    if !finish.take(value) { late?(value) }
  }
  let timer = Task(executorPreference: SerialThread.deadlines) {
    await Interleaving.pause()
    do { try await clock.sleep(untilSinceBoot: time) } catch { return }  // The body was faster.
    _ = finish.take(nil)
  }
  defer { timer.cancel() }
  return await withTaskCancellationHandler { await finish.value() } onCancel: {
    Interleaving.point()
    work.cancel()
  }
}

/// Where the first of two comers leaves its value.
private final class FirstResult<Value: Sendable>: Sendable {
  private enum State {
    case open
    case awaited(Continuation<Value?, Never>)
    case over(Value?)
  }
  private let state = Locked(State.open)

  /// - Returns: whether it was the first.
  func take(_ value: Value?) -> Bool {
    let (isFirst, waiter) = state.withLock { state -> (Bool, Continuation<Value?, Never>?) in
      switch state {
      case .open:
        state = .over(value)
        return (true, nil)
      case .awaited(let waiter):
        state = .over(value)
        return (true, waiter)
      case .over: return (false, nil)
      }
    }
    waiter?.resume(returning: value)
    return isFirst
  }

  func value() async -> Value? {
    await withContinuation { continuation in
      let result = state.withLock { state -> Value?? in
        if case .over(let value) = state { return .some(value) }
        state = .awaited(continuation)
        return nil
      }
      if let result { continuation.resume(returning: result) }
    }
  }
}
