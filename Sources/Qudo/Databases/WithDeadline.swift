/// Returns what `body` returns, or nil if the deadline comes first.
///
/// The body runs in its own task. After the deadline it continues to run, but the caller no longer waits for
/// it. If the caller's task is cancelled, the body's task is cancelled too.
///
/// - Parameters:
///   - time: The deadline in microseconds since the boot. It needs no free thread of Swift's pool.
///   - executor: Where the body runs; nil for Swift's pool.
///   - late: Called with the body's value if it returns after the deadline.
package func withDeadline<Value: Sendable>(
  until time: Int64, _ clock: any QueueClock, on executor: (any TaskExecutor)? = nil,
  late: (@Sendable (Value) -> Void)? = nil, _ body: @escaping @Sendable () async -> Value
) async -> Value? {
  let finish = FirstResult<Value>()
  let work = Task(executorPreference: executor) {
    await Interleaving.pause()
    let value = await body()
    if !finish.take(value) { late?(value) }
  }
  let timer = Task(executorPreference: SerialThread.deadlines) {
    await Interleaving.pause()
    do { try await clock.sleep(untilSinceBoot: time) } catch { return }  // Cancelled: the body was faster.
    _ = finish.take(nil)
  }
  defer { timer.cancel() }
  return await withTaskCancellationHandler {
    await finish.value()
  } onCancel: {
    Interleaving.point()
    work.cancel()
  }
}

/// Keeps the first of two values.
private final class FirstResult<Value: Sendable>: Sendable {
  private enum State {
    case open
    case awaited(Continuation<Value?, Never>)
    case over(Value?)
  }
  private let state = Locked(State.open)

  /// - Returns: Whether the value was the first.
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
