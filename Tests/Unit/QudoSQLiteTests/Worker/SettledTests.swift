import Qudo
import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// Hooks are told of each run once its outcome is written.
@Suite struct SettledTests {
  enum Store: CaseIterable { case memory, file }

  let file: TemporaryFile
  let clock = ManualClock()
  let spy = SpyHook()
  let recorder = Recorder()
  let log = Log()
  let gate = Gate()

  init() throws { file = try TemporaryFile() }

  /// Keeps the runs.
  struct Recorder: Hook {
    static let points: HookPoints = .didSettle
    let runs = Locked<[SettledRun]>([])
    func didSettle(_ run: borrowing SettledRun) async {
      let run = copy run
      runs.withLock { $0.append(run) }
    }
  }

  /// Writes a line into the log of a driver.
  struct Marks: Hook {
    static let points: HookPoints = .didSettle
    let log: Log
    func didSettle(_ run: borrowing SettledRun) async { log.add("didSettle \(run.id.number)") }
  }

  private func driver(_ store: Store) throws -> any ControlDriver {
    switch store {
    case .memory: MemoryDriver(clock: clock)
    case .file: try file.open(clock: clock)
    }
  }

  private func options(_ change: (inout WorkerOptions) -> Void = { _ in }) -> WorkerOptions {
    var options = WorkerOptions()
    options.clock = clock
    options.retention = nil
    change(&options)
    return options
  }

  private var settled: [SpyEvent] { spy.events.filter { $0.name == "didSettle" } }

  /// Runs until it is cancelled.
  private var endless: JobHandler {
    JobHandler("a") { [log] _ in
      log.add("begun")
      try await forever()
    }
  }

  // MARK: Outcomes

