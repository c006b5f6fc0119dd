import Qudo
import QudoTesting
import Testing

/// A queue whose jobs run when they are enqueued.
@Suite struct InlineTests {
  let clock = ManualClock()
  let driver: MemoryDriver
  let log = Locked<[String]>([])

  init() { driver = MemoryDriver(clock: clock) }

  struct Broken: Error {}

  func noting(_ kind: Kind, _ run: @escaping @Sendable (JobContext) async throws -> Void = { _ in })
    -> JobHandler
  {
    JobHandler(kind) { [log] context in
      log.withLock { $0.append("\(kind) \(String(decoding: context.payload.bytes, as: UTF8.self))") }
      try await run(context)
    }
  }

  func noted() -> [String] { log.withLock { $0 } }

  @Test func jobsHaveRunWhenTheEnqueueReturns() async throws {
    let queue = try Queue(driver).inline([noting("a")])
    let result = try await queue.enqueue(NewJob("a", payload: Payload("1")))
    #expect(result == .inserted(JobID(database: "memory", number: 1)))
    #expect(noted() == ["a 1"])
    try await queue.enqueue([
      NewJob("a", payload: Payload("2")), NewJob("a", payload: Payload("3"), priority: 1),
    ])
    #expect(noted() == ["a 1", "a 3", "a 2"])
    try await queue.queue.expectNothingEnqueued()
  }

