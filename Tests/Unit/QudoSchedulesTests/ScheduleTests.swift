import Foundation
import ForwardingDriver
import Logging
import Qudo
import QudoSQLite
import QudoTesting
import Testing

@testable import QudoSchedules

/// Schedules in a file, with workers that go by a clock of the test's own.
@Suite struct ScheduleTests {
  let file: ScheduleFile
  init() throws { file = try ScheduleFile() }

  @Test("a declared schedule has its first job at its first tick, and each job knows its tick")
  func declared() async throws {
    let hourly = schedule("hourly", .every(.seconds(3600)))
    #expect(try await file.ticks([hourly]) == [])
    file.clock.advance(by: .seconds(3599))
    #expect(try await file.ticks([hourly]) == [])
    file.clock.advance(by: .seconds(1))
    #expect(try await file.ticks([hourly]) == ["hourly 2026-11-29T13:00:00Z"])
    #expect(try await file.ticks([hourly]) == [], "the tick is enqueued once")
    file.clock.advance(by: .seconds(3600))
    #expect(try await file.ticks() == ["hourly 2026-11-29T14:00:00Z"], "the process that declared it is gone")
  }

  @Test("a running worker enqueues each tick as it comes, and hears of schedules that others add")
  func running() async throws {
    let work = Task { [file] in try await file.worker([schedule("a", .every(.seconds(1)))]).work() }
    var elapsed = 0
    for second in 1...5 {
      // The worker sleeps until the tick.
      while try await file.schedules.schedule(named: "a")?.schedule.nextTick
        != ScheduleFile.start.advanced(by: .seconds(second))
      {
        await Task.yield()
      }
      file.clock.advance(by: .milliseconds(second * 1000 - elapsed))
      elapsed = second * 1000
      while file.ran.entries.count < second {
        // Never up to the next tick, however long the machine takes.
        if elapsed < second * 1000 + 900 {
          await file.clock.sleepers(atLeast: 1)
          file.clock.advance(by: .milliseconds(1))
          elapsed += 1
        }
        await Task.yield()
      }
    }
    #expect(file.ran.entries.map { $0.suffix(4) } == ["01Z", "02Z", "03Z", "04Z", "05Z"].map { ":" + $0 })
    let other = Queue(try file.open())
    try await other.schedules.remove("a")
    try await other.schedules.add(schedule("b", .every(.seconds(3600))))
    file.clock.jump(by: .seconds(3600))
    // The worker looks after 10 s at the latest. Never up to the next tick, however long the machine takes.
    var steps = 0
    while file.ran.entries.count < 6 {
      if steps < 3000 {
        await file.clock.sleepers(atLeast: 1)
        file.clock.advance(by: .seconds(1))
        steps += 1
      }
      await Task.yield()
    }
    #expect(file.ran.entries.last == "b 2026-11-29T13:00:00Z")
    work.cancel()
    _ = try await work.value
  }

  @Test("the same rule keeps its next tick, another rule begins anew") func redeclared() async throws {
    try await file.schedules.add(schedule("s", .every(.seconds(3600))))
    file.clock.advance(by: .seconds(1800))
    let kept = try await file.schedules.add(schedule("s", .every(.seconds(3600)), missed: .all))
    #expect(kept.schedule.nextTick == at("2026-11-29T13:00:00Z") && kept.schedule.version == 2)
    let same = try await file.schedules.add(schedule("s", .every(.seconds(3600)), missed: .all))
    #expect(same == kept, "nothing is written if nothing changes")
    let other = try await file.schedules.add(schedule("s", .every(.seconds(2400))))
    #expect(other.schedule.nextTick == at("2026-11-29T12:40:00Z"))
  }

