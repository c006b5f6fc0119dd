import Qudo
import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// What becomes of a worker's runs when their jobs are cancelled or their kinds are paused, here and in other
/// processes.
@Suite struct ControlTests {
  let file: TemporaryFile
  let driver: SQLiteDriver
  /// As another process has it.
  let other: SQLiteDriver

  init() throws {
    file = try TemporaryFile()
    driver = try file.open()
    other = try file.open()
  }

  private func worker(
    _ handlers: [JobHandler], concurrency: Int = 1, grace: Duration = .seconds(600), maxStuckSlots: Int? = nil
  ) throws -> Worker<NoHooks> {
    try Worker(
      Queue(driver), handlers: handlers,
      options: WorkerOptions(
        concurrency: concurrency, cancellationGracePeriod: grace, pollInterval: .seconds(3600),
        maxStuckSlots: maxStuckSlots))
  }

  /// A handler whose runs end when they are cancelled.
  private func endless(_ log: Log) -> JobHandler {
    JobHandler("a", policy: policy { $0.leaseDuration = .seconds(3600) }) { context in
      log.add("begun \(context.text)")
      do { try await forever() } catch {
        log.add("cancelled \(context.text)")
        throw error
      }
    }
  }

  @Test("stops a run of another process, long before its lease is renewed", .timeLimit(.minutes(2)))
  func elsewhere() async throws {
    let log = Log()
    let ids = try await Queue(driver).enqueue([job("1"), job("2"), job("3")]).map(\.id)
    let worker = try worker([endless(log)], concurrency: 2)
    let work = Task { try await worker.workUntilEmpty() }
    await log.count(2)
    // The third one waits, and leaves at once.
    #expect(try await Queue(other).cancel(ids, reason: "stop") == [.cancelling, .cancelling, .cancelled])
    let summary = try await work.value
    #expect(summary.cancelled == 2 && summary.failed == 0 && summary.released == 0)
    #expect(log.sorted == ["begun 1", "begun 2", "cancelled 1", "cancelled 2"])
    let failures = try await other.failures(LogQuery())
    #expect(Set(failures.map(\.reason)) == [.cancelled] && Set(failures.map(\.message)) == ["stop"])
    #expect(failures.count == 3)
  }

  @Test("stops a run of its own process", .timeLimit(.minutes(2))) func ownProcess() async throws {
    let log = Log()
    let id = try await Queue(driver).enqueue(job("1")).id
    let worker = try worker([endless(log)])
    let work = Task { try await worker.workUntilEmpty() }
    await log.count(1)
    #expect(try await Queue(driver).cancel(id) == .cancelling)
    #expect(try await work.value.cancelled == 1)
    #expect(try await Queue(driver).cancel(id) == .notFound)
  }

  @Test("a run that completes all the same has completed", .timeLimit(.minutes(2)))
  func completes() async throws {
    let (log, gate) = (Log(), Gate())
    let id = try await Queue(driver).enqueue(job("1")).id
    let handler = JobHandler("a") { _ in
      log.add("begun")
      while !Task.isCancelled { await Task.yield() }
      log.add("told")
      await gate.pass()
    }
    let worker = try worker([handler])
    let work = Task { try await worker.workUntilEmpty() }
    await log.count(1)
    #expect(try await Queue(other).cancel(id) == .cancelling)
    await log.count(2)
    gate.open()
    #expect(try await work.value.completed == 1)
    #expect(try await other.failures(LogQuery()).isEmpty)
  }

  @Test("a run that ignores its cancellation is given up after the grace period", .timeLimit(.minutes(2)))
  func ignores() async throws {
    let (log, gate) = (Log(), Gate())
    let id = try await Queue(driver).enqueue(job("1")).id
    let handler = JobHandler("a") { _ in
      log.add("begun")
      await gate.pass()
    }
    let worker = try worker([handler], grace: .milliseconds(1))
    let work = Task { try await worker.workUntilEmpty() }
    await log.count(1)
    #expect(try await Queue(other).cancel(id) == .cancelling)
    while try await other.failures(LogQuery()).isEmpty { await Task.yield() }
    #expect(try await other.count(nil).isEmpty)
    gate.open()
    #expect(try await work.value.cancelled == 1)
  }

