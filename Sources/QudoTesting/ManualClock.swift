public import Qudo

/// A clock for tests that stands still until the test advances it.
public final class ManualClock: QueueClock {
  private struct State {
    var reading: ClockReading
    var next = 0
    var sleepers: [Int: Sleeper] = [:]
    var waiters: [(count: Int, continuation: Continuation<Void, Never>)] = []
  }
  private struct Sleeper {
    let time: Int64
    let continuation: Continuation<Void, any Error>
  }
  private let state: Locked<State>

  /// Creates a clock that stands at this time: by default in November 2023, a second after the boot.
  public init(
    wall: Timestamp = Timestamp(microseconds: 1_700_000_000_000_000), sinceBoot: Int64 = 1_000_000,
    boot: String = "boot-1"
  ) {
    state = Locked(State(reading: ClockReading(wall: wall, sinceBoot: sinceBoot, boot: boot)))
  }

  public func now() -> ClockReading { state.withLock { $0.reading } }
  public func sinceBoot() -> Int64 { state.withLock { $0.reading.sinceBoot } }

  /// Advances both clocks but wakes no sleeper until the next ``advance(by:)``, like a busy machine.
  public func advanceWithoutWaking(by duration: Duration) {
    state.withLock { state in
      state.reading.wall = state.reading.wall.advanced(by: duration)
      state.reading.sinceBoot += duration.wholeMicroseconds
    }
  }

  /// Advances both clocks, and wakes the tasks whose sleep ends.
  public func advance(by duration: Duration) {
    let woken = state.withLock { state in
      state.reading.wall = state.reading.wall.advanced(by: duration)
      state.reading.sinceBoot += duration.wholeMicroseconds
      let now = state.reading.sinceBoot
      let due = state.sleepers.filter { $0.value.time <= now }
      for id in due.keys { state.sleepers[id] = nil }
      return due.values.map(\.continuation)
    }
    for sleeper in woken { sleeper.resume() }
  }

  /// Sets the wall clock forward or back. No time passes.
  public func jump(by duration: Duration) {
    state.withLock { $0.reading.wall = $0.reading.wall.advanced(by: duration) }
  }

  /// Simulates a reboot: the monotonic clock restarts at zero.
  public func reboot(as boot: String) {
    state.withLock {
      $0.reading.sinceBoot = 0
      $0.reading.boot = boot
    }
  }

  public func sleep(untilSinceBoot time: Int64) async throws {
    let id = state.withLock { state in
      state.next += 1
      return state.next
    }
    try await withTaskCancellationHandler {
      try await withThrowingContinuation { continuation in
        let (answer, met) = state.withLock {
          state -> (Result<Void, any Error>?, [Continuation<Void, Never>]) in
          // A later cancellation finds the sleeper in the list.
          if Task.isCancelled { return (.failure(CancellationError()), []) }
          if time <= state.reading.sinceBoot { return (.success(()), []) }
          state.sleepers[id] = Sleeper(time: time, continuation: continuation)
          let count = state.sleepers.count
          let met = state.waiters.filter { $0.count <= count }.map(\.continuation)
          state.waiters.removeAll { $0.count <= count }
          return (nil, met)
        }
        for waiter in met { waiter.resume() }
        if let answer { continuation.resume(with: answer) }
      }
    } onCancel: {
      Interleaving.point()
      let sleeper = state.withLock { $0.sleepers.removeValue(forKey: id) }
      sleeper?.continuation.resume(throwing: CancellationError())
    }
  }

  /// The earliest wake-up time of the sleeping tasks, in terms of ``sinceBoot()``.
  public var nextWake: Int64? { state.withLock { $0.sleepers.values.map(\.time).min() } }

  /// The number of sleeping tasks.
  public var sleeperCount: Int { state.withLock { $0.sleepers.count } }

  /// Waits until at least `count` tasks sleep.
  public func sleepers(atLeast count: Int) async {
    await withContinuation { continuation in
      let enough = state.withLock { state in
        if state.sleepers.count >= count { return true }
        state.waiters.append((count, continuation))
        return false
      }
      if enough { continuation.resume() }
    }
  }
}
