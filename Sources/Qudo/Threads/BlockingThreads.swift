internal import Dispatch

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// Threads for handlers that block: at most one per run, created on demand, and ended after some idle time.
///
/// Dispatch would not do: it creates only some hundred threads, which the database's writer needs too.
final class BlockingThreads: TaskExecutor {
  private struct State {
    /// The steps of tasks that no thread has taken yet.
    var steps: [UnownedJob] = []
    var head = 0
    /// The number of runs in progress, which is also the maximum number of threads.
    var runs = 0
    var threads = 0
    /// The threads that wait for a step; the last one has waited for the shortest time.
    var idle: [DispatchSemaphore] = []

    mutating func takeStep() -> UnownedJob? {
      guard head < steps.count else { return nil }
      defer {
        head += 1
        if head == steps.count { (steps, head) = ([], 0) }
      }
      return steps[head]
    }
  }
  private enum Action {
    case nothing
    case wake(DispatchSemaphore)
    case make
  }
  private let state = Locked(State())
  private let idleTime: DispatchTimeInterval

  /// - Parameter idleTime: How long a thread waits for a step before it ends.
  init(idleTime: DispatchTimeInterval = .seconds(5)) { self.idleTime = idleTime }

  /// The number of threads.
  var count: Int { state.withLock { $0.threads } }

  /// Runs `body` and its child tasks on these threads.
  func run<Value>(_ body: () async -> Value) async -> Value {
    state.withLock { $0.runs += 1 }
    defer { state.withLock { $0.runs -= 1 } }
    return await withTaskExecutorPreference(self) { await body() }
  }

  func enqueue(_ job: consuming ExecutorJob) {
    let step = UnownedJob(job)
    let action = state.withLock { state -> Action in
      state.steps.append(step)
      if let idle = state.idle.popLast() { return .wake(idle) }
      guard state.threads < max(state.runs, 1) else { return .nothing }
      state.threads += 1
      return .make
    }
    Interleaving.point()
    switch action {
    case .nothing: break
    case .wake(let idle): idle.signal()
    case .make: makeThread()
    }
  }

  private func makeThread() {
    let context = Unmanaged.passRetained(self)
    guard !Self.start(context.toOpaque()) else { return }
    context.release()
    // The system is out of threads. If this pool has one, it will take the step.
    let step = state.withLock { state -> UnownedJob? in
      state.threads -= 1
      return state.threads == 0 ? state.takeStep() : nil
    }
    if let step {
      DispatchQueue(label: "qudo.blocking").async { step.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
  }

  private static func start(_ context: UnsafeMutableRawPointer) -> Bool {
    #if canImport(Darwin)
    var thread: pthread_t?
    let code = pthread_create(
      &thread, nil,
      { context in
        Unmanaged<BlockingThreads>.fromOpaque(context).takeRetainedValue().work()
        return nil
      }, context)
    if code == 0, let thread { pthread_detach(thread) }
    #else
    var thread = pthread_t()
    let code = pthread_create(
      &thread, nil,
      { context in
        if let context { Unmanaged<BlockingThreads>.fromOpaque(context).takeRetainedValue().work() }
        return nil
      }, context)
    if code == 0 { pthread_detach(thread) }
    #endif
    return code == 0
  }

  /// The loop of one thread.
  private func work() {
    let wake = DispatchSemaphore(value: 0)
    while true {
      let step = state.withLock { state -> UnownedJob? in
        if let step = state.takeStep() { return step }
        state.idle.append(wake)
        return nil
      }
      if let step {
        step.runSynchronously(on: asUnownedTaskExecutor())
        continue
      }
      Interleaving.point()
      guard wake.wait(timeout: .now() + idleTime) == .timedOut else { continue }
      let ends = state.withLock { state in
        // Woken just now: there is a step after all, and a signal, which the wait below takes.
        guard let place = state.idle.firstIndex(where: { $0 === wake }) else { return false }
        state.idle.remove(at: place)
        state.threads -= 1
        return true
      }
      if ends { return }
      wake.wait()
    }
  }
}
