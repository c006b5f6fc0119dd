import Qudo
import QudoTesting
import Testing

/// Workers of several databases.
@Suite struct FleetWorkerTests {
  private func fill(_ driver: FaultyDriver, _ count: Int) async throws {
    _ = try await driver.base.insert((0..<count).map { NewJob("a", payload: Payload("\(driver.name)\($0)")) })
  }

  private func logging(_ log: LineLog) -> JobHandler {
    JobHandler("a") { context in log.add(String(decoding: context.payload.bytes, as: UTF8.self)) }
  }

  @Test("The worker runs the jobs of all databases and settles each in its own")
  func jobsAreSettledWhereTheyCameFrom() async throws {
    let fleet = try Fleet("a", "b", "c")
    for driver in fleet.drivers { try await fill(driver, 5) }
    let log = LineLog()
    let ids = Locked<Set<JobID>>([])
    let handler = JobHandler("a") { context in
      log.add(String(decoding: context.payload.bytes, as: UTF8.self))
      ids.withLock { _ = $0.insert(context.id) }
    }
    let summary = try await fleet.worker([handler]) { $0.concurrency = 3 }.workUntilEmpty()
    #expect(summary.completed == 15 && summary.unreachable == [])
    #expect(log.lines.sorted() == ["a", "b", "c"].flatMap { name in (0..<5).map { "\(name)\($0)" } })
    #expect(ids.withLock { Set($0.map(\.database)) } == ["a", "b", "c"])
    for driver in fleet.drivers { #expect(try await driver.texts == []) }
  }

  @Test("hooks are told of each run with its own database") func settledRuns() async throws {
    struct Recorder: Hook {
      static let points: HookPoints = .didSettle
      let runs = Locked<[SettledRun]>([])
      func didSettle(_ run: borrowing SettledRun) async {
        let run = copy run
        runs.withLock { $0.append(run) }
      }
    }
    let fleet = try Fleet("a", "b", "c")
    for driver in fleet.drivers { try await fill(driver, 5) }
    let recorder = Recorder()
    var options = WorkerOptions(concurrency: 3)
    options.clock = fleet.clock
    try await Worker(
      Queue(fleet.databases) { recorder }, handlers: [JobHandler("a") { _ in }], options: options
    ).workUntilEmpty()
    let runs = recorder.runs.withLock { $0 }
    #expect(runs.count == 15 && runs.allSatisfy { $0.result == .settled() })
    let ids = ["a", "b", "c"].flatMap { name in (1...5).map { JobID(database: name, number: $0) } }
    #expect(Set(runs.map(\.id)) == Set(ids))
  }

  @Test(arguments: [1, 2, 4]) func aBacklogInOneDatabaseDoesNotStarveAnother(concurrency: Int) async throws {
    let fleet = try Fleet("a", "b")
    try await fill(fleet["a"], 200)
    try await fill(fleet["b"], 10)
    let log = LineLog()
    try await fleet.worker([logging(log)]) {
      $0.concurrency = concurrency
      $0.maxPrefetch = 0
    }.workUntilEmpty()
    #expect(log.lines.count == 210)
    let last = try #require(log.lines.lastIndex { $0.hasPrefix("b") })
    #expect(last < 60, "the ten came one by one with the others")
  }

  @Test("stuck slots of all databases count together, and the work ends", .timeLimit(.minutes(5)))
  func stuckSlots() async throws {
    let fleet = try Fleet("a", "b")
    for driver in fleet.drivers { try await fill(driver, 1) }
    let (log, gate) = (LineLog(), Locked<[CheckedContinuation<Void, Never>]>([]))
    let handler = JobHandler("a", policy: JobPolicy(timeLimit: .seconds(1))) { context in
      await withCheckedContinuation { continuation in
        gate.withLock { $0.append(continuation) }
        log.add("runs \(String(decoding: context.payload.bytes, as: UTF8.self))")
      }
    }
    let worker = try fleet.worker([handler]) { options in
      options.concurrency = 3
      options.maxStuckSlots = 2
    }
    let work = Task { try await worker.work() }
    await log.wait(for: "runs a0")
    await log.wait(for: "runs b0")
    let isOver = Locked(false)
    let ended = Task {
      defer { isOver.withLock { $0 = true } }
      return await work.result
    }
    await fleet.passRetries { isOver.withLock { $0 } }
    let result = await ended.value
    #expect { try result.get() } throws: { ($0 as? QudoError)?.code == .slotsStuck }
    #expect(fleet.log.lines.contains("slots stuck, worker ends"))
    for driver in fleet.drivers { #expect(try await driver.base.count(nil).isEmpty) }
    for continuation in gate.withLock({ $0 }) { continuation.resume() }
  }

  @Test func noMoreRunAtOnceThanTheWorkerMay() async throws {
    let fleet = try Fleet("a", "b", "c")
    for driver in fleet.drivers { try await fill(driver, 30) }
    let running = Locked((now: 0, most: 0))
    let handler = JobHandler("a") { _ in
      running.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1)) }
      await Task.yield()
      running.withLock { $0.now -= 1 }
    }
    try await fleet.worker([handler]) { $0.concurrency = 4 }.workUntilEmpty()
    #expect(running.withLock { $0.most } <= 4 && running.withLock { $0.most } >= 2)
  }

  @Test func aLimitOfAKindHoldsOverAllDatabases() async throws {
    let fleet = try Fleet("a", "b", "c")
    for driver in fleet.drivers { try await fill(driver, 20) }
    let running = Locked((now: 0, most: 0))
    var policy = JobPolicy()
    policy.maxConcurrency = 2
    let handler = JobHandler("a", policy: policy) { _ in
      running.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1)) }
      await Task.yield()
      running.withLock { $0.now -= 1 }
    }
    let summary = try await fleet.worker([handler]) { $0.concurrency = 6 }.workUntilEmpty()
    #expect(summary.completed == 60 && running.withLock { $0.most } <= 2)
  }

  @Test(arguments: [1, 2]) func aDatabaseThatHangsDoesNotHoldUpTheOthers(concurrency: Int) async throws {
    let fleet = try Fleet("a", "b")
    for driver in fleet.drivers { try await fill(driver, 3) }
    fleet["a"].fault = .hangs
    let log = LineLog()
    let worker = try fleet.worker([logging(log)]) { $0.concurrency = concurrency }
    let work = Task { try await worker.work() }
    await fleet["a"].arrived(1)
    // What was reserved for the claim that hangs is not kept for long.
    fleet.clock.advance(by: .milliseconds(250))
    await log.wait(for: "b2")
    // When it goes on, what it had been asked is answered, and its jobs are run too.
    fleet["a"].fault = .none
    await log.wait(for: "a2")
    work.cancel()
    _ = try await work.value
  }

  @Test("The worker claims from a database that is available again within the probe interval")
  func databaseThatIsBackIsWorkedOn() async throws {
    let fleet = try Fleet("a", "b") { $0.callTimeout = .seconds(3600) }
    try await fill(fleet["a"], 1)
    fleet["a"].fault = .refuses(refused)
    let log = LineLog()
    let worker = try fleet.worker([logging(log)]) { $0.pollInterval = .seconds(3600) }
    let work = Task { try await worker.work() }
    await fleet.log.wait(for: "database error")
    fleet["a"].fault = .none
    let back = fleet.clock.sinceBoot()
    // Until it is claimed: before it runs, on a busy machine, its lease may be renewed.
    try await fleet.passRetries { try await fleet["a"].base.count().allSatisfy { $0.ready == 0 } }
    #expect(fleet.clock.sinceBoot() <= back + 30_000_000)
    await log.wait(for: "a0")
    work.cancel()
    _ = try await work.value
  }

  @Test func anOutcomeIsOfferedUntilItsDatabaseTakesIt() async throws {
    let fleet = try Fleet("a", "b") { $0.callTimeout = .seconds(3600) }
    try await fill(fleet["a"], 1)
    let log = LineLog()
    let driver = fleet["a"]
    let handler = JobHandler("a", policy: JobPolicy(leaseDuration: .seconds(3600))) { context in
      if context.database == "a" { driver.fault = .refuses(refused) }
      log.add(String(decoding: context.payload.bytes, as: UTF8.self))
    }
    let worker = try fleet.worker([handler]) { $0.pollInterval = .seconds(3600) }
    let work = Task { try await worker.work() }
    await fleet.log.wait(for: "database error")
    // The others go on meanwhile.
    try await fleet.queue.enqueue(fleet.job("elsewhere"))
    await log.wait(for: "elsewhere")
    driver.fault = .none
    try await fleet.passRetries { try await driver.texts.isEmpty }
    #expect(log.lines == ["a0", "elsewhere"], "it ran once")
    work.cancel()
    let summary = try await work.value
    #expect(summary.completed == 2 && summary.unreachable == [])
  }

  @Test func anOutcomeThatWasTakenUnheardIsNotTakenTwice() async throws {
    let fleet = try Fleet("a", "b") { $0.callTimeout = .seconds(3600) }
    try await fill(fleet["a"], 1)
    let driver = fleet["a"]
    let handler = JobHandler("a", policy: JobPolicy(leaseDuration: .seconds(3600))) { _ in
      driver.fault = .doneUnknown
    }
    let worker = try fleet.worker([handler]) { $0.pollInterval = .seconds(3600) }
    let work = Task { try await worker.work() }
    await fleet.log.wait(for: "database error")
    driver.fault = .none
    await fleet.passRetries { fleet.log.lines.contains { $0.contains("outcome discarded") } }
    work.cancel()
    #expect(try await work.value.leaseLost == 1)
    #expect(try await driver.texts == [])
  }

  @Test("A worker that is stopped ends although a database hangs")
  func stopEndsDespiteAHangingDatabase() async throws {
    let fleet = try Fleet("a", "b")
    fleet["a"].fault = .hangs
    let log = LineLog()
    let worker = try fleet.worker([logging(log)])
    let work = Task { try await worker.work() }
    await fleet["a"].arrived(1)
    work.cancel()
    let ended = Task { try await work.value }
    let isOver = Locked(false)
    let watch = Task {
      _ = await ended.result
      isOver.withLock { $0 = true }
    }
    await fleet.passRetries { isOver.withLock { $0 } }
    _ = await watch.value
    fleet["a"].fault = .none
  }

  // MARK: Until nothing is left

  @Test func whatAJobEnqueuesElsewhereIsRunToo() async throws {
    let fleet = try Fleet("a", "b")
    try await fill(fleet["b"], 1)
    let queue = fleet.queue
    let log = LineLog()
    let handler = JobHandler("a") { context in
      let text = String(decoding: context.payload.bytes, as: UTF8.self)
      log.add(text)
      // To the first database, which is empty already.
      if text.count < 12 { try await queue.enqueue(NewJob("a", payload: Payload(text + "+"))) }
    }
    let summary = try await fleet.worker([handler]) { $0.concurrency = 2 }.workUntilEmpty()
    #expect(summary.completed == 11 && log.lines.last == "b0++++++++++")
  }

  @Test("A worker waits for a database that is down until the outage timeout, and no longer")
  func downDatabaseEndsAtTheOutageTimeout() async throws {
    let fleet = try Fleet("a", "b") { $0.callTimeout = .seconds(3600) }
    for driver in fleet.drivers { try await fill(driver, 2) }
    fleet["a"].fault = .refuses(refused)
    let worker = try fleet.worker([JobHandler("a") { _ in }]) { $0.pollInterval = .seconds(3600) }
    let work = Task { try await worker.workUntilEmpty() }
    let watch = Locked(false)
    let end = Task {
      let summary = try await work.value
      watch.withLock { $0 = true }
      return summary
    }
    await fleet.passRetries { watch.withLock { $0 } }
    let summary = try await end.value
    #expect(summary.completed == 2 && summary.unreachable == ["a"])
    #expect(try await fleet["a"].texts.count == 2)
    #expect(fleet.clock.sinceBoot() >= 11_000_000)
  }

  @Test func whenAllAreDownTheWorkFails() async throws {
    let fleet = try Fleet("a", "b")
    for driver in fleet.drivers { driver.fault = .refuses(refused) }
    let worker = try fleet.worker([JobHandler("a") { _ in }]) { $0.outageTimeout = .zero }
    let work = Task { try await worker.workUntilEmpty() }
    let error = await #expect(throws: QudoError.self) { try await work.value }
    #expect((error?.cause as? AllDatabasesUnavailable)?.failures.map(\.database) == ["a", "b"])
  }

  @Test func oneJobIsTakenFromWhateverDatabaseHasOne() async throws {
    let fleet = try Fleet("a", "b")
    fleet["a"].fault = .refuses(refused)
    try await fill(fleet["b"], 1)
    let worker = try fleet.worker([JobHandler("a") { _ in }])
    let (first, second) = (try await worker.workOnce(), try await worker.workOnce())
    #expect(first && !second)
    fleet["b"].fault = .refuses(refused)
    await #expect(throws: QudoError.self) { try await worker.workOnce() }
  }

  @Test func aPluginIsStartedOncePerWorker() async throws {
    let fleet = try Fleet("a", "b")
    let starts = Locked(0)
    let options = WorkerOptions()
    let worker = try Worker(
      fleet.queue, handlers: [JobHandler("a") { _ in }], plugins: [Counted(starts: starts)], options: options)
    try await worker.workUntilEmpty()
    #expect(starts.withLock { $0 } == 1)
  }
}

