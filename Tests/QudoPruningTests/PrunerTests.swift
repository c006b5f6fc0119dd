import ForwardingDriver
import Foundation
import InMemoryLogging
import Logging
import Qudo
import QudoPruning
import QudoSQLite
import QudoTesting
import Testing

/// A pruner beside a worker that has nothing else to do.
@Suite final class PrunerTests {
  enum Base: CaseIterable { case memory, sqlite }

  let clock = ManualClock()
  let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
    "qudo-pruner-\(UUID().uuidString)")

  init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false) }
  deinit { try? FileManager.default.removeItem(at: folder) }

  func driver(_ base: Base) throws -> WatchedDriver {
    switch base {
    case .memory: WatchedDriver(base: MemoryDriver(clock: clock))
    case .sqlite:
      WatchedDriver(base: try SQLiteDriver(path: folder.appendingPathComponent("jobs.db").path, clock: clock))
    }
  }

  func worker(_ driver: any Driver, _ pruner: Pruner, logger: Logger = Logger(label: "test")) throws
    -> Worker<NoHooks>
  {
    var options = WorkerOptions()
    options.clock = clock
    options.logger = logger
    // So long that the pruner alone wakes.
    options.pollInterval = .seconds(1_000_000)
    return try Worker(
      Queue(driver), handlers: [JobHandler("idle") { _ in }], plugins: [pruner], options: options)
  }

  /// So many rows in each log.
  func fill(_ driver: WatchedDriver, _ count: Int) async throws {
    for (kind, outcome) in [("bad", Settlement.Outcome.failed(message: "no")), ("good", .completed())] {
      _ = try await driver.insert((0..<count).map { _ in NewJob(Kind(kind)) })
      let jobs = try await driver.claim(ClaimRequest([.init(Kind(kind))], limit: count)).jobs
      #expect(jobs.count == count)
      let recording: Duration? = kind == "good" ? .seconds(1) : nil
      _ = try await driver.settle(
        jobs.map { Settlement($0.lease, outcome, recording: recording) }, claiming: nil)
    }
  }

  func left(_ driver: WatchedDriver) async throws -> [Int] {
    [
      try await driver.failures(LogQuery(limit: 1000)).count,
      try await driver.statuses(LogQuery(limit: 1000)).count,
    ]
  }

  /// Works until so many prunes were asked for, and says what each deleted.
  func prune(_ driver: WatchedDriver, _ pruner: Pruner, times: Int) async throws -> [Int] {
    let worker = try worker(driver, pruner)
    let work = Task { try await worker.work() }
    let deleted = await next(times, of: driver)
    work.cancel()
    _ = try await work.value
    return deleted
  }

  func next(_ times: Int, of driver: WatchedDriver) async -> [Int] {
    var deleted: [Int] = []
    for await count in driver.prunes.stream {
      deleted.append(count)
      if deleted.count == times { break }
    }
    return deleted
  }

  @Test(arguments: Base.allCases) func whatIsTooOldGoes(base: Base) async throws {
    let driver = try driver(base)
    try await fill(driver, 3)
    clock.advance(by: .seconds(3601))
    try await fill(driver, 2)
    let deleted = try await prune(driver, Pruner(maxAge: .seconds(3600), maxCount: nil), times: 2)
    #expect(deleted == [6, 0])
    #expect(try await left(driver) == [2, 2])
  }

  @Test(arguments: Base.allCases) func ofTheRestTheNewestStay(base: Base) async throws {
    let driver = try driver(base)
    try await fill(driver, 5)
    let newest = try await driver.failures(LogQuery(limit: 2)).map(\.id)
    let deleted = try await prune(driver, Pruner(maxAge: .seconds(3600), maxCount: 2), times: 3)
    #expect(deleted == [0, 6, 0])
    #expect(try await driver.failures(LogQuery()).map(\.id) == newest)
    #expect(try await left(driver) == [2, 2])
  }

  @Test(arguments: Base.allCases) func noTransactionDeletesMoreThanABatch(base: Base) async throws {
    let driver = try driver(base)
    try await fill(driver, 25)
    let deleted = try await prune(driver, Pruner(maxAge: nil, maxCount: 0, batch: 10), times: 4)
    #expect(deleted == [20, 20, 10, 0])
    #expect(try await left(driver) == [0, 0])
  }

  @Test(arguments: Base.allCases) func itLooksAgainAtEachInterval(base: Base) async throws {
    let driver = try driver(base)
    let worker = try worker(driver, Pruner(maxAge: .seconds(60), maxCount: nil, interval: .seconds(600)))
    let work = Task { try await worker.work() }
    #expect(await next(1, of: driver) == [0])
    for _ in 0..<2 {
      try await fill(driver, 1)
      // The worker and its pruner.
      await clock.sleepers(atLeast: 2)
      clock.advance(by: .seconds(599))
      #expect(try await left(driver) == [1, 1])
      clock.advance(by: .seconds(1))
      #expect(await next(2, of: driver) == [2, 0])
      #expect(try await left(driver) == [0, 0])
    }
    work.cancel()
    _ = try await work.value
  }

  @Test func troubleIsLoggedAndTriedAgain() async throws {
    let driver = try driver(.sqlite)
    try await fill(driver, 1)
    driver.failures.withLock { $0 = [QudoError(.busy, "somebody else has it")] }
    let log = InMemoryLogHandler()
    let worker = try worker(
      driver, Pruner(maxAge: nil, maxCount: 0, interval: .seconds(600)),
      logger: Logger(label: "test") { _ in log })
    let work = Task { try await worker.work() }
    #expect(await next(1, of: driver) == [-1])
    await clock.sleepers(atLeast: 2)
    let warnings = log.entries.filter { $0.level == .warning }
    #expect(warnings.map { $0.metadata["code"] } == ["busy"])
    #expect(try await left(driver) == [1, 1])
    clock.advance(by: .seconds(600))
    #expect(await next(2, of: driver) == [2, 0])
    work.cancel()
    _ = try await work.value
    #expect(log.entries.filter { $0.level >= .warning }.count == 1)
  }

  /// The driver pretends that there is no end of rows.
  @Test func itEndsBetweenBatchesWhenTheWorkerEnds() async throws {
    var driver = try driver(.memory)
    driver.pretended = 1
    #expect(try await prune(driver, Pruner(), times: 3) == [1, 1, 1])
  }

  @Test func aDriverWithoutLogsIsRefused() async throws {
    let worker = try worker(PlainDriver(base: MemoryDriver(name: "plain", clock: clock)), Pruner())
    let error = await #expect(throws: QudoError.self) { try await worker.work() }
    #expect(error?.code == .plugin)
    #expect((error?.cause as? QudoError)?.code == .invalidArgument)
    #expect(
      (error?.cause as? QudoError)?.message
        == "the driver of plain has no logs to prune: leave the pruner out")
  }

  @Test(arguments: [
    Pruner(maxAge: .seconds(-1)), Pruner(maxCount: -1), Pruner(interval: .zero), Pruner(batch: 0),
    Pruner(batch: 1_000_001),
  ]) func settingsThatMakeNoSenseAreRefused(pruner: Pruner) async throws {
    let worker = try worker(try driver(.memory), pruner)
    let error = await #expect(throws: QudoError.self) { try await worker.work() }
    #expect(error?.code == .plugin)
    #expect((error?.cause as? QudoError)?.code == .invalidArgument)
  }

  @Test func anIntervalMayBeOfAnyLength() async throws {
    let driver = try driver(.memory)
    #expect(try await prune(driver, Pruner(interval: .seconds(Int64.max)), times: 2) == [0, 0])
  }
}