  @Test("after the points of the run, with each outcome", .timeLimit(.minutes(5)), arguments: Store.allCases)
  func outcomes(store: Store) async throws {
    let queue = Queue(try driver(store)) { spy }
    let retrying = policy {
      $0.maxRetries = 1
      $0.retryDelay = .fixed(.seconds(5))
    }
    let handlers = [
      JobHandler("a", policy: retrying) { context in
        switch context.text {
        case "retry": throw Broken()
        case "abort": try context.abort("no")
        case "snooze": try context.snooze(for: .seconds(3))
        default: break
        }
      },
      JobHandler("b") { _ in throw Broken() },
    ]
    let worker = try Worker(queue, handlers: handlers, options: options())
    let endings: [(job: NewJob, fails: Bool, outcome: SpyOutcome)] = [
      (job("complete"), false, .completed(replacements: 0)),
      (job("retry"), true, .retry(after: .seconds(5))),
      (job("snooze"), false, .snoozed(.seconds(3), countsAttempt: false)),
      (job("abort"), true, .aborted),
      (job("fail", kind: "b"), true, .failed),
    ]
    for (job, fails, outcome) in endings {
      spy.reset()
      let id = try await queue.enqueue(job).id
      #expect(try await worker.workOnce())
      #expect(
        spy.events.map(\.name) == [
          "willEnqueue", "serialize", "didEnqueue", "didClaim", "deserialize", "willWork", "begins", "ends",
        ] + (fails ? ["didFail"] : []) + ["didWork", "didSettle"])
      #expect(spy.events.last == .didSettle(job.kind, job: id.number, .settled(outcome)))
    }
  }

  @Test(
    "with the job as it is stored, and the results of its replacements", .timeLimit(.minutes(5)),
    arguments: Store.allCases)
  func replacements(store: Store) async throws {
    let driver = try driver(store)
    let queue = Queue(driver) {
      spy
      recorder
    }
    var first = job("first", unique: UniqueKey("k"))
    first.metadata["tenant"] = "acme"
    try await queue.enqueue([first, job(kind: "b", unique: UniqueKey("held"))])
    let handler = JobHandler("a") { [clock] context in
      clock.advanceWithoutWaking(by: .seconds(3))
      context.enqueueOnCompletion([
        job(kind: "b", unique: UniqueKey("k")), job(kind: "b", unique: UniqueKey("held")),
      ])
    }
    _ = try await Worker(queue, handlers: [handler], options: options()).workOnce()
    let run = try #require(recorder.runs.withLock { $0 }.first)
    #expect(run.id == JobID(database: driver.name, number: 1) && run.kind == "a" && run.attempt == 1)
    #expect(run.uniqueKey == "k" && run.metadata["tenant"] == "acme" && run.duration == .seconds(3))
    let results: [EnqueueResult] = [
      .inserted(JobID(database: driver.name, number: 3)), .conflict(JobID(database: driver.name, number: 2)),
    ]
    #expect(run.result == .settled(replacements: results))
    #expect(
      spy.events.suffix(4) == [
        .didWork("a", job: 1, .completed(replacements: 2)), .didEnqueue("b", results[0]),
        .didEnqueue("b", results[1]),
        .didSettle("a", job: 1, .settled(.completed(replacements: 2), replacements: [3, 2])),
      ])
  }

  @Test(
    "of runs that a worker releases when it stops, and not of jobs that had not begun",
    .timeLimit(.minutes(5)), arguments: Store.allCases)
  func shutdown(store: Store) async throws {
    let queue = Queue(try driver(store)) { spy }
    try await queue.enqueue([job("0"), job("0"), job("0"), job("0"), job("1"), job("2"), job("3")])
    let handler = JobHandler("a") { [log] context in
      guard context.text == "1" else { return }
      log.add("begun")
      try await forever()
    }
    let worker = try Worker(
      queue, handlers: [handler], options: options { $0.shutdownGracePeriod = .zero })
    let work = Task { try await worker.work() }
    await log.count(1)
    // The next one is prefetched.
    while !spy.events.contains(.didClaim("a", job: 6)) { await Task.yield() }
    work.cancel()
    let summary = try await work.value
    #expect(summary.completed == 4 && summary.released >= 2)
    #expect(
      settled == (1...4).map { .didSettle("a", job: $0, .settled(.completed(replacements: 0))) } + [
        .didSettle("a", job: 5, .settled(.released))
      ])
  }

  @Test(
    "of a job that was cancelled while it ran", .timeLimit(.minutes(5)), arguments: Store.allCases)
  func cancelled(store: Store) async throws {
    let queue = Queue(try driver(store)) { spy }
    let id = try await queue.enqueue(job()).id
    let worker = try Worker(queue, handlers: [endless], options: options())
    let work = Task { try await worker.workOnce() }
    await log.count(1)
    #expect(try await queue.cancel(id) == .cancelling)
    await clock.sleepers(atLeast: 1)
    clock.advance(by: .seconds(1))
    _ = try await work.value
    #expect(spy.events.suffix(2) == [.didWork("a", job: 1, .released), .didSettle("a", job: 1, .cancelled)])
  }

  // MARK: Lost leases

  @Test(
    "of a run whose lease a renewal found lost", .timeLimit(.minutes(5)), arguments: Store.allCases)
  func lostBeforeTheEnd(store: Store) async throws {
    let driver = try driver(store)
    let queue = Queue(driver) { spy }
    try await queue.enqueue(job())
    let worker = try Worker(queue, handlers: [endless], options: options())
    let work = Task { try await worker.workOnce() }
    await log.count(1)
    await clock.sleepers(atLeast: 1)
    clock.advanceWithoutWaking(by: .seconds(61))
    #expect(try await driver.claim(demand()).jobs.count == 1)
    clock.advance(by: .zero)
    _ = try await work.value
    // The run may end while the hooks hear of the lost lease.
    #expect(spy.events.contains(.leaseLost("a", job: 1)))
    #expect(spy.events.contains(.didWork("a", job: 1, .released)))
    #expect(spy.events.last == .didSettle("a", job: 1, .leaseLost))
  }

  @Test(
    "of a run whose lease the settle found lost", .timeLimit(.minutes(5)), arguments: Store.allCases)
  func lostAtTheEnd(store: Store) async throws {
    let driver = try driver(store)
    let queue = Queue(driver) {
      spy
      recorder
    }
    try await queue.enqueue(job())
    let handler = JobHandler("a") { [clock] context in
      context.enqueueOnCompletion([job(kind: "b")])
      await clock.sleepers(atLeast: 1)
      clock.advanceWithoutWaking(by: .seconds(61))
      _ = try await driver.claim(demand())
    }
    _ = try await Worker(queue, handlers: [handler], options: options()).workOnce()
    #expect(
      spy.events.suffix(2) == [
        .didWork("a", job: 1, .completed(replacements: 1)), .didSettle("a", job: 1, .leaseLost),
      ])
    let runs = recorder.runs.withLock { $0 }
    #expect(runs.map { SpyOutcome($0.outcome) } == [.completed(replacements: 1)])
  }

  // MARK: Failing databases

  @Test("once, when the settle succeeds at last", .timeLimit(.minutes(5)), arguments: Store.allCases)
  func repeatedSettle(store: Store) async throws {
    let flaky = SpyDriver(base: try driver(store))
    flaky.fail("settle", [QudoError(.busy, "busy"), QudoError(.diskFull, "full")])
    let queue = Queue(flaky) { Marks(log: flaky.log) }
    try await queue.enqueue(job())
    let worker = try Worker(queue, handlers: [JobHandler("a") { _ in }], options: options())
    let summary = try await clock.passingSleeps(upTo: .seconds(1)) { try await worker.workUntilEmpty() }
    #expect(summary.completed == 1)
    #expect(
      flaky.log.entries.filter {
        $0.hasPrefix("settle fails") || $0.hasPrefix("settle 1") || $0.hasPrefix("did")
      }
      .map { $0.prefix(while: { $0 != "," }) } == [
        "settle fails", "settle fails", "settle 1", "didSettle 1",
      ])
  }

  @Test("also if only the settle succeeds and not the claim beside it", .timeLimit(.minutes(5)))
  func settledAlone() async throws {
    let flaky = SpyDriver(base: try driver(.file))
    flaky.fail("settle", [QudoError(.corrupt, "damaged")])
    let queue = Queue(flaky) { Marks(log: flaky.log) }
    try await queue.enqueue(job())
    let worker = try Worker(queue, handlers: [JobHandler("a") { _ in }], options: options())
    await #expect(throws: QudoError.self) { try await worker.work() }
    #expect(flaky.log.entries.suffix(2) == ["settle 1, claimed 0 of 0", "didSettle 1"])
  }

  @Test("never, if the worker gives up before it could write the outcome", .timeLimit(.minutes(5)))
  func gaveUp() async throws {
    let flaky = SpyDriver(base: try driver(.file))
    flaky.fail("settle", Array(repeating: QudoError(.busy, "busy"), count: 10_000))
    let queue = Queue(flaky) { recorder }
    try await queue.enqueue(job())
    let worker = try Worker(
      queue, handlers: [JobHandler("a") { _ in }], options: options { $0.outageTimeout = .seconds(1) })
    await #expect(throws: QudoError.self) {
      try await clock.passingSleeps(upTo: .seconds(1)) { try await worker.workUntilEmpty() }
    }
    #expect(recorder.runs.withLock { $0.count } == 0)
  }

  // MARK: The worker

  @Test("a worker returns only after its hooks have", .timeLimit(.minutes(5)), arguments: Store.allCases)
  func waitsForHooks(store: Store) async throws {
    struct Slow: Hook {
      static let points: HookPoints = .didSettle
      let log: Log
      let gate: Gate
      func didSettle(_ run: borrowing SettledRun) async {
        log.add("called")
        await gate.pass()
        log.add("returns, cancelled: \(Task.isCancelled)")
      }
    }
    let queue = Queue(try driver(store)) { Slow(log: log, gate: gate) }
    try await queue.enqueue(job())
    let worker = try Worker(queue, handlers: [JobHandler("a") { _ in }], options: options())
    let work = Task { [log] in
      try await worker.work()
      log.add("worker returns")
    }
    await log.count(1)
    work.cancel()
    for _ in 0..<100 { await Task.yield() }
    log.add("stopped")
    gate.open()
    try await work.value
    #expect(log.entries == ["called", "stopped", "returns, cancelled: false", "worker returns"])
  }

  @Test("before a run that ignores its cancellation has ended", .timeLimit(.minutes(5)))
  func ignoredCancellation() async throws {
    let queue = Queue(try driver(.file)) {
      spy
      recorder
    }
    try await queue.enqueue(job())
    let handler = JobHandler("a", policy: JobPolicy(timeLimit: .seconds(5))) { [log, gate] _ in
      log.add("begun")
      await withTaskCancellationHandler {
        await gate.pass()
      } onCancel: {
        log.add("cancelled")
      }
    }
    let worker = try Worker(
      queue, handlers: [handler], options: options { $0.cancellationGracePeriod = .seconds(2) })
    async let summary = worker.workUntilEmpty()
    await log.count(1)
    clock.advance(by: .seconds(5))
    await log.count(2)
    clock.advance(by: .seconds(2))
    #expect(try await summary.failed == 1)
    let before = spy.events
    #expect(before.last == .didSettle("a", job: 1, .settled(.failed)))
    #expect(recorder.runs.withLock { $0.map(\.duration) } == [.seconds(7)])
    gate.open()
    let after = await spy.events(atLeast: before.count + 2).dropFirst(before.count)
    #expect(after == [.ends("a", job: 1), .didWork("a", job: 1, .completed(replacements: 0))])
  }

  // MARK: Slow hooks

  /// Waits at a gate.
  struct Slow: Hook {
    static let points: HookPoints = .didSettle
    let log: Log
    let gate: Gate
    func didSettle(_ run: borrowing SettledRun) async {
      log.add("told \(run.id.number)")
      await gate.pass()
    }
  }

  @Test("a hook that waits delays neither renewals nor other jobs", .timeLimit(.minutes(5)))
  func slow() async throws {
    let driver = try driver(.memory)
    let (told, begun, end) = (Log(), Log(), Gate())
    let queue = Queue(driver) { Slow(log: told, gate: gate) }
    try await queue.enqueue([job("quick"), job("long"), job("next")])
    let handler = JobHandler("a") { context in
      begun.add(context.text)
      if context.text == "long" { await end.pass() }
    }
    let worker = try Worker(queue, handlers: [handler], options: options { $0.concurrency = 2 })
    let work = Task { try await worker.workUntilEmpty() }
    await told.count(1)
    await begun.count(3)
    clock.advance(by: .seconds(20))
    let renewed = clock.now().wall.advanced(by: .seconds(60))
    while try await driver.jobs(matching: JobQuery(states: [.running])).first?.leaseExpiresAt != renewed {
      await Task.yield()
    }
    #expect(told.entries.count == 1)
    end.open()
    gate.open()
    #expect(try await work.value.completed == 3)
    #expect(Set(told.entries) == ["told 1", "told 2", "told 3"])
  }

  @Test("nothing is claimed while hooks are far behind", .timeLimit(.minutes(5))) func behind() async throws {
    let driver = try driver(.memory)
    let (told, runs) = (Log(), Locked(0))
    let queue = Queue(driver) { Slow(log: told, gate: gate) }
    try await queue.enqueue((0..<3000).map { job("\($0)") })
    let handler = JobHandler("a") { _ in runs.withLock { $0 += 1 } }
    let worker = try Worker(
      queue, handlers: [handler],
      options: options {
        $0.concurrency = 10
        $0.maxPrefetch = 100
      })
    let work = Task { try await worker.workUntilEmpty() }
    // It settles what it has claimed, and claims no more.
    func isHeld() async throws -> Bool {
      let count = try await driver.count().first
      return (count?.running ?? 0) == 0 && 3000 - (count?.ready ?? 0) >= 1000
    }
    while try await !isHeld() { await Task.yield() }
    let done = runs.withLock { $0 }
    #expect((1000...1300).contains(done), "\(done)")
    #expect(told.entries == ["told 1"])
    gate.open()
    #expect(try await work.value.completed == 3000)
    #expect(told.entries.count == 3000)
  }

  @Test("hooks of other kinds, and of other points, hear nothing", .timeLimit(.minutes(5)))
  func filtered() async throws {
    let (own, others, off, on) = (SpyHook(), SpyHook(), SpyHook(), SpyHook())
    let isOff = clock.sinceBoot() < 0
    let queue = Queue(try driver(.memory)) {
      own.only("a")
      others.only("b")
      if isOff { off }
      if !isOff { on }
      if isOff { off } else { Deaf() }
      if isOff { Deaf() } else { recorder }
    }
    try await queue.enqueue(job())
    _ = try await Worker(queue, handlers: [JobHandler("a") { _ in }], options: options()).workOnce()
    let event = SpyEvent.didSettle("a", job: 1, .settled(.completed(replacements: 0)))
    #expect(own.events.last == event && on.events.last == event && others.events == [] && off.events == [])
    #expect(recorder.runs.withLock { $0.count } == 1)
  }

  /// Has the function, and does not name the point.
  struct Deaf: Hook {
    static var points: HookPoints { [.didClaim] }
    func didSettle(_ run: borrowing SettledRun) async { Issue.record("not named") }
  }
}
