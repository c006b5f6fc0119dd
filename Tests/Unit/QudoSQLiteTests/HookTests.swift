import Qudo
import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// Hooks on the way of a job, from enqueue to outcome.
@Suite struct HookTests {
  let my: Harness
  let log = Log()

  init() throws { my = try Harness() }

  /// Hears of everything.
  struct Spy: Hook {
    static let points: HookPoints = [
      .willEnqueue, .serialize, .didEnqueue, .didClaim, .deserialize, .willWork, .around, .didWork, .didFail,
      .leaseLost,
    ]
    let name: String
    let log: Log

    init(_ name: String, _ log: Log) {
      self.name = name
      self.log = log
    }

    func willEnqueue(_ job: inout NewJob) throws { log.add("\(name) willEnqueue") }
    func serialize(_ job: inout NewJob) throws {
      log.add("\(name) serialize")
      job.payload.bytes.append(contentsOf: name.utf8)
    }
    func didEnqueue(_ job: borrowing NewJob, result: EnqueueResult) async {
      log.add("\(name) didEnqueue \(result.id)")
    }
    func didClaim(_ job: borrowing ClaimedJob) { log.add("\(name) didClaim") }
    func deserialize(_ job: inout ClaimedJob) throws {
      log.add("\(name) deserialize")
      #expect(job.payload.bytes.suffix(name.utf8.count) == Array(name.utf8)[...])
      job.payload.bytes.removeLast(name.utf8.count)
    }
    func willWork(_ context: JobContext) async throws { log.add("\(name) willWork") }
    func around<Result: Sendable, Failure: Error>(
      _ context: JobContext, _ body: () async throws(Failure) -> Result
    ) async throws(Failure) -> Result {
      log.add("\(name) in")
      defer { log.add("\(name) out") }
      return try await body()
    }
    func didWork(_ run: borrowing FinishedRun) async { log.add("\(name) didWork") }
    func didFail(_ run: borrowing FinishedRun, error failure: any Error) async {
      log.add("\(name) didFail \(failure)")
    }
  }

