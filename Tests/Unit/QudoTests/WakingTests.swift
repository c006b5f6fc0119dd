import Logging
import Qudo
import QudoTesting
import Testing

/// An idle worker is woken whenever a job comes: no timer comes to its help here, as its clock stands still.
@Suite(.timeLimit(.minutes(5))) struct WakingTests {
  /// A job comes at each of the moments at which the worker looks at its clock, one after the other: while it claims, when it has found
  /// nothing, when it is about to wait.
  @Test(arguments: 1...12) func aJobThatComesBetweenTwoStepsIsFound(look: Int) async throws {
    let time = ManualClock()
    let driver = MemoryDriver(clock: time)
    _ = try await driver.insert([NewJob("a", due: .after(.seconds(3600)))])
    var options = WorkerOptions()
    let hasCome = Locked(false)
    let come: @Sendable () -> Void = {
      let isFirst = hasCome.withLock { hasCome in
        defer { hasCome = true }
        return !hasCome
      }
      guard isFirst else { return }
      // Its hour has come for the database.
      time.advance(by: .seconds(3600))
      driver.doorbell.ring()
    }
    let clock = CountingClock { if $0 == look { come() } }
    options.clock = clock
    options.logger = Logger(label: "none") { _ in SwiftLogNoOpLogHandler() }
    let (runs, run) = AsyncStream<Void>.makeStream()
    let worker = try Worker(Queue(driver), handlers: [JobHandler("a") { _ in run.yield() }], options: options)
    let work = Task { try await worker.work() }
    // Which takes fewer looks than the most of these.
    await clock.base.sleepers(atLeast: 1)
    come()
    for await _ in runs { break }
    work.cancel()
    #expect(try await work.value.completed == 1)
  }
}

/// A clock that stands still, and says how often it has been looked at.
private struct CountingClock: QueueClock {
  let base = ManualClock()
  private let looks = Locked(0)
  let looked: @Sendable (_ count: Int) -> Void

  init(_ looked: @escaping @Sendable (_ count: Int) -> Void) { self.looked = looked }

  func now() -> ClockReading { base.now() }

  func sinceBoot() -> Int64 {
    let count = looks.withLock { count in
      count += 1
      return count
    }
    looked(count)
    return base.sinceBoot()
  }

  func sleep(untilSinceBoot time: Int64) async throws { try await base.sleep(untilSinceBoot: time) }
}