  @Test(
    "a file that slept for 30 days makes up for the ticks of its policy",
    arguments: [(MissedTicks.skip, 0), (.latest, 1), (.last(5), 5), (.all, 720)]) func slept(
      _ missed: MissedTicks, _ count: Int
    ) async throws
  {
    try await file.schedules.add(schedule("s", .every(.seconds(3600)), missed: missed))
    file.clock.advance(by: .seconds(30 * 86_400 + 300))
    let ticks = try await file.ticks()
    #expect(ticks.count == count && Set(ticks).count == count)
    #expect(count == 0 || ticks.last == "s 2026-12-29T12:00:00Z")
    #expect(
      try await file.schedules.schedule(named: "s")?.schedule.nextTick == at("2026-12-29T13:00:00Z"))
    file.clock.advance(by: .seconds(3300))
    #expect(try await file.ticks() == ["s 2026-12-29T13:00:00Z"])
  }

  @Test("a job out of turn leaves the look for overlaps as it is") func runNowBesideOverlap() async throws {
    try await file.schedules.add(schedule("s", .every(.seconds(60)), skipsOverlap: true))
    file.clock.advance(by: .seconds(60))
    try await file.queue.tickOnce(file.clock)
    let id = try #require(try await file.schedules.runNow("s"))
    try await file.queue.cancel(id)
    file.clock.advance(by: .seconds(60))
    try await file.queue.tickOnce(file.clock)
    #expect(try await file.driver.count().first?.ready == 1, "the job of the first tick still waits")
  }

  @Test("much that was missed is enqueued in transactions of a thousand jobs or 4 MiB") func parts()
    async throws
  {
    let payload = Payload([UInt8](repeating: 1, count: 1 << 20))
    for index in 0..<5 {
      let job = NewJob(
        "tick", payload: index == 0 ? Payload("") : Payload(Array(payload.bytes.dropLast(1000))))
      try await file.schedules.add(Schedule("s\(index)", .every(.seconds(1)), job, missed: .all))
    }
    file.clock.advance(by: .seconds(10))
    let driver = CountingDriver(base: file.driver)
    var ticker = Ticker(logger: Logger(label: "test"))
    var rounds = 0
    while try await ticker.tick(TickStore(driver)) == .zero { rounds += 1 }
    #expect(rounds >= 2)
    let counts = driver.advanced.withLock { $0 }
    #expect(counts.reduce(0, +) == 50 && counts.allSatisfy { $0 <= 14 }, "\(counts)")
    #expect(try await file.driver.count().first?.ready == 50)
  }

  @Test("a schedule that is refused while many of its ticks are due does not have the scheduler spin")
  func spin() async throws {
    var large = StoredSchedule(
      name: "large", rule: "every 1s", kind: "tick", payload: Payload([UInt8](repeating: 1, count: 1 << 20)),
      missed: "all")
    large.nextTick = ScheduleFile.start
    #expect(try await file.driver.store([large]) == [true])
    file.clock.advance(by: .seconds(5000))
    #expect(try await file.queue.tickOnce(file.clock) == nil)
  }

  @Test("a worker that ends when the queue is empty runs all ticks that have come") func untilEmpty()
    async throws
  {
    try await file.schedules.add(schedule("s", .every(.seconds(1)), missed: .all))
    file.clock.advance(by: .seconds(2500))
    #expect(try await file.ticks().count == 2500)
  }

  @Test("more missed ticks than a transaction takes are all made up for") func flood() async throws {
    try await file.schedules.add(schedule("s", .every(.seconds(1)), missed: .all))
    file.clock.advance(by: .seconds(2500))
    for _ in 0..<3 { _ = try await Queue(file.driver).tickOnce(file.clock) }
    #expect(try await file.driver.count().first?.ready == 2500)
  }

  @Test("a tick is skipped while the last job waits, runs or is retried") func overlap() async throws {
    try await file.schedules.add(schedule("s", .every(.seconds(60)), skipsOverlap: true))
    func tick() async throws -> Int {
      file.clock.advance(by: .seconds(60))
      try await file.queue.tickOnce(file.clock)
      let count = try await file.driver.count().first
      return (count?.ready ?? 0) + (count?.running ?? 0) + (count?.delayed ?? 0)
    }
    #expect(try await tick() == 1)
    #expect(try await tick() == 1, "it waits")
    let claim = try await file.driver.claim(
      ClaimRequest([ClaimRequest.KindDemand("tick", leaseDuration: .seconds(600))], limit: 1))
    let job = try #require(claim.jobs.first)
    #expect(try await tick() == 1, "it runs")
    _ = try await file.driver.settle(
      [Settlement(job.lease, .retry(after: .seconds(300), message: "x"))], claiming: nil)
    #expect(try await tick() == 1, "it is retried later")
    try await file.queue.cancel(JobID(database: file.driver.name, number: job.id))
    #expect(try await tick() == 1, "it is gone, and the next one is there")
    let stored = try await file.schedules.schedule(named: "s")?.schedule
    #expect(stored?.lastTick == at("2026-11-29T12:05:00Z") && stored?.lastJob != job.id)
  }

  @Test("a paused schedule has no ticks, and goes on with the first one after its pause") func paused()
    async throws
  {
    try await file.schedules.add(schedule("s", .every(.seconds(60)), missed: .all))
    #expect(try await file.schedules.pause("s", reason: "quiet")?.schedule.reason == "quiet")
    file.clock.advance(by: .seconds(600))
    #expect(try await file.ticks() == [])
    try await file.schedules.add(schedule("s", .every(.seconds(60)), missed: .all))
    #expect(
      try await file.schedules.schedule(named: "s")?.schedule.isPaused == true,
      "a declaration does not resume it")
    let resumed = try await file.schedules.resume("s")?.schedule
    #expect(resumed?.isPaused == false && resumed?.reason == nil)
    #expect(try await file.ticks() == [])
    file.clock.advance(by: .seconds(60))
    #expect(try await file.ticks() == ["s 2026-11-29T12:11:00Z"])
    #expect(
      try await file.schedules.resume("s")?.schedule.nextTick == at("2026-11-29T12:12:00Z"),
      "it is not paused")
  }

  @Test("a job out of turn knows its time, and the ticks stay") func runNow() async throws {
    try await file.schedules.add(schedule("s", .every(.seconds(3600))))
    file.clock.advance(by: .seconds(61))
    let id = try await file.schedules.runNow("s")
    #expect(id?.database == file.driver.name)
    #expect(try await file.ticks() == ["s 2026-11-29T12:01:01Z"])
    #expect(try await file.schedules.schedule(named: "s")?.schedule.nextTick == at("2026-11-29T13:00:00Z"))
    #expect(try await file.schedules.runNow("none") == nil)
  }

  @Test("a removed schedule is gone, and its jobs stay") func removed() async throws {
    try await file.schedules.add(schedule("s", .every(.seconds(60))))
    try await file.schedules.runNow("s")
    #expect(try await file.schedules.remove("s"))
    #expect(try await !file.schedules.remove("s"))
    #expect(try await file.schedules.all() == [])
    #expect(try await file.ticks().count == 1)
  }

  @Test("a clock that is set back repeats no tick, and one that is set forward makes up for the latest")
  func clocks() async throws {
    try await file.schedules.add(schedule("s", .every(.seconds(60))))
    file.clock.advance(by: .seconds(60))
    #expect(try await file.ticks().count == 1)
    file.clock.jump(by: .seconds(-600))
    #expect(try await file.ticks() == [])
    file.clock.advance(by: .seconds(600))
    #expect(try await file.ticks() == [])
    file.clock.jump(by: .seconds(86_400))
    #expect(try await file.ticks() == ["s 2026-11-30T12:01:00Z"])
  }

  @Test("of many schedulers at once each tick gets one job") func contended() async throws {
    for index in 0..<5 { try await file.schedules.add(schedule("s\(index)", .every(.seconds(60)))) }
    let drivers = try (0..<20).map { _ in try file.open() }
    for round in 1...10 {
      file.clock.advance(by: .seconds(60))
      try await withThrowingTaskGroup { group in
        for driver in drivers { group.addTask { [file] in try await Queue(driver).tickOnce(file.clock) } }
        try await group.waitForAll()
      }
      #expect(try await file.driver.count().first?.ready == 5 * round)
    }
    for driver in drivers { await driver.close() }
  }

  @Test("a rule that nobody knows stops no other schedule, and is logged once") func unknown() async throws {
    try await file.schedules.add(schedule("known", .every(.seconds(60))))
    var strange = StoredSchedule(name: "a strange one", rule: "when the moon is full", kind: "tick")
    strange.nextTick = ScheduleFile.start
    #expect(try await file.driver.store([strange]) == [true])
    file.clock.advance(by: .seconds(60))
    let log = LogLines()
    var ticker = Ticker(logger: log.logger)
    for _ in 0..<3 {
      #expect(try await ticker.tick(TickStore(file.driver)) == .seconds(60))
    }
    #expect(log.lines == ["schedule failed"])
    #expect(try await file.driver.count().first?.ready == 1)
    // A change of the schedule has it looked at again.
    strange.version = 1
    #expect(try await file.driver.store([strange]) == [true])
    _ = try await ticker.tick(TickStore(file.driver))
    #expect(log.lines.count == 2)
  }

  @Test("a job that the database refuses stops no other schedule") func refused() async throws {
    try await file.schedules.add(schedule("known", .every(.seconds(60))))
    var large = StoredSchedule(
      name: "large", rule: "every 1m", kind: "tick", payload: Payload([UInt8](repeating: 1, count: 1 << 20)))
    large.nextTick = ScheduleFile.start
    #expect(try await file.driver.store([large]) == [true], "it fits, but not with its tick")
    file.clock.advance(by: .seconds(60))
    let log = LogLines()
    var ticker = Ticker(logger: log.logger)
    _ = try await ticker.tick(TickStore(file.driver))
    #expect(log.lines.last == "schedule failed")
    #expect(try await file.driver.count().first?.ready == 1)
    // What would not fit at its ticks is refused when it is added.
    let job = NewJob("tick", payload: Payload([UInt8](repeating: 1, count: 1 << 20)))
    await #expect(throws: QudoError.self) {
      try await file.schedules.add(Schedule("s", .every(.seconds(60)), job))
    }
  }

  @Test("more schedules than a page are all enqueued") func pages() async throws {
    for index in 0..<250 { try await file.schedules.add(schedule("s\(index)", .every(.seconds(60)))) }
    file.clock.advance(by: .seconds(60))
    #expect(try await file.ticks().count == 250)
  }

  @Test("the job passes through the hooks of an enqueue when the schedule is added") func hooks() async throws
  {
    let queue = Queue(file.driver) { Reversing() }
    try await queue.schedules.add(
      Schedule("s", .every(.seconds(60)), NewJob("tick", payload: Payload("abc"))))
    #expect(try await file.schedules.all().first?.schedule.payload == Payload("cba"))
  }

  @Test("what makes no sense is refused before anything is stored") func nonsense() async throws {
    let bad = [
      schedule("", .every(.seconds(60))), schedule(String(repeating: "x", count: 256), .every(.seconds(60))),
      schedule("a\0b", .every(.seconds(60))), schedule("s", .every(.milliseconds(1))),
      schedule("s", .every(.zero)),
      schedule("s", try .cron("0 0 30 2 *")), schedule("s", .every(.seconds(60)), missed: .last(0)),
      Schedule("s", .every(.seconds(60)), NewJob("tick", unique: "k")),
      Schedule("s", .every(.seconds(60)), NewJob("tick", due: .after(.seconds(1)))),
      Schedule("s", .every(.seconds(60)), NewJob("")),
    ]
    for schedule in bad {
      await #expect(throws: QudoError.self, "\(schedule.name)") { try await file.schedules.add(schedule) }
    }
    #expect(try await file.schedules.all() == [])
    await #expect(throws: QudoError.self) {
      try await file.schedules.add(schedule("s", .every(.seconds(60))), in: "nowhere")
    }
  }

  @Test("with several databases a schedule is in one of them, wherever it was put first")
  func severalDatabases() async throws {
    let other = try ScheduleFile()
    let near = Databases.Source("near") { [file] () async throws(QudoError) in file.driver }
    let far = try SQLiteDriver(
      path: other.folder.appendingPathComponent("far.db").path, durability: .off, clock: file.clock)
    let queue = Queue(try Databases([near, Databases.Source(far)], options: patient))
    #expect(try await queue.schedules.add(schedule("a", .every(.seconds(60)))).database == file.driver.name)
    #expect(
      try await queue.schedules.add(schedule("b", .every(.seconds(60))), in: far.name).database == far.name)
    let turned = Queue(try Databases([Databases.Source(far), near], options: patient))
    #expect(try await turned.schedules.add(schedule("a", .every(.seconds(30)))).database == file.driver.name)
    #expect(try await turned.schedules.all().map(\.schedule.name) == ["b", "a"])
    #expect(try await turned.schedules.pause("b")?.database == far.name)
    // Two processes added it to different databases at once.
    let twice = StoredSchedule(name: "b", rule: "every 1m", kind: "tick")
    #expect(try await file.driver.store([twice]) == [true])
    try await queue.schedules.pause("b", reason: "both")
    #expect(
      try await queue.schedules.all().filter { $0.schedule.name == "b" }.map(\.schedule.reason) == [
        "both", "both",
      ])
    #expect(try await queue.schedules.remove("b"))
    #expect(
      try await queue.schedules.add(schedule("b", .every(.seconds(60))), in: far.name).database == far.name)
    #expect(try await turned.schedules.remove("a"))
    #expect(try await queue.schedules.all().map(\.schedule.name) == ["b"])
  }
}

