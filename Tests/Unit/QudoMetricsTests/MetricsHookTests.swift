#if Metrics
import Metrics
import MetricsTestKit
import Qudo
import QudoMetrics
import QudoTesting
import Testing

@Suite struct MetricsHookTests {
  struct Broken: Error {}

  let clock = ManualClock()
  let metrics = TestMetrics()
  let driver: MemoryDriver

  init() { driver = MemoryDriver(clock: clock) }

  var queue: Queue<MetricsHook> { Queue(driver) { MetricsHook(factory: metrics, clock: clock) } }

  func options() -> WorkerOptions {
    var options = WorkerOptions()
    options.clock = clock
    options.pollInterval = .seconds(1_000_000)
    options.shutdownGracePeriod = .zero
    return options
  }

  /// The counters that were ever incremented, with their totals.
  func totals(_ kind: String = "a") -> [String: Int64] {
    let counters = metrics.counters.filter {
      $0.dimensions.map(\.0) == ["kind"] && $0.dimensions.map(\.1) == [kind]
    }
    return Dictionary(uniqueKeysWithValues: counters.map { ($0.label, $0.totalValue) }).filter {
      $0.value != 0
    }
  }

  @Test func enqueuesAndConflictsAreCounted() async throws {
    for conflict in [UniqueKey.Conflict.reject, .keep, .overwrite] {
      try await queue.enqueue(NewJob("a", unique: UniqueKey("k", onConflict: conflict)))
    }
    try await queue.enqueue([NewJob("b"), NewJob("b")])
    #expect(totals() == ["qudo_enqueued": 1, "qudo_conflicts": 2])
    #expect(totals("b") == ["qudo_enqueued": 2])
  }

  @Test("enqueues of the application's own transaction are counted") func transactions() async throws {
    let hook = MetricsHook(factory: metrics, clock: clock)
    #expect(MetricsHook.points.contains(.didEnqueueInTransaction))
    hook.didEnqueueInTransaction(NewJob("a"), result: .inserted(JobID(database: "d", number: 1)))
    hook.didEnqueueInTransaction(NewJob("a"), result: .conflict(JobID(database: "d", number: 1)))
    #expect(totals() == ["qudo_enqueued": 1, "qudo_conflicts": 1])
  }

