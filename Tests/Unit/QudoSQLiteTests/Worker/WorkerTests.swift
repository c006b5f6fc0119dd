import Qudo
import QudoSQLite
import QudoTesting
import TestSupport
import Testing

@Suite struct WorkerTests {
  let my: Harness
  var driver: SQLiteDriver { my.driver }
  var clock: ManualClock { my.clock }

  init() throws { my = try Harness() }

  @Test(arguments: [1, 7, 100]) func eachJobRunsOnceAndNothingIsLeft(concurrency: Int) async throws {
    let log = Log()
    _ = try await driver.insert((0..<500).map { job("\($0)") } + [job("not mine", kind: "b")])
    let worker = try my.worker([JobHandler("a") { log.add($0.text) }]) { $0.concurrency = concurrency }
    #expect(try await worker.workUntilEmpty().completed == 500)
    #expect(log.sorted == (0..<500).map { "\($0)" }.sorted())
    #expect(try await driver.count().map(\.kind) == ["b"])
  }

  @Test func aFailedJobIsRetriedAsOftenAsThePolicySays() async throws {
    let log = Log()
    _ = try await driver.insert([job()])
    let summary = try await my.worker([
      JobHandler("a", policy: policy { $0.maxRetries = 2 }) {
        log.add("\($0.attempt)"); throw Broken()
      }
    ]).workUntilEmpty()
    #expect(summary.retried == 2 && summary.failed == 1)
    #expect(log.entries == ["1", "2", "3"])
    #expect(try await driver.count() == [])
  }

  @Test func anAbortedJobIsNotRetried() async throws {
    _ = try await driver.insert([job()])
    let worker = try my.worker([
      JobHandler("a", policy: policy { $0.maxRetries = 9 }) { try $0.abort("no use") }
    ])
    #expect(try await worker.workUntilEmpty().failed == 1)
  }

  @Test func aSnoozedJobComesAgainAsTheSameAttempt() async throws {
    let log = Log()
    _ = try await driver.insert([job()])
    let worker = try my.worker([
      JobHandler("a") { context in
        log.add("\(context.attempt)")
        if log.entries.count == 1 { try context.snooze(for: .zero) }
      }
    ])
    let summary = try await worker.workUntilEmpty()
    #expect(summary.snoozed == 1 && summary.completed == 1 && log.entries == ["1", "1"])
  }

  @Test("A job is replaced by others, which may have its unique key")
  func replacementsMayHaveTheUniqueKey() async throws {
    let log = Log()
    _ = try await driver.insert([job("first", unique: UniqueKey("k"))])
    let worker = try my.worker([
      JobHandler("a") { context in
        log.add(context.text)
        if context.text == "first" {
          context.replace(with: [job("second", unique: UniqueKey("k")), job("third")])
        }
      }
    ])
    #expect(try await worker.workUntilEmpty().completed == 3)
    #expect(log.entries == ["first", "second", "third"])
  }

  @Test("Replacements that are refused fail the run and not the worker")
  func refusedReplacementsFailTheRun() async throws {
    _ = try await driver.insert([job(), job("fine")])
    let worker = try my.worker([
      JobHandler("a") { if $0.text == "" { $0.replace(with: [job(), job(kind: "")]) } }
    ])
    let summary = try await worker.workUntilEmpty()
    #expect(summary.failed == 1 && summary.completed == 1)
    #expect(try await driver.count() == [])
  }

  @Test func oneJobIsRunByWorkOnce() async throws {
    let worker = try my.worker([JobHandler("a") { _ in }]) { $0.concurrency = 5 }
    #expect(try await !worker.workOnce())
    _ = try await driver.insert([job(), job()])
    #expect(try await worker.workOnce())
    #expect(try await driver.count() == [JobCount("a", ready: 1)])
    #expect(try await worker.workOnce())
    #expect(try await !worker.workOnce())
  }

  @Test("A kind with its own concurrency runs no more jobs at a time")
  func kindKeepsItsOwnConcurrency() async throws {
    let log = Log()
    let running = Locked((now: 0, most: 0))
    _ = try await driver.insert((0..<20).map { job("\($0)") } + (0..<20).map { job("\($0)", kind: "b") })
    let limited = JobHandler("a", policy: policy { $0.maxConcurrency = 2 }) { _ in
      running.withLock {
        $0.now += 1; $0.most = max($0.most, $0.now)
      }
      await Task.yield()
      running.withLock { $0.now -= 1 }
      log.add("a")
    }
    let worker = try my.worker([limited, JobHandler("b") { _ in log.add("b") }]) { $0.concurrency = 8 }
    #expect(try await worker.workUntilEmpty().completed == 40)
    #expect(log.sorted == Array(repeating: "a", count: 20) + Array(repeating: "b", count: 20))
    #expect(running.withLock { $0.most } <= 2)
  }