  @Test func allPointsAreHeardInOrder() async throws {
    let queue = Queue(my.driver) {
      Spy("1", log)
      Spy("2", log)
    }
    try await queue.enqueue(job("x"))
    let worker = try Worker(
      queue, handlers: [JobHandler("a") { [log] in log.add("perform \($0.text)") }], options: my.options())
    #expect(try await worker.workOnce())
    #expect(
      log.entries == [
        "1 willEnqueue", "2 willEnqueue", "1 serialize", "2 serialize", "1 didEnqueue jobs/1",
        "2 didEnqueue jobs/1", "1 didClaim", "2 didClaim",
        "2 deserialize", "1 deserialize", "1 willWork", "2 willWork", "1 in", "2 in", "perform x", "2 out",
        "1 out", "1 didWork", "2 didWork",
      ])
  }

  @Test func aFailureIsHeardOf() async throws {
    let queue = Queue(my.driver) { Spy("1", log) }
    try await queue.enqueue(job())
    _ = try await Worker(queue, handlers: [JobHandler("a") { _ in throw Broken() }], options: my.options())
      .workOnce()
    #expect(log.entries.suffix(2) == ["1 didFail Broken()", "1 didWork"])
  }

  @Test func aJobThatIsRefusedStopsTheWholeBatch() async throws {
    struct Refusal: Hook, Error {
      static let points: HookPoints = .willEnqueue
      func willEnqueue(_ job: inout NewJob) throws { if job.priority > 5 { throw self } }
    }
    let queue = Queue(my.driver) { Refusal() }
    await #expect(throws: Refusal.self) { try await queue.enqueue([job(), job(priority: 6)]) }
    #expect(try await my.driver.count() == [])
  }

  @Test func aJobMayBeChangedBeforeItIsStored() async throws {
    struct Urgent: Hook {
      static let points: HookPoints = .willEnqueue
      func willEnqueue(_ job: inout NewJob) throws { job.priority = 9 }
    }
    try await Queue(my.driver) { Urgent() }.enqueue(job())
    #expect(try await my.driver.claim(demand()).jobs[0].priority == 9)
  }

  @Test("An error in a hook before the run fails the run and loses nothing")
  func errorBeforeTheRunFailsIt() async throws {
    struct Faulty: Hook {
      static let points: HookPoints = [.deserialize, .willWork]
      let early: Bool
      func deserialize(_ job: inout ClaimedJob) throws { if early { throw Broken() } }
      func willWork(_ context: JobContext) async throws { throw Broken() }
    }
    for early in [true, false] {
      _ = try await my.driver.insert([job()])
      let queue = Queue(my.driver) { Faulty(early: early) }
      let handlers = [JobHandler("a", policy: policy { $0.maxRetries = 1 }) { [log] _ in log.add("ran") }]
      #expect(
        try await Worker(queue, handlers: handlers, options: my.options()).workUntilEmpty().retried == 1)
    }
    #expect(log.entries == [])
  }

  @Test("willWork puts a job off with Snooze, and fails it for good with Abort, both without a run")
  func willWorkDecides() async throws {
    struct Gate: Hook {
      static let points: HookPoints = [.willWork]
      func willWork(_ context: JobContext) async throws {
        if context.text == "later" { throw Snooze(for: .seconds(60)) }
        throw Abort("not this one")
      }
    }
    _ = try await my.driver.insert([job("later"), job("never")])
    let queue = Queue(my.driver) { Gate() }
    let handlers = [JobHandler("a", policy: policy { $0.maxRetries = 5 }) { [log] _ in log.add("ran") }]
    let summary = try await Worker(queue, handlers: handlers, options: my.options()).workUntilEmpty(
      skipDelayed: true)
    #expect(summary.snoozed == 1 && summary.failed == 1 && summary.retried == 0)
    #expect(log.entries == [])
    #expect(try await my.driver.count() == [JobCount("a", delayed: 1)])
    let failures = try await my.driver.failures(LogQuery())
    #expect(failures.map(\.reason) == [.aborted] && failures.map(\.message) == ["not this one"])
  }

  @Test func hooksMayBeSwitchedOffAndChosen() async throws {
    for (isOn, isFirst) in [(true, true), (false, false)] {
      let queue = Queue(my.driver) {
        if isOn { Spy("on", log) }
        if isFirst { Spy("A", log) } else { Spy("B", log) }
      }
      try await queue.enqueue(job())
    }
    #expect(
      log.entries.filter { $0.hasSuffix("willEnqueue") } == [
        "on willEnqueue", "A willEnqueue", "B willEnqueue",
      ])
  }

  @Test func replacementsPassThroughTheHooksToo() async throws {
    let queue = Queue(my.driver) { Spy("1", log) }
    try await queue.enqueue(job("first"))
    let worker = try Worker(
      queue,
      handlers: [
        JobHandler("a") { context in if context.text == "first" { context.replace(with: [job("second")]) } }
      ], options: my.options())
    #expect(try await worker.workUntilEmpty().completed == 2)
    #expect(log.entries.count { $0 == "1 serialize" } == 2)
    #expect(log.entries.contains("1 didEnqueue jobs/2"))
  }

  @Test func aQueueIsErasedAsAWhole() async throws {
    let enqueuer: any Enqueuer = Queue(my.driver) { Spy("1", log) }
    let result = try await enqueuer.enqueue(job())
    #expect(result == .inserted(JobID(database: "jobs", number: 1)))
  }

  @Test func aHookIsNotCalledAtPointsThatOnlyAnotherNames() async throws {
    struct Quiet: Hook {
      static let points: HookPoints = .didClaim
      let spy: Spy
      func didClaim(_ job: borrowing ClaimedJob) { spy.didClaim(job) }
      func willEnqueue(_ job: inout NewJob) throws { try spy.willEnqueue(&job) }
      func willWork(_ context: JobContext) async throws { try await spy.willWork(context) }
      func didWork(_ run: borrowing FinishedRun) async { await spy.didWork(run) }
      func around<Result: Sendable, Failure: Error>(
        _ context: JobContext, _ body: () async throws(Failure) -> Result
      ) async throws(Failure) -> Result { try await spy.around(context, body) }
    }
    let isSpied = false
    let either = Queue(my.driver) { if isSpied { Spy("1", log) } else { Quiet(spy: Spy("quiet", log)) } }
    try await either.enqueue(job("x"))
    _ = try await Worker(either, handlers: [JobHandler("a") { _ in }], options: my.options()).workOnce()
    #expect(log.entries == ["quiet didClaim"])
    let queue = Queue(my.driver) {
      Quiet(spy: Spy("quiet", log))
      Spy("1", log)
      Quiet(spy: Spy("quiet", log))
    }
    try await queue.enqueue(job("x"))
    _ = try await Worker(queue, handlers: [JobHandler("a") { _ in }], options: my.options()).workOnce()
    #expect(
      log.entries.filter { $0.hasPrefix("quiet") } == ["quiet didClaim", "quiet didClaim", "quiet didClaim"])
    #expect(log.entries.count { $0.hasPrefix("1 ") } == 9)
  }

  @Test func aHookMayHearOfSomeKindsOnly() async throws {
    let queue = Queue(my.driver) { Spy("only", log).only("a", "c") }
    try await queue.enqueue([job("x"), NewJob("b", payload: Payload("y"))])
    let handlers = ["a", "b"].map { kind in
      JobHandler(Kind(kind)) { [log] in
        log.add("perform \($0.text)"); if kind == "b" { throw Broken() }
      }
    }
    _ = try await Worker(queue, handlers: handlers, options: my.options()).workUntilEmpty()
    #expect(log.entries.count { $0.hasPrefix("only") } == 9)
    #expect(log.entries.contains("perform y"), "what is stored of the other kind is what was given")
    #expect(!log.entries.contains { $0.hasPrefix("only didFail") })
  }
}