/// Workers whose databases are unavailable when they start.
@Suite struct UnavailableScheduleTests {
  @Test("a worker begins without a database that is unavailable, and stores its schedules when it is back")
  func late() async throws {
    let file = try ScheduleFile()
    let isThere = Locked(false)
    let queue = Queue(
      try Databases([
        Databases.Source("late") { () async throws(QudoError) in
          guard isThere.withLock({ $0 }) else { throw QudoError(.unreachable, "not yet") }
          return file.driver
        }
      ]))
    var options = WorkerOptions()
    options.clock = file.clock
    let worker = try Worker(
      queue, handlers: [JobHandler("tick") { _ in }],
      plugins: [Schedules([schedule("s", .every(.seconds(60)))])], options: options)
    let work = Task { try await worker.work() }
    await file.clock.sleepers(atLeast: 1)
    isThere.withLock { $0 = true }
    while try await file.driver.schedules(nil).isEmpty {
      await file.clock.sleepers(atLeast: 1)
      file.clock.advance(by: .seconds(1))
      await Task.yield()
    }
    work.cancel()
    _ = try await work.value
  }

  @Test("catching up may take longer than one call: the database is not taken for unavailable") func slow()
    async throws
  {
    let file = try ScheduleFile()
    let payload = Payload([UInt8](repeating: 1, count: (1 << 20) - 1000))
    for index in 0..<9 {
      try await file.schedules.add(
        Schedule("s\(index)", .every(.seconds(3600)), NewJob("tick", payload: payload)))
    }
    file.clock.advance(by: .seconds(3600))
    var options = DatabaseOptions()
    options.clock = file.clock
    options.callTimeout = .seconds(10)
    let databases = try Databases(
      [Databases.Source(SlowDriver(base: file.driver, clock: file.clock))], options: options)
    var ticker = Ticker(logger: Logger(label: "test"))
    // Three transactions of 6 s each.
    #expect(try await ticker.tick(TickStore(databases, 0, name: "slow")) == .seconds(3600))
    #expect(try await file.driver.count().first?.ready == 9)
    #expect(databases.states.map(\.status) == [.live])
  }