  @Test(
    "a kind runs no more at once in all workers than its maximum, and that many",
    .timeLimit(.minutes(5)))
  func maxRunning() async throws {
    let running = Locked((now: 0, most: 0))
    let begun = Log()
    _ = try await driver.insert((0..<40).map { job("\($0)") } + (0..<10).map { job("\($0)", kind: "b") })
    let limited = JobHandler("a", policy: policy { $0.maxRunning = 3 }) { _ in
      running.withLock {
        $0.now += 1; $0.most = max($0.most, $0.now)
      }
      begun.add("")
      // None ends before three of them run.
      await begun.count(3)
      running.withLock { $0.now -= 1 }
    }
    let drivers = [driver, try my.file.open(clock: my.clock)]
    let workers = try drivers.map { driver in
      try Worker(
        Queue(driver), handlers: [limited, JobHandler("b") { _ in }],
        options: my.options { $0.concurrency = 4 })
    }
    async let first = workers[0].workUntilEmpty()
    async let second = workers[1].workUntilEmpty()
    #expect(try await first.completed + second.completed == 50)
    #expect(running.withLock { $0.most } == 3)
  }

  @Test(
    "a kind with a rate begins a job when its token is there, in whatever worker", .timeLimit(.minutes(5)))
  func rate() async throws {
    let begun = Log()
    let times = Locked<[Int64]>([])
    _ = try await driver.insert((1...5).map { job("\($0)") })
    let start = my.clock.now().wall.microseconds
    let handler = JobHandler("a", policy: policy { $0.rate = RateLimit(2, per: .seconds(60)) }) {
      [clock = my.clock] context in
      times.withLock { $0.append(clock.now().wall.microseconds - start) }
      begun.add(String(decoding: context.payload.bytes, as: UTF8.self))
    }
    let drivers = [driver, try my.file.open(clock: my.clock)]
    let workers = try drivers.map { driver in
      try Worker(Queue(driver), handlers: [handler], options: my.options { $0.concurrency = 4 })
    }
    async let first = workers[0].workUntilEmpty()
    async let second = workers[1].workUntilEmpty()
    await begun.count(2)
    // Nothing but the clock lets the others begin.
    #expect(begun.sorted == ["1", "2"])
    try await my.clock.passingSleeps(upTo: .seconds(60)) { await begun.count(5) }
    #expect(try await first.completed + second.completed == 5)
    let sorted = times.withLock { $0.sorted() }
    #expect(zip(sorted, [0, 0, 30, 60, 90]).allSatisfy { $0 >= $1 * 1_000_000 }, "\(sorted)")
  }

  @Test("a job throttles its kind, and runs again itself", .timeLimit(.minutes(5)))
  func throttle() async throws {
    let begun = Log()
    _ = try await driver.insert((1...3).map { job("\($0)") })
    let handler = JobHandler("a", policy: policy { $0.rate = RateLimit(1, per: .milliseconds(1)) }) {
      context in
      begun.add(String(decoding: context.payload.bytes, as: UTF8.self))
      guard begun.entries.count == 1 else { return }
      try await context.throttle(for: .seconds(30))
      try context.snooze(for: .seconds(30))
    }
    let worker = try my.worker([handler])
    let start = my.clock.now().wall
    async let summary = worker.workUntilEmpty()
    await begun.count(1)
    try await my.clock.passingSleeps(upTo: .seconds(60)) { await begun.count(4) }
    #expect(try await summary.completed == 3)
    #expect(begun.sorted == ["1", "1", "2", "3"])
    #expect(my.clock.now().wall >= start.advanced(by: .seconds(30)))
  }

  @Test("a job whose concurrency key has a rate throttles the key, and not its kind", .timeLimit(.minutes(5)))
  func throttleOfAKey() async throws {
    let begun = Log()
    var jobs = ["1", "2", "other"].map { job($0) }
    let key = ConcurrencyKey("k", limit: 2, rate: RateLimit(1, per: .milliseconds(1)))
    for index in 0..<2 { jobs[index].concurrencyKey = key }
    _ = try await driver.insert(jobs)
    let start = my.clock.now().wall
    let times = Locked<[String: Timestamp]>([:])
    let handler = JobHandler("a") { [clock = my.clock] context in
      let text = String(decoding: context.payload.bytes, as: UTF8.self)
      times.withLock { $0[text] = clock.now().wall }
      begun.add(text)
      guard text == "1", begun.entries.count(where: { $0 == "1" }) == 1 else { return }
      try await context.throttle(for: .seconds(30))
      begun.add("throttled")
      try context.snooze(for: .seconds(30))
    }
    let worker = try my.worker([handler])
    async let summary = worker.workUntilEmpty()
    await begun.count(3)
    try await my.clock.passingSleeps(upTo: .seconds(60)) { await begun.count(5) }
    #expect(try await summary.completed == 3)
    #expect(begun.sorted == ["1", "1", "2", "other", "throttled"])
    #expect(times.withLock { $0["other"] == start && ($0["2"] ?? start) >= start.advanced(by: .seconds(30)) })
  }

  @Test("a job of a kind without a rate cannot throttle it")
  func throttleWithoutARate() async throws {
    _ = try await driver.insert([job("1")])
    let errors = Locked<[QudoError]>([])
    let worker = try my.worker([
      JobHandler("a") { context in
        do throws(QudoError) {
          try await context.throttle(for: .seconds(1))
        } catch {
          errors.withLock { $0.append(error) }
        }
      }
    ])
    _ = try await worker.workUntilEmpty()
    #expect(errors.withLock { $0.map(\.code) } == [.invalidArgument])
  }

