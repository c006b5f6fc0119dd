import ForwardingDriver
import Foundation
import Qudo
@testable import QudoMonitor
import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// What a sample tells of databases, and what of one that does not answer.
@Suite struct QueueSamplerTests {
  private let clock = ManualClock()
  private let driver: MemoryDriver
  private let sampler: QueueSampler

  init() {
    driver = MemoryDriver(name: "jobs", clock: clock)
    sampler = QueueSampler([.init(driver)], clock: clock)
  }

  private func job(_ kind: Kind, due: Due = .now) -> NewJob { NewJob(kind, payload: Payload("x"), due: due) }

  private func state(_ sampler: QueueSampler? = nil) async throws -> DatabaseSample.DatabaseState {
    try #require(await (sampler ?? self.sampler).sample().databases.first).result.get()
  }

  private func claim(_ kind: Kind, _ limit: Int = 1) async throws -> [Lease] {
    try await driver.claim(ClaimRequest([.init(kind, leaseDuration: .seconds(600))], limit: limit)).jobs.map(
      \.lease)
  }

  @Test("an empty database has no kinds and no rates, and then rates of zero") func empty() async throws {
    var state = try await state()
    #expect(state.kinds.isEmpty && state.workers.isEmpty && state.enqueuedPerSecond == nil)
    #expect(state.oldestReady == nil && state.isExact)
    clock.advance(by: .seconds(1))
    state = try await self.state()
    #expect(state.enqueuedPerSecond == 0 && state.endedPerSecond == 0 && state.failuresPerSecond == 0)
  }

  @Test("kinds by name with their states, ages and pauses; one that is drained stays") func kinds()
    async throws
  {
    _ = try await driver.insert([job("b"), job("a"), job("a", due: .after(.seconds(100)))])
    try await driver.pause(["b"], until: .after(.seconds(60)), reason: "no disk")
    clock.advance(by: .seconds(7))
    var kinds = try await state().kinds
    #expect(kinds.map(\.kind) == ["a", "b"])
    #expect(kinds.map(\.ready) == [1, 1] && kinds.map(\.delayed) == [1, 0])
    #expect(kinds.map(\.isPaused) == [false, true] && kinds[1].pause?.reason == "no disk")
    #expect(kinds.map(\.oldestReady) == [.seconds(7), .seconds(7)])
    #expect(try await state().oldestReady == .seconds(7))
    #expect(kinds[0].held == nil && kinds[0].unfinished == 2)
    _ = try await driver.cancel(matching: JobQuery(kinds: ["a"]), reason: nil)
    kinds = try await state().kinds
    #expect(kinds.map(\.kind) == ["a", "b"] && kinds[0].unfinished == 0)
    #expect(kinds[0].failuresInMinute == 0, "a cancelled job is no failure")
    try await driver.pause(nil, until: nil, reason: nil)
    let state = try await state()
    #expect(state.pause != nil && state.kinds.allSatisfy(\.isPaused) && state.oldestReady == nil)
  }

  @Test("held jobs are counted, and are unfinished") func held() async throws {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent(
      "qudo-held-\(UUID().uuidString).db")
    let stored = try SQLiteDriver(path: file.path)
    for driver in [driver, stored] as [any ObservedDriver] {
      let jobs = (0..<3).map { _ in NewJob("a", concurrencyKey: ConcurrencyKey("customer-7")) }
      _ = try await driver.insert(jobs + [job("b")])
      let state = try await state(QueueSampler([.init(driver)], clock: clock))
      #expect(state.kinds.map(\.held) == [2, nil] && state.kinds.map(\.ready) == [1, 1])
      #expect(state.held == 2 && state.kinds[0].unfinished == 3)
    }
    await stored.close()
    for ending in ["", "-wal", "-shm", "-lock"] {
      try? FileManager.default.removeItem(atPath: file.path + ending)
    }
  }