  @Test func everyOutcomeIsCounted() async throws {
    var policy = JobPolicy()
    policy.maxRetries = 1
    let handler = JobHandler("a", policy: policy) { context in
      switch String(decoding: context.payload.bytes, as: UTF8.self) {
      case "fail": throw Broken()
      case "abort": try context.abort("no")
      case "snooze": if context.attempt == 1 { try context.snooze(for: .zero, countsAttempt: true) }
      case "replace": context.replace(with: [NewJob("a", payload: Payload("complete"))])
      default: break
      }
    }
    let queue = queue
    try await queue.enqueue(
      ["complete", "fail", "abort", "snooze", "replace"].map { NewJob("a", payload: Payload($0)) })
    try await Worker(queue, handlers: [handler], options: options()).workUntilEmpty()
    #expect(
      totals() == [
        "qudo_enqueued": 6, "qudo_claimed": 8, "qudo_completed": 4, "qudo_replaced": 1, "qudo_retried": 1,
        "qudo_failed": 1,
        "qudo_aborted": 1, "qudo_snoozed": 1,
      ])
  }

  @Test func aRunThatIsStoppedCountsAsReleased() async throws {
    let (running, begins) = AsyncStream<Void>.makeStream()
    let handler = JobHandler("a") { _ in
      begins.yield()
      try await Task.sleep(for: .seconds(86_400))
    }
    let queue = queue
    try await queue.enqueue(NewJob("a"))
    let worker = try Worker(queue, handlers: [handler], options: options())
    let work = Task { try await worker.work() }
    for await _ in running { break }
    work.cancel()
    _ = try await work.value
    #expect(totals() == ["qudo_enqueued": 1, "qudo_claimed": 1, "qudo_released": 1])
  }

  @Test func aLostLeaseIsCounted() async throws {
    let (running, begins) = AsyncStream<Void>.makeStream()
    let handler = JobHandler("a") { _ in
      begins.yield()
      try await Task.sleep(for: .seconds(86_400))
    }
    let queue = queue
    try await queue.enqueue(NewJob("a"))
    let worker = try Worker(queue, handlers: [handler], options: options())
    async let work = worker.workUntilEmpty()
    for await _ in running { break }
    await clock.sleepers(atLeast: 1)
    // Somebody else takes the job over and completes it, before the worker looks after its lease again.
    clock.advanceWithoutWaking(by: .seconds(61))
    let job = try #require(try await driver.claim(ClaimRequest([.init("a")], limit: 1)).jobs.first)
    _ = try await driver.settle([Settlement(job.lease, .completed())], claiming: nil)
    clock.advance(by: .zero)
    _ = try await work
    #expect(totals() == ["qudo_enqueued": 1, "qudo_claimed": 1, "qudo_leases_lost": 1, "qudo_released": 1])
  }

  @Test("jobs that a claim gave up, and expired ones, are counted by their own kind")
  func endedByAClaim() async throws {
    let queue = queue
    try await queue.enqueue([NewJob("a"), NewJob("b", expires: .after(.seconds(60)))])
    // Its worker dies with the only lease that the job may lose.
    let claim = try await driver.claim(ClaimRequest([.init("a", maxExpiredLeases: 1)], limit: 1))
    #expect(claim.jobs.count == 1)
    clock.advance(by: .seconds(61))
    let worker = try Worker(queue, handlers: [JobHandler("c") { _ in }], options: options())
    let summary = try await worker.workUntilEmpty()
    #expect(summary.givenUp == 1 && summary.expired == 1)
    #expect(totals() == ["qudo_enqueued": 1, "qudo_given_up": 1])
    #expect(totals("b") == ["qudo_enqueued": 1, "qudo_expired": 1])
    #expect(totals("c") == [:])
  }

  @Test func waitAndDurationAreMeasured() async throws {
    let handler = JobHandler("a") { [clock] _ in clock.advance(by: .milliseconds(1500)) }
    let queue = queue
    try await queue.enqueue(NewJob("a", due: .after(.seconds(10))))
    clock.advance(by: .seconds(15))
    #expect(try await Worker(queue, handlers: [handler], options: options()).workOnce())
    #expect(try metrics.expectTimer("qudo_wait", [("kind", "a")]).values == [5_000_000_000])
    #expect(try metrics.expectTimer("qudo_run_duration", [("kind", "a")]).values == [1_500_000_000])
  }

  /// A due time that was past already when the job came is no wait.
  @Test func theWaitBeginsWithTheEnqueueAtTheEarliest() async throws {
    let queue = queue
    try await queue.enqueue(NewJob("a", due: .at(Timestamp(microseconds: 0))))
    clock.advance(by: .seconds(2))
    #expect(try await Worker(queue, handlers: [JobHandler("a") { _ in }], options: options()).workOnce())
    #expect(try metrics.expectTimer("qudo_wait", [("kind", "a")]).values == [2_000_000_000])
  }

  @Test func metricsAreMadeOncePerKind() async throws {
    let factory = CountingFactory(base: metrics)
    let queue = Queue(driver) { MetricsHook(prefix: "shop", factory: factory, clock: clock) }
    try await queue.enqueue((0..<100).map { NewJob($0 % 2 == 0 ? "a" : "b") })
    let worker = try Worker(
      queue, handlers: [JobHandler("a") { _ in }, JobHandler("b") { _ in }], options: options())
    try await worker.workUntilEmpty()
    #expect(factory.made.withLock { $0 } == 2 * 15)
    #expect(totals() == ["shop_enqueued": 50, "shop_claimed": 50, "shop_completed": 50])
  }
}

/// Counts the metrics that it makes.
struct CountingFactory: MetricsFactory {
  let base: TestMetrics
  let made = Locked(0)

  private func counted<Metric>(_ metric: Metric) -> Metric {
    made.withLock { $0 += 1 }
    return metric
  }
  func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
    counted(base.makeCounter(label: label, dimensions: dimensions))
  }
  func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
    counted(base.makeRecorder(label: label, dimensions: dimensions, aggregate: aggregate))
  }
  func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
    counted(base.makeTimer(label: label, dimensions: dimensions))
  }
  func destroyCounter(_ handler: any CounterHandler) { base.destroyCounter(handler) }
  func destroyRecorder(_ handler: any RecorderHandler) { base.destroyRecorder(handler) }
  func destroyTimer(_ handler: any TimerHandler) { base.destroyTimer(handler) }
}
#endif