  @Test("a driver that cannot limit running jobs refuses a worker that must")
  func maxRunningIsRefused() throws {
    struct Unlimited: Driver {
      let base: any Driver
      var name: String { base.name }
      var capabilities: Capabilities { base.capabilities.subtracting(.maxRunning) }
      var limits: Limits { base.limits }
      var doorbell: Doorbell { base.doorbell }
      func insert(_ jobs: [NewJob]) async throws(QudoError) -> [InsertResult] { try await base.insert(jobs) }
      func claim(_ request: ClaimRequest) async throws(QudoError) -> Claim { try await base.claim(request) }
      func settle(_ settlements: [Settlement], claiming next: ClaimRequest?) async throws(QudoError) -> (
        results: [SettleResult], claim: Claim?
      ) { try await base.settle(settlements, claiming: next) }
      func renew(_ leases: [Lease], for duration: Duration) async throws(QudoError) -> [Lease?] {
        try await base.renew(leases, for: duration)
      }
      func promote(limit: Int) async throws(QudoError) -> Int { try await base.promote(limit: limit) }
      func jobs(matching query: JobQuery) async throws(QudoError) -> [StoredJob] {
        try await base.jobs(matching: query)
      }
      func count(_ kinds: [Kind]?) async throws(QudoError) -> [JobCount] { try await base.count(kinds) }
      func close() async { await base.close() }
    }
    let handler = JobHandler("a", policy: policy { $0.maxRunning = 3 }) { _ in }
    let error = #expect(throws: QudoError.self) {
      try Worker(Queue(Unlimited(base: driver)), handlers: [handler])
    }
    #expect(error?.code == .invalidArgument)
    #expect(
      error?.message
        == "the driver of \(driver.name) cannot limit the running jobs of a over all processes: use one that can, or maxConcurrency"
    )
  }

  @Test("A payload that cannot be decoded fails its run, and the error says where")
  func undecodablePayloadSaysWhere() async throws {
    struct Sum: Job {
      static let kind: Kind = "a"
      var numbers: [Int]
      func perform(_ context: JobContext) async throws {}
    }
    let messages = Log()
    struct Messages: Hook {
      static let points: HookPoints = .didFail
      let log: Log
      func didFail(_ run: borrowing FinishedRun, error failure: any Error) async { log.add("\(failure)") }
    }
    let queue = Queue(driver) { Messages(log: messages) }
    try await queue.enqueue(Sum(numbers: [1]))
    _ = try await driver.insert([
      NewJob("a", payload: Payload(Array(#"{"numbers":[1,"x"]}"#.utf8), codec: .json)),
      NewJob("a", payload: Payload(Array("{".utf8), codec: .json)),
      NewJob("a", payload: Payload([1], codec: CodecID(77))),
    ])
    let summary = try await Worker(queue, handlers: [JobHandler(Sum.self)], options: my.options())
      .workUntilEmpty()
    #expect(summary.completed == 1 && summary.failed == 3)
    #expect(messages.entries.count == 3)
    #expect(messages.entries[0].hasPrefix("the payload is not JSON for Sum: at numbers.[1], byte 14: "))
    #expect(
      messages.entries[1] == "the payload is not JSON for Sum: byte 1: the JSON ends, expected a string")
    #expect(messages.entries[2] == "the queue has no codec 77 for the payload: add it to its codecs")
  }

  @Test func theRetryDelayMayComeFromTheJob() async throws {
    struct Patient: Job {
      static let kind: Kind = "a"
      static var policy: JobPolicy { patientPolicy }
      var seconds: Int
      func perform(_ context: JobContext) async throws { throw Broken() }
      func retryDelay(after attempt: Int, failure: any Error) -> Duration? { .seconds(seconds * attempt) }
    }
    try await my.queue.enqueue(Patient(seconds: 7))
    #expect(try await my.worker([JobHandler(Patient.self)]).workOnce())
    #expect(try await driver.claim(demand()).timeUntilNextDue == .seconds(7))
  }

  @Test func whatAWorkerCannotBeIsRefused() throws {
    let handler = JobHandler("a") { _ in }
    #expect(throws: QudoError.self) { try my.worker([]) }
    #expect(throws: QudoError.self) { try my.worker([handler, handler]) }
    #expect(throws: QudoError.self) { try my.worker([handler]) { $0.concurrency = 0 } }
    #expect(throws: QudoError.self) { try my.worker([handler]) { $0.shutdownGracePeriod = .seconds(-1) } }
    for change in [
      { $0.leaseDuration = .zero }, { $0.maxExpiredLeases = 0 }, { $0.maxRetries = -1 },
      { $0.maxConcurrency = 0 }, { $0.maxRunning = 0 }, { $0.timeLimit = .zero },
    ] as [(inout JobPolicy) -> Void] {
      #expect(throws: QudoError.self) { try my.worker([JobHandler("a", policy: policy(change)) { _ in }]) }
    }
  }
}

private let patientPolicy = policy { $0.maxRetries = 3 }
