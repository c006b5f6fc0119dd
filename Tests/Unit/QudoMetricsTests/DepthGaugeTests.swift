#if Metrics
import ForwardingDriver
import Foundation
import InMemoryLogging
import Logging
import Metrics
import MetricsTestKit
import Qudo
import QudoMetrics
import QudoSQLite
import QudoTesting
import Testing

/// A gauge of a worker that has nothing else to do.
@Suite final class DepthGaugeTests {
  enum Base: CaseIterable { case memory, sqlite }

  let clock = ManualClock()
  let metrics = TestMetrics()
  let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
    "qudo-gauge-\(UUID().uuidString)")

  init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false) }
  deinit { try? FileManager.default.removeItem(at: folder) }

  func driver(_ base: Base = .memory) throws -> WatchedDriver {
    switch base {
    case .memory: WatchedDriver(base: MemoryDriver(clock: clock), clock: clock)
    case .sqlite:
      WatchedDriver(
        base: try SQLiteDriver(path: folder.appendingPathComponent("jobs.db").path, clock: clock),
        clock: clock)
    }
  }

  /// Works while `body` runs, which begins after the first look.
  func work(
    _ driver: any Driver, _ gauge: DepthGauge, log: InMemoryLogHandler? = nil, _ body: () async throws -> Void
  ) async throws {
    var options = WorkerOptions()
    options.clock = clock
    // So long that the gauge alone wakes.
    options.pollInterval = .seconds(1_000_000_000)
    if let log { options.logger = Logger(label: "test") { _ in log } }
    let worker = try Worker(
      Queue(driver), handlers: [JobHandler("idle") { _ in }], plugins: [gauge], options: options)
    let work = Task { try await worker.work() }
    await clock.sleepers(atLeast: 2)
    try await body()
    work.cancel()
    _ = try await work.value
  }

  /// Ready, delayed, running, and the age.
  func depths(_ kind: String) throws -> [Double?] {
    try ["ready", "delayed", "running", "oldest_ready_seconds"].map { label in
      try metrics.expectMeter("qudo_\(label)", [("kind", kind)]).lastValue
    }
  }

  @Test(arguments: Base.allCases) func eachKindIsMeasured(base: Base) async throws {
    let driver = try driver(base)
    _ = try await driver.insert([
      NewJob("a", due: .after(.seconds(4))), NewJob("a", due: .after(.seconds(5))),
      NewJob("a", due: .after(.seconds(60))), NewJob("b"),
    ])
    #expect(try await driver.claim(ClaimRequest([.init("b")], limit: 1)).jobs.count == 1)
    clock.advance(by: .milliseconds(11_500))
    try await work(driver, DepthGauge(kinds: ["a", "b", "none"], factory: metrics)) { () async throws in
      #expect(try depths("a") == [2, 1, 0, 7.5])
      #expect(try depths("b") == [0, 0, 1, 0])
      #expect(try depths("none") == [0, 0, 0, 0])
      // Who has nothing ready is not asked how old it is.
      #expect(driver.finds.withLock { $0 } == ["a"])
    }
  }

  @Test func theWorkersKindsAreThoseOfTheGauge() async throws {
    try await work(try driver(), DepthGauge(factory: metrics)) { () async throws in
      #expect(try depths("idle") == [0, 0, 0, 0])
      #expect(metrics.meters.count == 5)
    }
  }

  @Test func itLooksAgainAtEachInterval() async throws {
    let driver = try driver()
    try await work(driver, DepthGauge(interval: .seconds(30), kinds: ["a"], factory: metrics)) {
      () async throws in
      #expect(try depths("a") == [0, 0, 0, 0])
      for jobs in 1...2 {
        _ = try await driver.insert([NewJob("a")])
        clock.advance(by: .seconds(29))
        #expect(try depths("a")[0] == Double(jobs - 1))
        clock.advance(by: .seconds(1))
        await clock.sleepers(atLeast: 2)
        #expect(try depths("a")[0] == Double(jobs))
      }
      // Those of the first look are used again.
      #expect(metrics.meters.count == 5)
      #expect(try metrics.expectMeter("qudo_ready", [("kind", "a")]).values.count == 3)
    }
  }

  @Test(arguments: [(took: 100, pause: 15_000), (took: 1000, pause: 100_000)])
  func aSlowLookIsFollowedByALongPause(took: Int, pause: Int) async throws {
    var driver = try driver()
    driver.delay = .milliseconds(took)
    try await work(driver, DepthGauge(kinds: ["a"], factory: metrics)) { () async throws in
      #expect(clock.nextWake == clock.sinceBoot() + Int64(pause) * 1000)
    }
  }

  @Test func withoutTheAgeNothingIsLookedFor() async throws {
    let driver = try driver()
    _ = try await driver.insert([NewJob("a")])
    try await work(driver, DepthGauge(kinds: ["a"], measuresAge: false, prefix: "shop", factory: metrics)) {
      () async throws in
      #expect(try metrics.expectMeter("shop_ready", [("kind", "a")]).lastValue == 1)
      #expect(metrics.meters.count == 4)
      #expect(driver.finds.withLock { $0 } == [])
    }
  }

  @Test func troubleIsLoggedAndTriedAgain() async throws {
    let driver = try driver()
    driver.failures.withLock { $0 = [QudoError(.busy, "somebody else has it")] }
    let log = InMemoryLogHandler()
    _ = try await driver.insert([NewJob("a")])
    try await work(driver, DepthGauge(kinds: ["a"], factory: metrics), log: log) { () async throws in
      #expect(log.entries.filter { $0.level == .warning }.map { $0.metadata["code"] } == ["busy"])
      #expect(try depths("a")[0] == nil)
      clock.advance(by: .seconds(15))
      await clock.sleepers(atLeast: 2)
      #expect(try depths("a")[0] == 1)
    }
    #expect(log.entries.filter { $0.level >= .warning }.count == 1)
  }

  @Test func anIntervalOfNothingIsRefused() async throws {
    let gauge = DepthGauge(interval: .zero, factory: metrics)
    let worker = try Worker(Queue(try driver()), handlers: [JobHandler("idle") { _ in }], plugins: [gauge])
    let error = await #expect(throws: QudoError.self) { try await worker.work() }
    #expect((error?.cause as? QudoError)?.code == .invalidArgument)
  }
}
#endif
