#if ServiceLifecycle
import Logging
import Qudo
import QudoServiceLifecycle
import QudoTesting
import ServiceLifecycle
import ServiceLifecycleTestKit
import Testing

/// A clock that tells who begins to wait for what.
struct WatchedClock: QueueClock {
  let base = ManualClock()
  let sleeps = AsyncStream<Int64>.makeStream()

  func now() -> ClockReading { base.now() }
  func sinceBoot() -> Int64 { base.sinceBoot() }
  func sleep(untilSinceBoot time: Int64) async throws {
    sleeps.continuation.yield(time)
    try await base.sleep(untilSinceBoot: time)
  }

  /// Returns when a task waits that long from now on.
  func sleeps(for duration: Duration) async {
    for await time in sleeps.stream where time == sinceBoot() + duration.wholeMicroseconds { return }
  }
}

@Suite struct WorkerServiceTests {
  struct Broken: Error {}

  let clock = WatchedClock()
  let driver: MemoryDriver
  let started = AsyncStream<Void>.makeStream()
  let finish = AsyncStream<Void>.makeStream()

  init() { driver = MemoryDriver(clock: clock) }

  /// Its job says that it has begun, and goes on until it is told to end or is cancelled.
  func service(grace: Duration) async throws -> WorkerService<NoHooks> {
    _ = try await driver.insert([NewJob("a")])
    var options = WorkerOptions()
    options.clock = clock
    options.shutdownGracePeriod = grace
    let handler = JobHandler("a") { [started, finish] _ in
      started.continuation.yield()
      for await _ in finish.stream { return }
      throw CancellationError()
    }
    return WorkerService(try Worker(Queue(driver), handlers: [handler], options: options))
  }

  func jobBegins() async { for await _ in started.stream { return } }

  @Test func aGracefulShutdownLetsARunningJobEnd() async throws {
    let service = try await service(grace: .seconds(3))
    try await testGracefulShutdown { trigger in
      async let run: Void = service.run()
      await jobBegins()
      trigger.triggerGracefulShutdown()
      await clock.sleeps(for: .seconds(3))
      // Not claimed any more.
      _ = try await driver.insert([NewJob("a")])
      finish.continuation.yield()
      try await run
    }
    #expect(try await driver.count() == [JobCount("a", ready: 1)])
  }

  @Test func afterItsGraceTheJobIsCancelledAndGivenBack() async throws {
    let service = try await service(grace: .zero)
    try await testGracefulShutdown { trigger in
      async let run: Void = service.run()
      await jobBegins()
      trigger.triggerGracefulShutdown()
      try await run
    }
    #expect(try await driver.count() == [JobCount("a", ready: 1)])
  }

  @Test func cancellingTheTaskEndsItLikewise() async throws {
    let service = try await service(grace: .zero)
    let run = Task { try await service.run() }
    await jobBegins()
    run.cancel()
    try await run.value
    #expect(try await driver.count() == [JobCount("a", ready: 1)])
  }

  /// Fails as soon as it is told to.
  struct Failing: Service {
    let when: AsyncStream<Void>

    func run() async throws {
      for await _ in when { throw Broken() }
    }
  }

  @Test func anotherServiceThatFailsEndsIt() async throws {
    let group = ServiceGroup(
      services: [Failing(when: started.stream), try await service(grace: .zero)],
      logger: Logger(label: "test"))
    await #expect(throws: Broken.self) { try await group.run() }
    #expect(try await driver.count() == [JobCount("a", ready: 1)])
  }

  struct Missing: Plugin {
    func start(_ worker: WorkerContext) async throws { throw Broken() }
  }

  @Test func itsErrorsAreTheGroups() async throws {
    let worker = try Worker(Queue(driver), handlers: [JobHandler("a") { _ in }], plugins: [Missing()])
    let group = ServiceGroup(services: [WorkerService(worker)], logger: Logger(label: "test"))
    let error = await #expect(throws: QudoError.self) { try await group.run() }
    #expect(error?.code == .plugin && error?.cause is Broken)
  }

  @Test func itsNameTellsItsKinds() async throws {
    let worker = try Worker(
      Queue(driver), handlers: [JobHandler("mail.send") { _ in }, JobHandler("a") { _ in }])
    #expect("\(WorkerService(worker))" == "worker of a, mail.send")
  }
}
#endif