  @Test(
    "a worker whose slots are all held by runs that ignore their cancellation ends", .timeLimit(.minutes(2)))
  func stuckSlots() async throws {
    let (log, gate) = (Log(), Gate())
    let ids = try await Queue(driver).enqueue([job("1"), job("2")]).map(\.id)
    let handler = JobHandler("a") { _ in
      log.add("begun")
      await gate.pass()
    }
    let worker = try worker([handler], grace: .milliseconds(1), maxStuckSlots: 1)
    let work = Task { try await worker.work() }
    await log.count(1)
    #expect(try await Queue(other).cancel(ids[0]) == .cancelling)
    await #expect { try await work.value } throws: { ($0 as? QudoError)?.code == .slotsStuck }
    // The outcome is written, and the other job waits for another worker.
    #expect(try await other.count(nil) == [JobCount("a", ready: 1)])
    #expect(try await other.failures(LogQuery()).map(\.reason) == [.cancelled])
    gate.open()
  }

  @Test("a job that was prefetched does not begin", .timeLimit(.minutes(2))) func prefetched() async throws {
    let (log, gate) = (Log(), Gate())
    let handler = JobHandler("a") { context in
      log.add(context.text)
      if context.text == "1" { await gate.pass() }
    }
    // The first run is so short that the next claim takes several.
    let first = try await Queue(driver).enqueue((0..<4).map { _ in job("0") })
    #expect(first.count == 4)
    _ = try await Queue(driver).enqueue([job("1"), job("2"), job("3")])
    let worker = try worker([handler])
    let work = Task { try await worker.workUntilEmpty() }
    await log.count(5)
    let left = try await other.jobs(matching: JobQuery()).map(\.id)
    #expect(left.count >= 3)
    _ = try await other.cancel(Array(left.suffix(2)), reason: nil)
    // The worker gives them up while its only slot is taken.
    while try await other.failures(LogQuery()).count < 2 { await Task.yield() }
    gate.open()
    _ = try await work.value
    #expect(log.entries == ["0", "0", "0", "0", "1"])
    #expect(try await other.failures(LogQuery()).map(\.job).sorted() == left.suffix(2))
  }

  @Test("an idle worker begins at once what another process resumes", .timeLimit(.minutes(2)))
  func resumes() async throws {
    let log = Log()
    try await Queue(other).pause(["a"], reason: "deploy")
    _ = try await Queue(driver).enqueue(job("1"))
    let handler = JobHandler("a") { _ in log.add("ran") }
    let worker = try worker([handler])
    let work = Task { try await worker.work() }
    let spy = JobHandler("b") { _ in log.add("b") }
    // A worker of another kind shows that the first one had its chance.
    _ = try await Queue(driver).enqueue(NewJob("b"))
    _ = try await Worker(Queue(other), handlers: [spy]).workUntilEmpty()
    #expect(log.entries == ["b"])
    #expect(try await Queue(other).count(["a"]) == [JobCount("a", ready: 1, isPaused: true)])
    #expect(try await Queue(other).resume().map(\.kind) == ["a"])
    await log.count(2)
    #expect(log.entries == ["b", "ran"])
    work.cancel()
    _ = try await work.value
  }

  @Test("a worker sleeps until a pause ends") func pauseEnds() async throws {
    let harness = try Harness()
    let log = Log()
    try await harness.queue.pause(nil, until: .after(.seconds(60)))
    _ = try await harness.queue.enqueue(job("1"))
    let worker = try harness.worker([JobHandler("a") { _ in log.add("ran") }]) {
      $0.pollInterval = .seconds(3600)
    }
    let work = Task { try await worker.work() }
    await harness.clock.sleepers(atLeast: 1)
    #expect(log.entries.isEmpty)
    harness.clock.advance(by: .seconds(60))
    await log.count(1)
    work.cancel()
    _ = try await work.value
  }