  @Test func theyGoThroughHooksAndCodecs() async throws {
    let spy = SpyHook()
    let queue = try Queue(driver, hooks: { spy }).inline([JobHandler(AskForReview.self)])
    try await queue.enqueue(AskForReview(customer: "ada"))
    #expect(
      spy.events.map(\.name) == [
        "willEnqueue", "serialize", "didEnqueue", "didClaim", "deserialize", "willWork", "begins", "ends",
        "didWork", "didSettle",
      ])
  }

  @Test func whatJobsEnqueueOrAreReplacedByRunsAfterThem() async throws {
    let box = Locked<(any Enqueuer)?>(nil)
    let queue = try Queue(driver).inline([
      noting("a") { [log] context in
        try await box.withLock { $0 }?.enqueue(NewJob("b", payload: Payload("enqueued")))
        context.replace(with: [NewJob("b", payload: Payload("replaced"))])
        log.withLock { $0.append("a ends") }
      },
      noting("b"),
    ])
    box.withLock { $0 = queue }
    try await queue.enqueue(NewJob("a", payload: Payload("1")))
    #expect(noted() == ["a 1", "a ends", "b enqueued", "b replaced"])
  }

  @Test func whatIsToWaitIsKeptForDrain() async throws {
    let handlers = [
      noting("a"),
      noting("snoozing") { context in
        if context.enqueuedAt == context.startedAt { try context.snooze(for: .seconds(9)) }
      },
    ]
    let queue = try Queue(driver).inline(handlers + [JobHandler(SendReceipt.self)], clock: clock)
    try await queue.enqueue(NewJob("a", due: .after(.seconds(60))))
    try await queue.enqueue(NewJob("snoozing"))
    try await queue.enqueue(SendReceipt(to: "ada", item: "lamp"))
    #expect(noted() == ["snoozing "])
    #expect(queue.failures.map(\.isFinal) == [false])
    #expect(try await driver.count().map(\.delayed) == [1, 1, 1])

    let start = clock.now().wall
    #expect(try await queue.drain(clock) == 4)
    #expect(noted() == ["snoozing ", "snoozing ", "a "])
    #expect(
      clock.now().wall == start.advanced(by: .seconds(180)), "the receipt's retries come after 60 and 120 s")
    #expect(queue.failures.map(\.attempt) == [1, 2])
  }

  @Test func timeThatWasMovedByHandCanBeWorkedOff() async throws {
    let queue = try Queue(driver).inline([noting("a")])
    try await queue.enqueue(NewJob("a", due: .after(.seconds(60))))
    #expect(try await queue.run() == 0)
    clock.advance(by: .seconds(60))
    #expect(try await queue.run() == 1)
  }

  @Test func aJobThatIsGivenUpIsThrown() async throws {
    var policy = JobPolicy()
    policy.maxRetries = 2
    let queue = try Queue(driver).inline([
      JobHandler("a", policy: policy) { _ in throw Broken() }, noting("b"),
    ])
    let error = await #expect(throws: FailedJobs.self) {
      try await queue.enqueue([NewJob("a"), NewJob("b")])
    }
    #expect(error?.failures.map(\.attempt) == [3] && error?.failures.first?.error is Broken)
    #expect(error?.description == "a memory/1 failed at attempt 3: Broken()")
    #expect(noted() == ["b "], "the others have run all the same")
    #expect(queue.failures.map(\.attempt) == [1, 2, 3])
    #expect(try await driver.failures(LogQuery()).count == 3)
    try await queue.enqueue(NewJob("b"))
  }

  @Test func failuresMayBeRecordedOnly() async throws {
    let queue = try Queue(driver).inline([noting("a") { try $0.abort("no") }], failures: .recorded)
    try await queue.enqueue(NewJob("a"))
    #expect(queue.failures.map(\.isFinal) == [true] && queue.failures.map(\.kind) == ["a"])
    #expect(queue.failures.first?.error is Abort)
  }

  @Test func otherKindsStayWhereTheyAre() async throws {
    let queue = try Queue(driver).inline([noting("a")])
    try await queue.enqueue(NewJob("b"))
    try await queue.queue.expectEnqueued("b")
  }

  @Test func jobsThatComeAgainAndAgainAreFoundOut() async throws {
    let queue = try InlineQueue(Queue(driver), [JobHandler("a") { try $0.snooze(for: .zero) }], limit: 50)
    await #expect(throws: DrainFailure.self) { try await queue.enqueue(NewJob("a")) }
  }

  /// Counts its starts and stops.
  struct Counter: Plugin {
    let log: Locked<[String]>
    func start(_ worker: WorkerContext) async throws { log.withLock { $0.append("start") } }
    func stop(_ worker: WorkerContext) async { log.withLock { $0.append("stop") } }
    func count(_ text: String) { log.withLock { $0.append("job \(text)") } }
  }

  struct Count: PluginJob {
    static let kind: Kind = "count"
    var text: String
    func perform(_ context: JobContext, using plugins: Using<Counter>) async throws {
      plugins.all.count(text)
    }
  }

  @Test("Plugins are started once for all jobs of an enqueue or a drain")
  func pluginsStartOncePerDrain() async throws {
    let plain = Queue(driver)
    let queue = try plain.inline([JobHandler(Count.self)], plugins: [Counter(log: log)])
    try await queue.enqueue(contentsOf: [Count(text: "1"), Count(text: "2")])
    #expect(noted() == ["start", "job 1", "job 2", "stop"])

    try await plain.enqueue(contentsOf: [Count(text: "3"), Count(text: "4")], due: .after(.seconds(1)))
    #expect(try await plain.drain([JobHandler(Count.self)], plugins: [Counter(log: log)], clock) == 2)
    #expect(noted().dropFirst(4) == ["start", "job 3", "job 4", "stop"])
    #expect(throws: QudoError.self) { try plain.inline([JobHandler(Count.self)]) }
  }

  @Test("When tasks that enqueue at the same time continue, their jobs have run")
  func concurrentEnqueuesRunTheirJobs() async throws {
    let queue = try Queue(driver).inline([noting("a")])
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for number in 0..<50 {
        group.addTask { [log] in
          try await queue.enqueue(NewJob("a", payload: Payload("\(number)")))
          return log.withLock { $0.contains("a \(number)") }
        }
      }
      for try await hasRun in group { #expect(hasRun) }
    }
    #expect(noted().count == 50)
  }
}