  @Test("a new schedule is not added while a database that may have it is unavailable") func mayBeThere()
    async throws
  {
    let file = try ScheduleFile()
    let down = Databases.Source("down") { () async throws(QudoError) in throw QudoError(.unreachable, "down")
    }
    let queue = Queue(try Databases([Databases.Source(file.driver), down], options: patient))
    let error = await #expect(throws: QudoError.self) {
      try await queue.schedules.add(schedule("s", .every(.seconds(60))))
    }
    #expect(error?.code == .unreachable)
    try await file.schedules.add(schedule("s", .every(.seconds(60))))
    #expect(try await queue.schedules.add(schedule("s", .every(.seconds(30)))).schedule.rule == "every 30s")
  }

  @Test("a schedule that makes no sense stops the worker before it begins") func nonsense() async throws {
    let file = try ScheduleFile()
    let worker = try file.worker([schedule("s", .every(.milliseconds(1)))])
    let error = await #expect(throws: QudoError.self) { try await worker.work() }
    #expect(error?.code == .plugin && (error?.cause as? QudoError)?.code == .invalidArgument)
  }
}

/// A driver that takes 6 s for each transaction of ticks.
private struct SlowDriver: ForwardingDriver {
  let base: any LogDriver
  let clock: ManualClock

  func advance(_ ticks: [ScheduleTick]) async throws(QudoError) -> [TickResult] {
    clock.advance(by: .seconds(6))
    return try await base.scheduling().advance(ticks)
  }
}