  @Test("a worker until empty waits for a paused kind without a spin, or leaves it with the delayed jobs")
  func untilEmpty() async throws {
    let harness = try Harness()
    let spy = SpyDriver(base: harness.driver)
    try await harness.queue.pause(["a"])
    _ = try await harness.queue.enqueue(job("1"))
    let worker = try Worker(
      Queue(spy), handlers: [JobHandler("a") { _ in }],
      options: harness.options { $0.pollInterval = .seconds(3600) })
    #expect(try await worker.workUntilEmpty(skipDelayed: true).completed == 0)
    let work = Task { try await worker.workUntilEmpty() }
    await harness.clock.sleepers(atLeast: 1)
    #expect(spy.log.entries.count < 20, "\(spy.log.entries)")
    try await harness.queue.resume()
    #expect(try await work.value.completed == 1)
  }

  @Test("a mark whose job is gone goes with the next claim") func orphanedMark() async throws {
    try file.execute("INSERT INTO qudo_cancellation VALUES(999, 0, NULL)")
    #expect(try await driver.claim(demand()).jobs.isEmpty)
    #expect(try file.rows("SELECT count(*) FROM qudo_cancellation") == ["0"])
  }

  @Test("thousands are cancelled in transactions of a thousand") func bulk() async throws {
    let queue = Queue(driver)
    for _ in 0..<3 { _ = try await queue.enqueue((0..<1000).map { job("\($0)") }) }
    _ = try await queue.enqueue((0..<100).map { job("\($0)", kind: $0 % 2 == 0 ? "a" : "b") })
    let steps = Locked<[Int]>([])
    let count = try await queue.cancel(matching: JobFilter(kinds: ["a"], states: [.ready]), reason: "all") {
      jobs in
      steps.withLock { $0.append(jobs.count) }
    }
    #expect(count == 3050)
    #expect(steps.withLock { $0 } == [1000, 1000, 1000, 50])
    #expect(try await queue.count() == [JobCount("b", ready: 50)])
    #expect(
      try file.rows("SELECT count(*), count(DISTINCT job), sum(payload IS NULL) FROM qudo_failure") == [
        "3050|3050|0"
      ])
    #expect(try file.rows("SELECT count(*) FROM qudo_cancellation") == ["0"])
    #expect(try await queue.enqueue(job("next")).id.number == 3101)
  }

  @Test("what the article shows") func article() async throws {
    let queue = Queue(driver)
    let id = try await queue.enqueue(NewJob("mail.send")).id
    let result = try await queue.cancel(id, reason: "the customer is gone")
    #expect(result == .cancelled)
    _ = try await queue.enqueue(NewJob("mail.send"))
    try await queue.pause(["mail.send"], until: .after(.seconds(3600)), reason: "the mail server is down")
    #expect(try await queue.pauses().count == 1)
    try await queue.resume(["mail.send"])
    let count = try await queue.cancel(matching: JobFilter(kinds: ["mail.send"], states: [.ready, .delayed]))
    #expect(count == 1)
    try await changes()
    try await outcomes()
    try await filters()
    try await expiries()
    #expect(
      try ArticleText.untested("Sources/Qudo/Qudo.docc/Controlling.md", by: #filePath, but: "\0") == [])
  }

  private func changes() async throws {
    let queue = Queue(driver)
    let id = try await queue.enqueue(NewJob("mail.send")).id
    let answer = try await queue.change(id, JobChange(priority: 10, due: .after(.seconds(60))))
    #expect(answer == .changed)
    try await queue.runNow(id)
    #expect(try await queue.job(id)?.state == .ready)
    try await queue.change(id, JobChange(due: .after(.seconds(60))))
    let changed = try await queue.change(
      matching: JobFilter(kinds: ["mail.send"], states: [.delayed]), JobChange(due: .now))
    #expect(changed == 1)
    _ = try await driver.claim(demand(1, "mail.send"))
    try await queue.recover(id)
    #expect(try await queue.job(id)?.priority == 10)
    try await queue.cancel(id)
  }

  private struct Reading: Job {
    static let kind: Kind = "reading"
    let celsius: Int
    func perform(_ context: JobContext) async throws {}
  }

  @Test("refuses an enqueue at the maximum of waiting jobs, or drops the oldest") func bounds() async throws {
    let queue = Queue(driver)
    let log = Log()
    func print(_ text: String, _ error: QudoError) { log.add("\(text) \(error.code)") }
    _ = try await queue.enqueue((0..<10_000).map { Reading(celsius: $0) })
    let options = EnqueueOptions(maxWaiting: .refuse(10_000))
    do {
      try await queue.enqueue(Reading(celsius: 21), options: options)
    } catch let error as QudoError where error.code == .queueFull {
      print("not stored:", error)
    }
    #expect(log.sorted == ["not stored: queueFull"])
    try await queue.enqueue(Reading(celsius: 22), options: EnqueueOptions(maxWaiting: .dropOldest(10_000)))
    #expect(try await queue.failures().map(\.reason) == [.dropped])
  }

  private func expiries() async throws {
    let queue = Queue(driver)
    try await queue.enqueue(Reading(celsius: 21), expires: .after(.seconds(3600)))
    let stored = try #require(try await queue.jobs(matching: JobQuery(kinds: ["reading"])).first)
    #expect(stored.expiresAt == stored.enqueuedAt.advanced(by: .seconds(3600)))
    _ = try await queue.cancel(matching: JobFilter(kinds: ["reading"]))
    let policy = JobPolicy(maxRetries: 5, onFinalFailure: "mail.failed")
    let log = Log()
    @Sendable func print(_ text: String) { log.add(text) }
    let handler = JobHandler("mail.failed") { context in
      guard let failed = context.failedJob else { return }
      print("\(failed.kind) \(failed.id) failed \(failed.attempt) times: \(failed.message)")
    }
    let id = try await queue.enqueue(NewJob("mail.send")).id.number
    let failing = JobHandler("mail.send", policy: policy) { _ in throw Abort("no such address") }
    try await Worker(queue, handlers: [failing, handler]).workUntilEmpty()
    #expect(log.entries == ["mail.send \(id) failed 1 times: no such address"])
  }

  private func filters() async throws {
    let queue = Queue(driver)
    let payload = Payload("to: ada@example.org")
    var job = NewJob("mail.send", payload: payload, unique: UniqueKey("order-1"))
    job.metadata = ["tenant": "acme"]
    let id = try await queue.enqueue(job).id
    let filter = JobFilter(
      kinds: ["mail.send"], uniqueKeyPrefix: "order-", payloadContains: Array("ada@".utf8))
    let jobs = try await queue.jobs(matching: JobQuery(filter, limit: 20))
    let ofTenant = try await queue.jobs(matching: JobQuery(JobFilter(metadata: ["tenant": "acme"])))
    #expect(jobs.map(\.id) == [id.number] && ofTenant.map(\.id) == [id.number])
    let claimed = try await driver.claim(demand(1, "mail.send")).jobs
    _ = try await driver.settle(
      claimed.map { Settlement($0.lease, .failed(message: "a timeout")) }, claiming: nil)
    let timeouts = FailureFilter(reasons: [.failed], messageContains: "timeout")
    let rows = try await queue.failures(LogQuery(kinds: ["mail.send"], failures: timeouts))
    let replayed = try await queue.replay(matching: timeouts, kinds: ["mail.send"])
    #expect(rows.count == 1 && replayed == 1)
    #expect(try await queue.replay(matching: timeouts) == 0)
    try await corrections(queue)
    #expect(try await queue.cancel(matching: filter) == 1)
  }

  @Test("resolves failures, and replays one with another key") func resolutions() async throws {
    let queue = Queue(driver)
    _ = try await queue.enqueue((1...4).map { NewJob("mail.send", payload: Payload("\($0)")) })
    let claimed = try await driver.claim(demand(9, "mail.send")).jobs
    _ = try await driver.settle(
      claimed.map { Settlement($0.lease, .failed(message: "a timeout")) }, claiming: nil)
    let timeouts = FailureFilter(reasons: [.failed], messageContains: "timeout")
    let rows = try await queue.failures(LogQuery(kinds: ["mail.send"], failures: timeouts))
    try await queue.replay([rows[1].id], unique: "order-17-again")
    try await queue.resolve([rows[2].id])
    let resolved = try await queue.resolve(matching: timeouts, kinds: ["mail.send"])
    #expect(resolved == 2)
    #expect(try await queue.failures().map(\.isResolved) == [true, false, true, true])
    #expect(try await queue.replay(matching: timeouts) == 0)
    let jobs = try await queue.jobs(matching: JobQuery())
    #expect(jobs.map(\.uniqueKey) == ["order-17-again"])
  }

  private func corrections(_ queue: Queue<NoHooks>) async throws {
    _ = try await queue.enqueue(NewJob("mail.send"))
    let claimed = try await driver.claim(ClaimRequest([.init("mail.send")], limit: 9)).jobs
    let last = try #require(claimed.last)
    let settlements = claimed.map {
      Settlement($0.lease, $0.id == last.id ? .failed(message: "") : .released)
    }
    _ = try await driver.settle(settlements, claiming: nil)
    let rows = try await queue.failures(LogQuery(job: last.id))
    try await queue.replay([rows[0].id], changing: JobChange(payload: Payload("to: bob@example.org")))
    let bob = JobFilter(payloadContains: Array("bob@".utf8))
    #expect(try await queue.cancel(matching: bob) == 1)
  }

  private func outcomes() async throws {
    let queue = Queue(driver)
    let ids = try await queue.enqueue([NewJob("a"), NewJob("b"), NewJob("c"), NewJob("d")]).map(\.id)
    let claimed = try await driver.claim(demand(3, "a", "b", "c")).jobs
    let outcomes: [Settlement.Outcome] = [.completed(), .failed(message: "broke"), .completed()]
    let settlements = zip(claimed, outcomes).map { claimed, outcome in
      Settlement(claimed.lease, outcome, recording: claimed.kind == "c" ? nil : .seconds(1))
    }
    _ = try await driver.settle(settlements, claiming: nil)
    let log = Log()
    func print(_ text: String) { log.add(text) }
    for id in ids + [JobID(database: ids[0].database, number: 99)] {
      switch try await queue.outcome(of: id) {
      case .unfinished(let job): print("\(job.state), due \(job.dueAt)")
      case .completed(let run): print("completed at \(run.endedAt)")
      case .failed(let failure): print("\(failure.reason): \(failure.message)")
      case .unrecorded: print("ended; no log says how")
      case .neverExisted: print("no job has this id")
      }
    }
    #expect(
      log.entries.map { String($0.prefix(7)) } == ["complet", "failed:", "ended; ", "ready, ", "no job "])
    let id = ids[0]
    let outcome = try await queue.wait(for: id, timeout: .seconds(60))
    guard case .completed = outcome else { Issue.record("\(outcome)"); return }
  }

  @Test("the queue names the database of a job") func databases() async throws {
    await #expect { try await Queue(driver).cancel(JobID(database: "none", number: 1)) } throws: {
      ($0 as? QudoError)?.code == .invalidArgument
    }
    let (one, two) = (MemoryDriver(name: "one"), MemoryDriver(name: "two"))
    var options = DatabaseOptions()
    options.clock = ManualClock()
    let queue = Queue(try Databases([Databases.Source(one), Databases.Source(two)], options: options))
    for driver in [one, two] { _ = try await driver.insert([job("1"), job("2")]) }
    let ids = [
      JobID(database: "two", number: 2), JobID(database: "one", number: 1), JobID(database: "two", number: 9),
    ]
    #expect(try await queue.cancel(ids) == [.cancelled, .cancelled, .notFound])
    try await queue.pause(["a"])
    #expect(try await queue.pauses().count == 2)
    #expect(try await queue.count() == [JobCount("a", ready: 2, isPaused: true)])
    #expect(try await queue.cancel(matching: JobFilter()) == 2)
    #expect(try await queue.resume().count == 2)
  }
}
