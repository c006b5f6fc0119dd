public import Qudo

/// A clock that stands still until it is told to go on.
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

  /// Stands at this moment: by default in November 2023, a second after the machine started.
  public init(
    wall: Timestamp = Timestamp(microseconds: 1_700_000_000_000_000), sinceBoot: Int64 = 1_000_000,
    boot: String = "boot-1"
  ) {
    state = Locked(State(reading: ClockReading(wall: wall, sinceBoot: sinceBoot, boot: boot)))
  }

  public func now() -> ClockReading { state.withLock { $0.reading } }
  public func sinceBoot() -> Int64 { state.withLock { $0.reading.sinceBoot } }

  /// Time passes, but nobody is woken before the next ``advance(by:)``: a machine that is too busy.
  public func advanceWithoutWaking(by duration: Duration) {
    state.withLock { state in
      state.reading.wall = state.reading.wall.advanced(by: duration)
      state.reading.sinceBoot += duration.wholeMicroseconds
    }
  }

  /// Time passes: both clocks go on, and who sleeps until then is woken.
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

  /// Somebody sets the wall clock: no time passes.
  public func jump(by duration: Duration) {
    state.withLock { $0.reading.wall = $0.reading.wall.advanced(by: duration) }
  }

  /// The machine starts anew: its steady clock begins at nought.
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
          // A cancellation that comes later finds the sleeper.
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

  /// When the earliest of those who sleep wants to be woken, by ``sinceBoot()``.
  public var nextWake: Int64? { state.withLock { $0.sleepers.values.map(\.time).min() } }

  /// How many tasks sleep now.
  public var sleeperCount: Int { state.withLock { $0.sleepers.count } }

  /// Returns when at least `count` tasks sleep.
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
