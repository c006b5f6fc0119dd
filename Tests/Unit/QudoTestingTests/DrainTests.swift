import Qudo
import QudoTesting
import Testing

/// How a user tests what jobs do, without a wait.
@Suite struct DrainTests {
  let clock = ManualClock()
  let driver: MemoryDriver
  let queue: Queue<NoHooks>
  let handlers = [JobHandler(SendReceipt.self), JobHandler(AskForReview.self)]

  init() {
    driver = MemoryDriver(clock: clock)
    queue = Queue(driver)
  }

  @Test func delayedJobsAndRetriesRunAtOnceEachAtItsTime() async throws {
    let start = clock.now().wall
    try await Shop(queue: queue).order("lamp", by: "ada")

    #expect(try await queue.drain(handlers, clock) == 4)

    #expect(try await driver.count().isEmpty)
    let failures = try await driver.failures(LogQuery(oldestFirst: true))
    #expect(failures.map(\.failedAt) == [start, start.advanced(by: .seconds(60))])
    #expect(clock.now().wall == start.advanced(by: .seconds(86_400)))
  }

  @Test func timePassesAsFarAsAsked() async throws {
    let start = clock.now().wall
    try await Shop(queue: queue).order("lamp", by: "ada")
    let worker = try Worker(queue, handlers: handlers)

    #expect(try await worker.drain(clock, for: .seconds(59)) == 1)
    #expect(clock.now().wall == start.advanced(by: .seconds(59)))
    #expect(try await worker.drain(clock, for: .seconds(1)) == 1)
    #expect(try await worker.drain(clock, for: .seconds(3600)) == 1)
    #expect(try await driver.enqueued(AskForReview.self).map(\.state) == [.delayed])
    #expect(try await worker.drain(clock) == 1)
    #expect(try await worker.drain(clock) == 0)
    #expect(try await worker.drain(clock, for: .seconds(5)) == 0)
    #expect(clock.now().wall == start.advanced(by: .seconds(86_405)))
  }

  @Test("jobs beyond a rate run when their tokens are there, and after a throttle") func rates() async throws
  {
    let start = clock.now().wall
    let ends = Locked<[Int64]>([])
    _ = try await queue.enqueue((0..<4).map { _ in NewJob("call") })
    let handler = JobHandler("call", policy: JobPolicy(rate: RateLimit(2, per: .seconds(20)))) {
      [clock] context in
      let count = ends.withLock { ends in
        ends.append((clock.now().wall.microseconds - start.microseconds) / 1_000_000)
        return ends.count
      }
      guard count == 3 else { return }
      try await context.throttle(for: .seconds(3600))
      try context.snooze(for: .seconds(1))
    }

    #expect(try await queue.drain([handler], clock, limit: 20) == 5)

    #expect(ends.withLock { $0 } == [0, 0, 10, 3610, 3620])
  }

  @Test("held jobs run after the delayed one that they wait for") func held() async throws {
    let order = Locked<[String]>([])
    let jobs = [("1", Due.after(.seconds(60))), ("2", .now), ("3", .after(.seconds(90)))].map { text, due in
      NewJob("a", payload: Payload(text), concurrencyKey: "k", due: due)
    }
    _ = try await queue.enqueue(jobs)
    let handler = JobHandler("a") { context in
      order.withLock { $0.append(String(decoding: context.job.payload.bytes, as: UTF8.self)) }
    }
    #expect(try await queue.drain([handler], clock) == 3)
    #expect(order.withLock { $0 } == ["1", "2", "3"])
  }

  @Test func theJobsOfADeadWorkerRunWhenItsLeaseEnds() async throws {
    try await queue.enqueue(AskForReview(customer: "ada"))
    _ = try await driver.claim(
      ClaimRequest([.init(AskForReview.kind, leaseDuration: .seconds(60))], limit: 1))
    let start = clock.now().wall

    #expect(try await queue.drain(handlers, clock) == 1)
    #expect(clock.now().wall == start.advanced(by: .seconds(60)))
  }

  @Test func otherKindsAreLeftAlone() async throws {
    let start = clock.now().wall
    try await Shop(queue: queue).order("lamp", by: "ada")
    #expect(try await queue.drain([JobHandler(SendReceipt.self)], clock) == 3)
    #expect(clock.now().wall == start.advanced(by: .seconds(180)))
    #expect(try await driver.enqueued(AskForReview.self).count == 1)
  }

  @Test func jobsThatNeverEndAreReported() async throws {
    let again = JobHandler("again") { context in try context.snooze(for: .seconds(1)) }
    try await queue.enqueue(NewJob("again"))
    await #expect(throws: DrainFailure.self) { try await queue.drain([again], clock, limit: 50) }
  }

  @Test func aDriverOnAnotherClockIsReported() async throws {
    let queue = Queue(MemoryDriver())
    try await queue.enqueue(AskForReview(customer: "ada"), due: .after(.seconds(3600)))
    await #expect(throws: DrainFailure.self) { try await queue.drain(handlers, clock, limit: 50) }
  }

  @Test func moreJobsThanAPageAreDrained() async throws {
    try await queue.enqueue(
      contentsOf: (0..<501).map { AskForReview(customer: "\($0)") }, due: .after(.seconds(1)))
    try await queue.enqueue(AskForReview(customer: "first"), due: .after(.milliseconds(1)))
    #expect(try await queue.drain(handlers, clock) == 502)
  }
}
