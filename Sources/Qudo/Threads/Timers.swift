internal import Dispatch

/// Wakes sleeping tasks without Swift's pool, on which `Task.sleep` depends.
final class Timers: Sendable {
  static let shared = Timers()

  private struct State {
    var queue = TimerQueue<Continuation<Bool, Never>>()
    /// The time at which the source fires; `max` if it does not.
    var armedFor = Int64.max
  }
  /// The maximum time between two firings while a task sleeps, in microseconds. A Dispatch timer stops while
  /// the machine is suspended, and `sinceBoot` does not.
  private static let piece: Int64 = 5_000_000

  private let clock = SystemClock()
  private let state = Locked(State())
  nonisolated(unsafe) private let source: any DispatchSourceTimer  // reason: its functions are thread-safe

  private init() {
    source = DispatchSource.makeTimerSource(queue: DispatchQueue(label: "qudo.timers"))
    source.setEventHandler { [weak self] in self?.fire() }
    source.activate()
  }

  /// - Throws: `CancellationError` if the task is cancelled first.
  func sleep(untilSinceBoot time: Int64) async throws {
    let id = state.withLock { $0.queue.makeID() }
    let isTime = await withTaskCancellationHandler {
      await withContinuation { continuation in
        let isCancelled = state.withLock { state in
          // A later cancellation finds the sleeper in the queue.
          if Task.isCancelled { return true }
          state.queue.insert(continuation, id, until: time)
          if time < state.armedFor { arm(&state) }
          return false
        }
        if isCancelled { continuation.resume(returning: false) }
      }
    } onCancel: {
      Interleaving.point()
      state.withLock { $0.queue.remove(id) }?.resume(returning: false)
    }
    guard isTime else { throw CancellationError() }
  }

  private func fire() {
    let due = state.withLock { state in
      let due = state.queue.takeDue(clock.sinceBoot())
      arm(&state)
      return due
    }
    for continuation in due { continuation.resume(returning: true) }
  }

  private func arm(_ state: inout State) {
    guard let time = state.queue.nextTime else { return state.armedFor = .max }
    let now = clock.sinceBoot()
    state.armedFor = min(time, now.clampedPlus(Self.piece))
    source.schedule(
      deadline: .now() + .microseconds(Int(max(0, state.armedFor - now))), leeway: .nanoseconds(0))
  }
}
