import Qudo
import QudoSQLite
import QudoTesting
import Testing

@Suite(
  "Perl: job: id, uniqkey, retry_cnt, priority, arg, arg_origin, db, job_start_time, completed, failed, abort, reenqueue, dequeue, is_*"
)
struct JobParityTests {
  let my: Harness
  let log = Log()

  init() throws { my = try Harness() }

  @Test func aRunKnowsItsJob() async throws {
    let start = my.clock.now().wall
    try await my.queue.enqueue(
      NewJob("a", payload: Payload("arg"), unique: UniqueKey("uniqkey"), priority: 7))
    my.clock.advance(by: .seconds(3))
    let clock = my.clock
    let worker = try my.worker([
      handler("a", log) { [log] context in
        clock.advance(by: .seconds(2))
        log.add(
          "\(context.id) \(context.database) \(context.uniqueKey ?? "-") \(context.priority) \(context.attempt)"
        )
        log.add("\(context.startedAt.microseconds - start.microseconds) \(context.enqueuedAt == start)")
      }
    ])
    #expect(try await worker.workOnce())
    #expect(log.entries == ["a arg", "jobs/1 jobs uniqkey 7 1", "3000000 true"])
  }

  @Test func aRunKnowsHowOftenTheJobWasTried() async throws {
    try await my.queue.enqueue(NewJob("a"))
    try await my.worker([
      handler("a", log, policy: policy { $0.maxRetries = 2 }) { [log] context in
        log.add("\(context.attempt)")
        throw Broken()
      }
    ]).workUntilEmpty()
    #expect(log.entries.filter { $0 != "a " } == ["1", "2", "3"])
  }

  @Test func returningCompletesTheJob() async throws {
    try await my.queue.enqueue(NewJob("a"))
    #expect(try await my.worker([handler("a", log)]).workUntilEmpty().completed == 1)
    #expect(try await my.driver.count() == [])
    #expect(try await my.driver.failures(LogQuery()) == [])
  }

  @Test func anAbortIsLoggedAndNotTriedAgain() async throws {
    try await my.queue.enqueue(NewJob("a", payload: Payload("arg")))
    let retries = policy { $0.maxRetries = 5 }
    #expect(
      try await my.worker([handler("a", log, policy: retries) { try $0.abort("abort!!") }]).workUntilEmpty()
        .failed == 1)
    let rows = try await my.driver.failures(LogQuery())
    #expect(
      rows.map(\.message) == ["abort!!"] && rows.map(\.payload) == [Payload("arg")]
        && rows.map(\.reason) == [.aborted])
    #expect(log.entries.count == 1)
  }

  @Test(arguments: [false, true]) func aJobMayPutItselfBack(countsAttempt: Bool) async throws {
    let id = try await my.queue.enqueue(
      NewJob("a", payload: Payload("x"), unique: UniqueKey("k"), priority: 7)
    ).id
    let enqueued = my.clock.now().wall
    let worker = try my.worker([
      handler("a", log) { try $0.snooze(for: .seconds(60), countsAttempt: countsAttempt) }
    ])
    my.clock.advance(by: .seconds(1))
    #expect(try await worker.workOnce())
    let job = try #require(try await my.queue.job(id))
    #expect(
      job.attempt == (countsAttempt ? 2 : 1) && job.state == .delayed
        && job.dueAt == enqueued.advanced(by: .seconds(61)))
    #expect(job.payload == Payload("x") && job.uniqueKey == "k" && job.priority == 7)
    #expect(job.enqueuedAt == enqueued, "the original sets it anew")
    #expect(try await my.driver.failures(LogQuery()) == [])
  }

  enum End: CaseIterable { case completed, failed, aborted, replaced }

  @Test(arguments: End.allCases) func aFinishedJobsKeyIsFree(end: End) async throws {
    try await my.queue.enqueue(NewJob("a", unique: UniqueKey("k")))
    let worker = try my.worker([
      handler("a", log) { context in
        switch end {
        case .completed: break
        case .failed: throw Broken()
        case .aborted: try context.abort("no")
        case .replaced: context.replace(with: [NewJob("b")])
        }
      }
    ])
    #expect(try await worker.workOnce())
    #expect(
      try await my.queue.enqueue(NewJob("a", unique: UniqueKey("k"))).id
        == JobID(database: "jobs", number: end == .replaced ? 3 : 2))
    #expect(try await my.driver.count(["a"]) == [JobCount("a", ready: 1)])
  }

  @Test func aJobThatWaitsForItsRetryHoldsItsKey() async throws {
    try await my.queue.enqueue(NewJob("a", unique: UniqueKey("k")))
    #expect(
      try await my.worker([handler("a", log, policy: policy { $0.maxRetries = 1 }) { _ in throw Broken() }])
        .workOnce())
    #expect(
      try await my.queue.enqueue(NewJob("a", unique: UniqueKey("k")))
        == .conflict(JobID(database: "jobs", number: 1)))
  }

  /// `arg` and `arg_origin`: what the job sees, and what is stored.
  @Test func whatIsStoredStaysAsItIsWhateverTheRunSees() async throws {
    let sealing = Sealing(seal: { $0.reversed() }, open: { $0.reversed() })
    let queue = Queue(my.driver) { sealing }
    let id = try await queue.enqueue(NewJob("a", payload: Payload("arg"))).id
    #expect(try await queue.job(id)?.payload == Payload("gra"))
    #expect(
      try await Worker(queue, handlers: [handler("a", log) { _ in throw Broken() }], options: my.options())
        .workOnce())
    #expect(log.entries == ["a arg"])
    #expect(try await my.driver.failures(LogQuery()).map(\.payload) == [Payload("gra")])
  }
}