/// A driver that notes how many jobs each transaction of ticks has.
private struct CountingDriver: ForwardingDriver {
  let base: any LogDriver
  let advanced = Locked<[Int]>([])

  func advance(_ ticks: [ScheduleTick]) async throws(QudoError) -> [TickResult] {
    advanced.withLock { $0.append(ticks.reduce(0) { $0 + $1.jobs.count }) }
    return try await base.scheduling().advance(ticks)
  }
}

/// Calls may take long on a busy machine.
private var patient: DatabaseOptions {
  var options = DatabaseOptions()
  options.callTimeout = .seconds(300)
  return options
}

/// A hook that stores payloads backwards.
private struct Reversing: Hook {
  static var points: HookPoints { .serialize }
  func serialize(_ job: inout NewJob) throws { job.payload.bytes.reverse() }
}

/// The messages of a logger.
private final class LogLines: Sendable {
  private let all = Locked<[String]>([])
  var lines: [String] { all.withLock { $0 } }
  var logger: Logger { Logger(label: "test") { _ in Handler(log: self) } }

  private struct Handler: LogHandler {
    let log: LogLines
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace
    subscript(metadataKey key: String) -> Logger.MetadataValue? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }
    func log(event: LogEvent) { log.all.withLock { $0.append("\(event.message)") } }
  }
}

extension Queue {
  /// Enqueues what is due, as a worker that starts does.
  @discardableResult
  func tickOnce(_ clock: any QueueClock) async throws -> Duration? {
    guard let driver = databases.only as? any ScheduleDriver else { return nil }
    var ticker = Ticker(logger: Logger(label: "test"))
    return try await ticker.tick(TickStore(driver))
  }
}
