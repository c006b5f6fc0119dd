import Logging
import Qudo
import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// Jobs whose leases expire too often are heard of.
@Suite struct GivenUpTests {
  let file: TemporaryFile
  let clock = ManualClock()
  let log = WarningLog()
  let driver: SQLiteDriver

  init() throws {
    file = try TemporaryFile()
    driver = try file.open(clock: clock)
  }

  private func options() -> WorkerOptions {
    var options = WorkerOptions()
    options.clock = clock
    options.logger = log.logger
    return options
  }

  /// Two jobs of which one lease each has expired: one may not lose more, the other may.
  private func lose() async throws {
    _ = try await driver.insert([job("poison", unique: UniqueKey("k")), job("other", kind: "b")])
    _ = try await driver.claim(demand(1, "a", maxExpiredLeases: 1))
    _ = try await driver.claim(demand(1, "b", maxExpiredLeases: 2))
    clock.advance(by: .seconds(61))
  }

  @Test(
    "a worker tells its log, its hooks and its summary of a job that it gives up", .timeLimit(.minutes(5)))
  func told() async throws {
    try await lose()
    let spy = SpyHook()
    let queue = Queue(driver) { spy }
    let worker = try Worker(queue, handlers: [JobHandler("b") { _ in }], options: options())
    let summary = try await worker.workUntilEmpty()
    #expect(summary.givenUp == 1 && summary.completed == 1 && summary.failed == 0)
    #expect(spy.events.filter { $0.name == "didGiveUp" } == [.didGiveUp("a", job: 1, expiredLeases: 1)])
    #expect(log.warnings == ["error: job given up: its lease expired 1 times attempt=1 job=jobs/1 kind=a"])
  }

  @Test("a worker tells its log, its hooks and its summary of jobs that expired", .timeLimit(.minutes(5)))
  func toldOfExpired() async throws {
    _ = try await driver.insert([
      job("1", expires: .after(.seconds(1))),
      job("2", due: .after(.seconds(1)), expires: .after(.seconds(2))),
      job("3", kind: "b"),
    ])
    clock.advance(by: .seconds(2))
    let spy = SpyHook()
    let worker = try Worker(
      Queue(driver) { spy }, handlers: [JobHandler("b") { _ in }], options: options())
    let summary = try await worker.workUntilEmpty()
    #expect(summary.expired == 2 && summary.givenUp == 0 && summary.completed == 1)
    #expect(
      spy.events.filter { $0.name == "didGiveUp" } == [
        .didGiveUp("a", job: 1, expiredLeases: 0), .didGiveUp("a", job: 2, expiredLeases: 0),
      ])
    #expect(log.warnings == [])
  }

  @Test("a summary that only gave up a job is no run", .timeLimit(.minutes(5)))
  func onceWithoutARun() async throws {
    try await lose()
    let worker = try Worker(Queue(driver), handlers: [JobHandler("c") { _ in }], options: options())
    #expect(try await worker.workOnce() == false)
    #expect(log.warnings.count == 1)
  }

  @Test("hooks of other kinds, and of other points, hear nothing", .timeLimit(.minutes(5)))
  func filtered() async throws {
    try await lose()
    let (own, others, off) = (SpyHook(), SpyHook(), SpyHook())
    let isOff = clock.sinceBoot() < 0
    let queue = Queue(driver) {
      own.only("a")
      others.only("b")
      if isOff { off }
      if isOff { off } else { Deaf() }
    }
    _ = try await Worker(queue, handlers: [JobHandler("b") { _ in }], options: options()).workUntilEmpty()
    #expect(own.events == [.didGiveUp("a", job: 1, expiredLeases: 1)])
    #expect(!others.events.contains { $0.name == "didGiveUp" })
    #expect(off.events == [])
  }

  /// Has the function, and does not name the point.
  struct Deaf: Hook {
    static var points: HookPoints { [.didClaim] }
    func didGiveUp(_ job: borrowing GivenUpJob, database: String) { Issue.record("not named") }
  }
}
