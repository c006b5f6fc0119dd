import ForwardingDriver
import Foundation
import InMemoryLogging
import Logging
@testable import Qudo
import QudoSQLite
import QudoTesting
import Testing

/// Workers prune the logs while they work, by default.
@Suite final class RetentionTests {
  enum Base: CaseIterable { case memory, sqlite }

  let clock = ManualClock()
  let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
    "qudo-retention-\(UUID().uuidString)")

  init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false) }
  deinit { try? FileManager.default.removeItem(at: folder) }

  private func driver(_ base: Base, _ name: String = "jobs") throws -> WatchedDriver {
    switch base {
    case .memory: WatchedDriver(base: MemoryDriver(name: name, clock: clock), clock: clock)
    case .sqlite:
      WatchedDriver(
        base: try SQLiteDriver(path: folder.appendingPathComponent("\(name).db").path, clock: clock),
        clock: clock)
    }
  }

  private func worker(
    _ driver: any Driver, _ retention: Retention?,
    logger: Logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
  ) throws -> Worker<NoHooks> {
    try Worker(
      Queue(driver), handlers: [JobHandler("idle") { _ in }],
      options: WorkerOptions(retention: retention, logger: logger, clock: clock))
  }

  /// Writes so many rows to each log.
  private func fill(_ driver: WatchedDriver, _ count: Int) async throws {
    for (kind, outcome) in [("bad", Settlement.Outcome.failed(message: "no")), ("good", .completed())] {
      _ = try await driver.insert((0..<count).map { _ in NewJob(Kind(kind)) })
      let jobs = try await driver.claim(ClaimRequest([.init(Kind(kind))], limit: count)).jobs
      #expect(jobs.count == count)
      let recording: Duration? = kind == "good" ? .seconds(1) : nil
      _ = try await driver.settle(
        jobs.map { Settlement($0.lease, outcome, recording: recording) }, claiming: nil)
    }
  }

  private func left(_ driver: WatchedDriver) async throws -> [Int] {
    [
      try await driver.failures(LogQuery(limit: 10_000)).count,
      try await driver.statuses(LogQuery(limit: 10_000)).count,
    ]
  }

  /// Works while time passes in steps of a second, until so many prunes were asked for, and returns those.
  private func prunes(_ count: Int, of driver: WatchedDriver, _ worker: Worker<NoHooks>) async throws
    -> [WatchedDriver.Look]
  {
    let (work, time) = (Task { try await worker.work() }, passingTime())
    var looks: [WatchedDriver.Look] = []
    for await look in driver.looks.stream {
      looks.append(look)
      if looks.count == count { break }
    }
    time.cancel()
    work.cancel()
    _ = try await work.value
    return looks
  }

  private func passingTime(_ step: Duration = .seconds(1)) -> Task<Void, Never> {
    Task { [clock] in
      while !Task.isCancelled {
        if clock.sleeperCount > 0 { clock.advance(by: step) }
        await Task.yield()
      }
    }
  }

  @Test(.timeLimit(.minutes(5)), arguments: Base.allCases)
  func rowsOfTheGreatestAgeGoAndLaterOnesStay(base: Base) async throws {
    let driver = try driver(base)
    try await fill(driver, 3)
    // So long that the rows to keep do not get as old while the test lets time pass.
    let age = Duration.seconds(1000 * 86_400)
    clock.advance(by: age)
    try await fill(driver, 2)
    let looks = try await prunes(2, of: driver, try worker(driver, Retention(maxAge: age)))
    #expect(looks.map(\.deleted) == [6, 0])
    #expect(try await left(driver) == [2, 2])
  }

  @Test(
    "A log beyond its number of rows shrinks in short transactions", .timeLimit(.minutes(5)),
    arguments: Base.allCases)
  func longLogShrinksInShortTransactions(base: Base) async throws {
    let driver = try driver(base)
    try await fill(driver, 2200)
    let newest = try await driver.failures(LogQuery(limit: 1000)).map(\.id)
    let looks = try await prunes(4, of: driver, try worker(driver, Retention(maxAge: nil, maxRows: 1000)))
    #expect(looks.map(\.deleted) == [1000, 1000, 400, 0])
    #expect(try await driver.failures(LogQuery(limit: 10_000)).map(\.id) == newest)
    #expect(try await left(driver) == [1000, 1000])
    // Others have their turn in between.
    #expect(zip(looks, looks.dropFirst(1)).allSatisfy { $0.time < $1.time })
  }

  @Test("a look is followed by a pause", .timeLimit(.minutes(5))) func pauses() async throws {
    let driver = try driver(.memory)
    let looks = try await prunes(4, of: driver, try worker(driver, Retention(maxRows: nil)))
    #expect(looks.map(\.deleted) == [0, 0, 0, 0])
    #expect(zip(looks, looks.dropFirst(1)).allSatisfy { $1.time - $0.time >= 480_000_000 })
  }

  @Test(
    "the first look is due within 10 s, the next ones after 8 to 10 min, or after about 1 min",
    .timeLimit(.minutes(5)))
  func times() async throws {
    let driver = try driver(.memory)
    try await fill(driver, 800)
    let options = WorkerOptions(retention: Retention(maxAge: nil, maxRows: 10), clock: clock)
    let pruner = try #require(
      LogPruner(options, database: "jobs") { options throws(QudoError) in try await driver.prune(options) })
    let start = clock.sinceBoot()
    #expect((0..<100).allSatisfy { _ in (start..<start + 10_000_000).contains(pruner.firstTime) })
    func look() async -> Double {
      let ended = AsyncStream<Int64>.makeStream()
      let time = passingTime(.milliseconds(5))
      pruner.start(on: SerialThread("test")) { [clock] next in
        ended.continuation.yield(next - clock.sinceBoot())
      }
      var pauses = ended.stream.makeAsyncIterator()
      let pause = await pauses.next() ?? 0
      time.cancel()
      await pruner.finish()
      return Double(pause) / 1_000_000
    }
    // 790 rows of each log, in two transactions. Time may pass before the end is heard.
    #expect(await (40...60).contains(look()))
    #expect(try await left(driver) == [10, 10])
    #expect(await (470...600).contains(look()))
  }

  @Test(
    "nil, and bounds of nil, never prune", .timeLimit(.minutes(5)),
    arguments: [nil, Retention(maxAge: nil, maxRows: nil)])
  func never(_ retention: Retention?) async throws {
    let driver = try driver(.memory)
    try await fill(driver, 3)
    clock.advance(by: .seconds(400 * 86_400))
    let worker = try worker(driver, retention)
    let work = Task { try await worker.work() }
    for _ in 0..<1000 {
      await clock.sleepers(atLeast: 1)
      clock.advance(by: .seconds(5))
    }
    work.cancel()
    _ = try await work.value
    driver.looks.continuation.finish()
    for await look in driver.looks.stream { Issue.record("pruned: \(look)") }
    #expect(try await left(driver) == [3, 3])
  }

  @Test("an error is logged, and the worker goes on and tries later", .timeLimit(.minutes(5)))
  func errors() async throws {
    let driver = try driver(.sqlite)
    try await fill(driver, 1)
    driver.failures.withLock { $0 = [QudoError(.busy, "another process holds the write lock")] }
    let log = InMemoryLogHandler()
    let worker = try worker(
      driver, Retention(maxAge: .zero, maxRows: nil), logger: Logger(label: "test") { _ in log })
    clock.advance(by: .seconds(1))
    let looks = try await prunes(3, of: driver, worker)
    #expect(looks.map(\.deleted) == [-1, 2, 0])
    let warnings = log.entries.filter { $0.level >= .warning }
    #expect(warnings.map { $0.message.description } == ["logs not pruned, trying later"])
    #expect(warnings.map { $0.metadata["code"] } == ["busy"])
  }

  @Test("the end of the worker ends a look that finds no end of rows", .timeLimit(.minutes(5)))
  func stopped() async throws {
    var driver = try driver(.memory)
    driver.pretended = 1
    let looks = try await prunes(3, of: driver, try worker(driver, Retention()))
    #expect(looks.map(\.deleted) == [1, 1, 1])
  }

  @Test("each of several databases is pruned, beside one that fails", .timeLimit(.minutes(5)))
  func several() async throws {
    let drivers = [try driver(.memory, "a"), try driver(.memory, "b")]
    for driver in drivers { try await fill(driver, 5) }
    drivers[0].failures.withLock { $0 = Array(repeating: QudoError(.busy, "it is busy"), count: 1000) }
    var options = DatabaseOptions()
    options.clock = clock
    // Time passes faster than calls are answered.
    options.callTimeout = .seconds(1_000_000)
    let databases = try Databases(drivers.map { Databases.Source($0) }, options: options)
    let worker = try Worker(
      Queue(databases), handlers: [JobHandler("idle") { _ in }],
      options: WorkerOptions(
        retention: Retention(maxAge: nil, maxRows: 2),
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
        clock: clock))
    let looks = try await prunes(2, of: drivers[1], worker)
    #expect(looks.map(\.deleted) == [6, 0])
    #expect(try await left(drivers[1]) == [2, 2])
    #expect(try await left(drivers[0]) == [5, 5])
  }

  @Test(arguments: [Retention(maxAge: .seconds(-1)), Retention(maxRows: -1)])
  func boundsThatMakeNoSenseAreRefused(retention: Retention) throws {
    #expect { try worker(try driver(.memory), retention) } throws: { error in
      (error as? QudoError)?.code == .invalidArgument
    }
  }

  @Test func theDefaults() {
    #expect(WorkerOptions().retention == Retention())
    #expect(Retention().maxAge == .seconds(14 * 86_400) && Retention().maxRows == 1_000_000)
  }

  @Test("a worker whose driver has no logs works") func withoutLogs() async throws {
    let driver = PlainDriver(base: MemoryDriver(clock: clock))
    _ = try await driver.insert([NewJob("idle")])
    #expect(try await worker(driver, Retention()).workUntilEmpty().completed == 1)
  }
}

/// A driver that tells of each prune, and fails it when told to.
private struct WatchedDriver: ForwardingDriver {
  struct Look: Sendable {
    /// The time of the call, in microseconds since the boot.
    let time: Int64
    /// -1 for a call that failed.
    let deleted: Int
  }

  let base: any LogDriver
  let clock: ManualClock
  let looks = AsyncStream<Look>.makeStream()
  let failures = Locked<[QudoError]>([])
  /// Each prune says that it has deleted so many, and deletes nothing.
  var pretended: Int?

  func prune(_ prune: PruneOptions) async throws(QudoError) -> Int {
    let time = clock.sinceBoot()
    if let error = failures.withLock({ $0.popLast() }) {
      looks.continuation.yield(Look(time: time, deleted: -1))
      throw error
    }
    let count = if let pretended { pretended } else { try await base.prune(prune) }
    looks.continuation.yield(Look(time: time, deleted: count))
    return count
  }
}

/// A driver without logs.
private struct PlainDriver: PlainForwardingDriver {
  let base: any Driver
}