private struct Counted: Plugin {
  let starts: Locked<Int>
  func start(_ worker: WorkerContext) async throws {
    #expect(worker.databases.names == ["a", "b"])
    starts.withLock { $0 += 1 }
  }
}

@Suite struct FleetListTests {
  @Test func oneThatIsDownDoesNotHideTheOthers() async throws {
    let fleet = try Fleet("a", "b")
    for driver in fleet.drivers { _ = try await driver.base.insert([fleet.job("x")]) }
    fleet["a"].fault = .refuses(refused)
    let counts = await fleet.databases.count()
    #expect(counts.map(\.database) == ["a", "b"])
    #expect(throws: QudoError.self) { try counts[0].result.get() }
    #expect(try counts[1].result.get() == [JobCount("a", ready: 1)])
    #expect(try await fleet.databases.jobs(matching: JobQuery())[1].result.get().count == 1)
    #expect(try await fleet.databases.failures(LogQuery())[1].result.get() == [])
    #expect(try await fleet.databases.statuses(LogQuery())[1].result.get() == [])
    #expect(fleet["a"].calls == 1, "it is set aside, and its answer is why")
  }

  @Test("A worker waits for a database that hangs until the deadline, and no longer")
  func hangingDatabaseEndsAtItsDeadline() async throws {
    let fleet = try Fleet("a", "b")
    for driver in fleet.drivers { driver.fault = .hangs }
    let databases = fleet.databases
    let counts = Task { await databases.count() }
    for driver in fleet.drivers { await driver.arrived(1) }
    await fleet.clock.sleepers(atLeast: 2)
    // Its answer has come when nobody waits for its deadline any more.
    fleet["b"].fault = .none
    while fleet.clock.sleeperCount > 1 { await Task.yield() }
    fleet.clock.advance(by: .seconds(10))
    let answers = await counts.value
    #expect(throws: QudoError.self) { try answers[0].result.get() }
    #expect(try answers[1].result.get() == [])
    fleet["a"].fault = .none
  }

  @Test func aFailureIsReplayedInItsDatabase() async throws {
    let fleet = try Fleet("a", "b")
    _ = try await fleet["b"].base.insert([fleet.job("x")])
    struct Broken: Error {}
    try await fleet.worker([JobHandler("a") { _ in throw Broken() }]).workUntilEmpty()
    let failure = try #require(try await fleet.databases.failures(LogQuery())[1].result.get().first)
    #expect(try await fleet.databases.replay([failure.id], in: "b") == [.replayed(2)])
    await #expect(throws: QudoError.self) { try await fleet.databases.replay([1], in: "c") }
    #expect(try await fleet["b"].texts == ["x"])
  }

  @Test func statesTellWhatIsKnown() async throws {
    let fleet = try Fleet("a", "b")
    fleet["a"].fault = .refuses(refused)
    try await fleet.queue.enqueue(fleet.job("x"))
    fleet.clock.advance(by: .seconds(10))
    let states = fleet.databases.states
    #expect(states.map(\.status) == [.unavailable, .live])
    #expect(states[0].timeUntilProbe == .seconds(20) && states[0].failure?.code == .unreachable)
  }
}
