import Testing

@testable import Qudo

/// Who sleeps until when, without a thread or a clock.
@Suite struct TimerQueueTests {
  private var queue = TimerQueue<Int>()

  private mutating func add(_ time: Int64) -> UInt64 {
    let id = queue.makeID()
    queue.insert(Int(time), id, until: time)
    return id
  }

  @Test("wakes the earliest first and nobody early") mutating func order() {
    var random = SystemRandomNumberGenerator()
    let times = (0..<500).map { _ in Int64.random(in: 0...1000, using: &random) }
    for time in times { _ = add(time) }
    let (first, next) = (queue.takeDue(300), queue.nextTime)
    #expect(first == times.filter { $0 <= 300 }.sorted().map(Int.init))
    #expect(next == times.filter { $0 > 300 }.min())
    let (rest, none) = (queue.takeDue(.max), queue.nextTime)
    #expect(rest == times.filter { $0 > 300 }.sorted().map(Int.init) && none == nil && queue.count == 0)
  }

  @Test("wakes nobody who was removed, and keeps no room for them") mutating func removal() {
    let kept = add(5_000)
    for round in 0..<10_000 {
      let id = add(Int64(10_000 + round))
      let (first, second) = (queue.remove(id), queue.remove(id))
      #expect(first == 10_000 + round && second == nil)
    }
    #expect(queue.count == 1 && queue.heapCount < 100)
    let due = queue.takeDue(.max)
    #expect(due == [5_000])
    let late = queue.remove(kept)
    #expect(late == nil)
  }

  @Test("sleeps until its time, or until the task is cancelled") func sleeping() async throws {
    let clock = SystemClock()
    let end = clock.sinceBoot() + 20_000
    try await clock.sleep(untilSinceBoot: end)
    #expect(clock.sinceBoot() >= end)
    try await clock.sleep(untilSinceBoot: 0)
    let task = Task { try await clock.sleep(untilSinceBoot: .max) }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<200 {
        group.addTask {
          try await clock.sleep(
            untilSinceBoot: clock.sinceBoot() + Int64(number % 7) * 1000 + (number % 2 == 0 ? 0 : 60_000_000))
        }
      }
      for _ in 0..<100 { _ = try? await group.next() }
      group.cancelAll()
    }
  }
}