  @Test("enqueued and ended per second are exact, by the ids and the change of the unfinished") func rates()
    async throws
  {
    _ = try await driver.insert((0..<10).map { _ in job("a") })
    _ = try await state()
    _ = try await driver.insert((0..<6).map { _ in job("a") })
    let leases = try await claim("a", 4)
    _ = try await driver.settle(
      leases.map { Settlement($0, .completed(), recording: .milliseconds(30)) }, claiming: nil)
    clock.advance(by: .seconds(2))
    var state = try await state()
    #expect(state.enqueuedPerSecond == 3 && state.endedPerSecond == 2 && state.failuresPerSecond == 0)
    #expect(state.kinds[0].changePerSecond == 1 && state.kinds[0].completedPerSecond == 2)
    #expect(state.kinds[0].runTime == Percentiles(p50: .milliseconds(30), p99: .milliseconds(30)))
    clock.advance(by: .seconds(2))
    state = try await self.state()
    #expect(state.enqueuedPerSecond == 0 && state.endedPerSecond == 0)
    #expect(state.kinds[0].completedPerSecond == 0 && state.kinds[0].runTime != nil)
  }

  @Test("completed runs are unknown for a kind that records none") func unrecorded() async throws {
    _ = try await driver.insert([job("a"), job("a")])
    _ = try await state()
    let leases = try await claim("a", 2)
    _ = try await driver.settle(leases.map { Settlement($0, .completed()) }, claiming: nil)
    clock.advance(by: .seconds(1))
    let state = try await state()
    #expect(
      state.endedPerSecond == 2 && state.kinds[0].completedPerSecond == nil && state.kinds[0].runTime == nil)
  }

  @Test("failures of the last minute and per second, those of retried runs included") func failures()
    async throws
  {
    _ = try await driver.insert((0..<4).map { _ in job("a") })
    _ = try await state()
    let leases = try await claim("a", 4)
    _ = try await driver.settle(
      [
        Settlement(leases[0], .failed(message: "no")),
        Settlement(leases[1], .retry(after: .zero, message: "no")),
      ], claiming: nil)
    clock.advance(by: .seconds(1))
    var state = try await state()
    #expect(state.kinds[0].failuresInMinute == 2 && state.failuresPerSecond == 2 && !state.hasMoreFailures)
    clock.advance(by: .seconds(60))
    state = try await self.state()
    #expect(state.failuresInMinute == 0 && state.failuresPerSecond == 0)
  }

  @Test("more new rows of a log than are read are estimated by the ids") func manyRows() async throws {
    let sampler = QueueSampler([.init(driver)], rowLimit: 10, clock: clock)
    _ = try await driver.insert((0..<41).map { _ in job("a") })
    let leases = try await claim("a", 41)
    let failed = leases.map { Settlement($0, .failed(message: "no")) }
    _ = try await driver.settle([failed[0]], claiming: nil)
    _ = try await state(sampler)
    _ = try await driver.settle(Array(failed[1...]), claiming: nil)
    clock.advance(by: .seconds(4))
    let state = try await state(sampler)
    #expect(state.failuresPerSecond == 10)
    #expect(state.hasMoreFailures && state.failuresInMinute == 10)
  }

  @Test("running jobs wait from their due time to their claim, and each run counts once") func waits()
    async throws
  {
    _ = try await driver.insert([job("a"), job("a")])
    clock.advance(by: .seconds(3))
    _ = try await claim("a")
    #expect(try await state().kinds[0].waitTime == Percentiles(p50: .seconds(3), p99: .seconds(3)))
    clock.advance(by: .seconds(6))
    _ = try await claim("a")
    let state = try await state()
    #expect(state.kinds[0].waitTime == Percentiles(p50: .seconds(3), p99: .seconds(9)))
    #expect(state.workers.map(\.processID) == [nil] && state.workers[0].jobs.map(\.id) == [1, 2])
  }

  @Test("the listing of running jobs is bounded, and says how many it lacks") func bound() async throws {
    let sampler = QueueSampler([.init(driver)], rowLimit: 2, clock: clock)
    _ = try await driver.insert((0..<5).map { _ in job("a") })
    _ = try await claim("a", 5)
    let state = try await state(sampler)
    #expect(state.running == 5 && state.workers[0].jobs.count == 2 && state.unlistedRunning == 3)
  }

  @Test("lower ids than before are another file: it begins anew") func replaced() {
    var fold = DatabaseFold()
    func figures(_ kind: Kind, highestID: Int64) -> QueueFigures {
      var figures = QueueFigures(now: clock.now().wall, isExact: true)
      figures.counts = [JobCount(kind, ready: 1)]
      figures.highestID = highestID
      return figures
    }
    _ = fold.add(figures("a", highestID: 9), at: 0, took: .zero, limit: 10)
    let state = fold.add(figures("b", highestID: 3), at: 1_000_000, took: .zero, limit: 10)
    #expect(state.kinds.map(\.kind) == ["b"] && state.enqueuedPerSecond == nil)
  }

  @Test("an answer that was overtaken by a newer one is no other file, and changes nothing") func overtaken()
  {
    var fold = DatabaseFold()
    func figures(_ highestID: Int64) -> QueueFigures {
      var figures = QueueFigures(now: clock.now().wall, isExact: true)
      figures.counts = [JobCount("a", ready: Int(highestID))]
      figures.highestID = highestID
      return figures
    }
    _ = fold.add(figures(10), call: 1, at: 0, took: .zero, limit: 10)
    let newer = fold.add(figures(30), call: 3, at: 1_000_000, took: .zero, limit: 10)
    #expect(newer.enqueuedPerSecond == 20 && newer.ready == 30)
    let older = fold.add(figures(20), call: 2, at: 2_000_000, took: .zero, limit: 10)
    #expect(older.ready == 30 && older.enqueuedPerSecond == 20, "what is known stays")
    let next = fold.add(figures(33), call: 4, at: 4_000_000, took: .zero, limit: 10)
    #expect(next.enqueuedPerSecond == 1 && next.kinds[0].changePerSecond == 1)
    #expect(fold.add(figures(3), call: 5, at: 5_000_000, took: .zero, limit: 10).enqueuedPerSecond == nil)
  }

  @Test("samples that overlap are folded in the order in which they began") func overlapping() async throws {
    let gate = Gate()
    let calls = Locked(0)
    let driver = SlowDriver(memory: self.driver) {
      let number = calls.withLock { calls in
        calls += 1
        return calls
      }
      // The first one reads its figures, and then nothing for a time.
      if number == 1 { await gate.pass() }
    }
    let sampler = QueueSampler([.init(driver)], clock: clock)
    async let first = sampler.sample()
    while calls.withLock({ $0 }) == 0 { await Task.yield() }
    _ = try await self.driver.insert([job("a"), job("a")])
    clock.advance(by: .seconds(1))
    #expect(await sampler.sample().databases[0].state?.ready == 2)
    gate.open()
    #expect(await first.databases[0].state?.ready == 2, "it shows what is known by now")
    clock.advance(by: .seconds(1))
    #expect(await sampler.sample().databases[0].state?.enqueuedPerSecond == 0)
  }

  @Test("the costs of all databases count for the pause after a sample") func costs() async throws {
    let drivers = (0..<3).map { number in
      SlowDriver(
        memory: MemoryDriver(name: "\(number)", clock: clock), cost: .milliseconds(20 * (number + 1))
      ) {}
    }
    let sample = await QueueSampler(drivers.map { .init($0) }, clock: clock).sample()
    #expect(sample.cost == .milliseconds(120))
    #expect(sample.timeUntilNext() == .seconds(6))
  }

  @Test("a damaged file may have any ids and counts") func absurd() {
    var fold = DatabaseFold()
    func failed(_ id: Int64) -> QueueFigures.FailedRun {
      QueueFigures.FailedRun(id: id, kind: "a", reason: .failed, failedAt: .latest)
    }
    var figures = QueueFigures(now: clock.now().wall, isExact: true)
    figures.counts = [JobCount("a", ready: 20), JobCount("b", ready: .max, running: .max)]
    figures.highestID = .min
    figures.failures = [failed(.max), failed(.min)]
    _ = fold.add(figures, at: 0, took: .zero, limit: 2)
    figures.counts = [JobCount("a", ready: .max, held: .max)]
    figures.highestID = .max
    for second in 1...3 as ClosedRange<Int64> {
      let state = fold.add(figures, at: second * 1_000_000, took: .zero, limit: 2)
      #expect(state.ready == .max && state.kinds.allSatisfy { $0.unfinished >= 0 })
    }
  }

  @Test("rates count what they are to count, and estimate what was not read") func rowsRead() {
    var fold = DatabaseFold()
    var second: Int64 = 0
    func rate(_ rows: [(Int64, FailureReason)]) -> Double? {
      var figures = QueueFigures(now: clock.now().wall, isExact: true)
      figures.counts = [JobCount("a", ready: 1)]
      figures.failures = rows.map {
        QueueFigures.FailedRun(id: $0, kind: "a", reason: $1, failedAt: .earliest)
      }
      second += 1
      return fold.add(figures, at: second * 1_000_000, took: .zero, limit: 4).failuresPerSecond
    }
    #expect(rate([(100, .failed)]) == nil)
    #expect(rate([(110, .failed), (109, .cancelled), (108, .cancelled), (107, .lost)]) == 5, "2 of 4, of 10")
    #expect(rate([]) == 0)
    let afterPruning = rate([(114, .failed), (113, .failed), (112, .failed), (111, .failed)])
    #expect(afterPruning == 4)
  }

  @Test("a database that cannot be opened has its error, and is tried again") func unreachable() async throws
  {
    let isThere = Locked(false)
    let driver = driver
    let sampler = QueueSampler(
      [
        .init("far") { () async throws(QudoError) in
          guard isThere.withLock({ $0 }) else { throw QudoError(.cannotOpen, "no such file") }
          return driver
        }, .init(MemoryDriver(name: "near", clock: clock)),
      ], clock: clock)
    var sample = await sampler.sample()
    #expect(sample.databases.map(\.name) == ["far", "near"])
    #expect(sample.databases[0].error?.code == .cannotOpen && sample.databases[1].state != nil)
    isThere.withLock { $0 = true }
    sample = await sampler.sample()
    #expect(
      sample.databases.map(\.name) == ["jobs", "near"] && sample.databases.allSatisfy { $0.state != nil })
  }

  @Test("a database that hangs does not hold up the others, and gets no second call until it answers")
  func hangs() async throws {
    let gate = Gate()
    let (opened, answers) = (Locked(0), Locked(0))
    let driver = driver
    let near = SlowDriver(memory: MemoryDriver(name: "near", clock: clock)) { answers.withLock { $0 += 1 } }
    let sampler = QueueSampler(
      [
        .init("far") { () async throws(QudoError) in
          opened.withLock { $0 += 1 }
          await gate.pass()
          return driver
        }, .init(near),
      ], timeout: .seconds(2), clock: clock)
    async let first = sampler.sample()
    while opened.withLock({ $0 }) == 0 || answers.withLock({ $0 }) == 0 { await Task.yield() }
    // Then only the timer of the database that hangs is left.
    while clock.sleeperCount != 1 { await Task.yield() }
    clock.advance(by: .seconds(3))
    let sample = await first
    #expect(sample.databases[0].error?.code == .unreachable && sample.databases[1].state != nil)
    let second = await sampler.sample()
    #expect(second.databases[0].error?.message.hasPrefix("no answer for 3 s") == true)
    #expect(opened.withLock { $0 } == 1)
    gate.open()
    // An answer that came late has cost something, too.
    while await sampler.sample().databases[0].error?.message.contains("asking again in 60 s") != true {
      await Task.yield()
    }
    clock.advance(by: .seconds(60))
    #expect(await sampler.sample().databases[0].error == nil)
    #expect(opened.withLock { $0 } == 1)
  }

  @Test("the next sample waits for 50 times what the last one took") func adapts() {
    func time(_ took: Duration, _ interval: Duration = .seconds(1)) -> Duration {
      QueueSample(at: clock.now().wall, sinceBoot: 0, took: took, databases: []).timeUntilNext(interval)
    }
    let cheap = QueueSample(
      at: clock.now().wall, sinceBoot: 0, took: .seconds(3), cost: .milliseconds(50), databases: [])
    #expect(cheap.timeUntilNext() == .milliseconds(2500), "a busy machine makes it slow, and not costly")
    #expect(time(.milliseconds(3)) == .seconds(1))
    #expect(time(.milliseconds(90)) == .milliseconds(4500))
    #expect(time(.seconds(9)) == .seconds(60))
    #expect(time(.seconds(9), .seconds(300)) == .seconds(300))
  }

  @Test("details come from the database with the name") func details() async throws {
    _ = try await driver.insert([job("a")])
    _ = await sampler.sample()
    let jobs = try await sampler.read("jobs") { driver throws(QudoError) in
      try await driver.jobs(matching: JobQuery())
    }
    #expect(jobs.map(\.kind) == ["a"])
    await #expect(throws: QudoError.self) {
      try await sampler.read("none") { driver throws(QudoError) in driver.name }
    }
    await sampler.close()
    #expect(await sampler.sample().databases[0].error?.code == .closed)
  }

  @Test("a file tells its worker, its sizes, and the same as the model") func file() async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "qudo-monitor-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appendingPathComponent("jobs.db").path
    let file = try SQLiteDriver(path: path, durability: .off, clock: clock)
    let jobs = (0..<6).map { job($0 % 2 == 0 ? "a" : "b") } + [job("c", due: .after(.seconds(60)))]
    let clock = clock
    let sampler = QueueSampler(
      [
        .init("file") { () async throws(QudoError) in try SQLiteListings(path: path, clock: clock) },
        .init(driver),
      ], clock: clock)
    var samples: [QueueSample] = []
    for step in 0..<3 {
      for database in [file, driver] as [any LogDriver] {
        if step == 0 { _ = try await database.insert(jobs) }
        if step == 1 {
          let claimed = try await database.claim(
            ClaimRequest(
              [.init("a", leaseDuration: .seconds(600)), .init("b", leaseDuration: .seconds(600))], limit: 4)
          ).jobs
          _ = try await database.settle(
            [
              Settlement(claimed[0].lease, .completed(), recording: .milliseconds(5)),
              Settlement(claimed[1].lease, .failed(message: "no")),
            ], claiming: nil)
        }
      }
      clock.advance(by: .seconds(1))
      samples.append(await sampler.sample())
    }
    for sample in samples {
      let (of, model) = (try sample.databases[0].result.get(), try sample.databases[1].result.get())
      #expect(of.kinds == model.kinds && of.isExact)
      #expect(of.enqueuedPerSecond == model.enqueuedPerSecond && of.endedPerSecond == model.endedPerSecond)
      #expect(of.failuresPerSecond == model.failuresPerSecond)
      #expect(
        of.workers.flatMap(\.jobs).map(\.id).sorted() == model.workers.flatMap(\.jobs).map(\.id).sorted())
      #expect((of.fileBytes ?? 0) > 0 && of.walBytes != nil)
    }
    let last = try samples[2].databases[0].result.get()
    #expect(last.workers.map(\.processID) == [Int64(getpid())] && last.hasWorker == true)
    #expect(samples[1].databases[0].state?.endedPerSecond == 2 && last.endedPerSecond == 0)
    // The driver itself can be sampled, too: for a dashboard within the application.
    let own = try await file.figures(limit: 10)
    #expect(own.cost != nil && (samples[2].cost < .seconds(60)))
    #expect(own.counts == (try await file.count()) && own.hasWorker == nil && own.highestID == 7)
    await file.close()
  }
}

/// A driver that waits between its figures and its answer, and says what they cost.
private struct SlowDriver: ForwardingDriver, ObservedDriver {
  let memory: MemoryDriver
  var base: any LogDriver { memory }
  var cost: Duration?
  let pause: @Sendable () async -> Void

  init(memory: MemoryDriver, cost: Duration? = nil, pause: @escaping @Sendable () async -> Void) {
    (self.memory, self.cost, self.pause) = (memory, cost, pause)
  }

  func backlog(_ kinds: [Kind]?, countingUpTo most: Int) async throws(QudoError) -> Backlog {
    try await memory.backlog(kinds, countingUpTo: most)
  }
  func sizes() async throws(QudoError) -> DatabaseSizes { try await memory.sizes() }
  func logRows(countingUpTo most: Int) async throws(QudoError) -> LogRowCounts {
    try await memory.logRows(countingUpTo: most)
  }
  func figures(limit: Int) async throws(QudoError) -> QueueFigures {
    var figures = try await memory.figures(limit: limit)
    figures.cost = cost
    await pause()
    return figures
  }
}
