import Qudo
import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// Leases, limits and graces, by a clock that stands still.
@Suite struct WorkerTimeTests {
  let my: Harness
  let log = Log()
  var driver: SQLiteDriver { my.driver }
  var clock: ManualClock { my.clock }

  init() throws { my = try Harness() }

  /// A job that goes on until it is cancelled, and says so.
  private func endless(_ change: (inout JobPolicy) -> Void = { _ in }) -> JobHandler {
    JobHandler("a", policy: policy(change)) { [log] _ in
      log.add("started")
      do { try await forever() } catch {
        log.add("cancelled")
        throw error
      }
    }
  }

  /// A job that does not care.
  private func stubborn(_ gate: Gate, _ change: (inout JobPolicy) -> Void = { _ in }) -> JobHandler {
    JobHandler("a", policy: policy(change)) { [log] _ in
      log.add("started")
      await withTaskCancellationHandler {
        await gate.pass()
      } onCancel: {
        log.add("cancelled")
      }
    }
  }

  @Test func aRunOverItsTimeLimitIsCancelledAndFails() async throws {
    _ = try await driver.insert([job()])
    let worker = try my.worker([endless { $0.timeLimit = .seconds(5) }])
    async let summary = worker.workUntilEmpty()
    await log.count(1)
    clock.advance(by: .seconds(5))
    #expect(try await summary.failed == 1)
    #expect(log.entries == ["started", "cancelled"])
    #expect(try await driver.count() == [])
  }

  @Test("A run that ignores its time limit is settled without waiting for it")
  func runBeyondItsTimeLimitIsAbandoned() async throws {
    let gate = Gate()
    defer { gate.open() }
    _ = try await driver.insert([job()])
    let worker = try my.worker([stubborn(gate) { $0.timeLimit = .seconds(5) }]) {
      $0.cancellationGracePeriod = .seconds(2)
    }
    async let summary = worker.workUntilEmpty()
    await log.count(1)
    clock.advance(by: .seconds(5))
    await log.count(2)
    clock.advance(by: .seconds(2))
    #expect(try await summary.failed == 1)
    #expect(try await driver.count() == [])
  }

  @Test("An abandoned run counts for nothing when it fails at last")
  func abandonedRunCountsForNothing() async throws {
    struct Ends: Hook {
      static let points: HookPoints = [.didFail, .didWork]
      let log: Log
      func didFail(_ run: borrowing FinishedRun, error failure: any Error) async { log.add("didFail") }
      func didWork(_ run: borrowing FinishedRun) async {
        if case .released = run.outcome { log.add("released") } else { log.add("another outcome") }
      }
    }
    let gate = Gate()
    let ends = Log()
    let queue = Queue(driver) { Ends(log: ends) }
    try await queue.enqueue(job())
    let handler = JobHandler("a", policy: JobPolicy(timeLimit: .seconds(5))) { [log] _ in
      log.add("started")
      await withTaskCancellationHandler {
        await gate.pass()
      } onCancel: {
        log.add("cancelled")
      }
      throw Broken()
    }
    let worker = try Worker(
      queue, handlers: [handler], options: my.options { $0.cancellationGracePeriod = .seconds(2) })
    async let summary = worker.workUntilEmpty()
    await log.count(1)
    clock.advance(by: .seconds(5))
    await log.count(2)
    clock.advance(by: .seconds(2))
    #expect(try await summary.failed == 1)
    gate.open()
    await ends.count(1)
    #expect(ends.entries == ["released"])
  }

  @Test func aStoppedWorkerLetsItsJobsEndWithinTheGrace() async throws {
    let gate = Gate()
    _ = try await driver.insert([job(), job()])
    let worker = try my.worker([stubborn(gate)])
    let work = Task { try await worker.work() }
    await log.count(1)
    work.cancel()
    gate.open()
    #expect(try await work.value.completed == 1)
    #expect(try await driver.count() == [JobCount("a", ready: 1)])
    #expect(log.entries == ["started"])
  }

  @Test("After the grace period jobs are cancelled and released at once, and no attempt counts")
  func afterTheGracePeriodJobsAreReleased() async throws {
    _ = try await driver.insert([job()])
    let worker = try my.worker([endless()]) { $0.shutdownGracePeriod = .zero }
    let work = Task { try await worker.work() }
    await log.count(1)
    work.cancel()
    #expect(try await work.value.released == 1)
    #expect(try await driver.claim(demand()).jobs.map(\.attempt) == [1])
  }

  @Test("A job that ignores the end of the grace period is released without waiting for it")
  func jobIgnoringTheGracePeriodIsReleased() async throws {
    let gate = Gate()
    defer { gate.open() }
    _ = try await driver.insert([job()])
    let worker = try my.worker([stubborn(gate)]) {
      $0.shutdownGracePeriod = .zero; $0.cancellationGracePeriod = .seconds(2)
    }
    let work = Task { try await worker.work() }
    await log.count(1)
    work.cancel()
    await log.count(2)
    clock.advance(by: .seconds(2))
    #expect(try await work.value.released == 1)
    #expect(try await driver.claim(demand()).jobs.count == 1)
  }

  @Test func aCancelledWorkerWithoutAJobEndsAtOnce() async throws {
    let worker = try my.worker([endless()])
    let work = Task { try await worker.work() }
    work.cancel()
    #expect(try await work.value == WorkSummary())
  }

  @Test func leasesAreRenewedWhileTheJobRuns() async throws {
    let spy = SpyDriver(base: driver)
    let gate = Gate()
    _ = try await driver.insert([job(), job()])
    let worker = try Worker(
      Queue(spy), handlers: [stubborn(gate)], options: my.options { $0.concurrency = 2 })
    async let summary = worker.workUntilEmpty()
    await log.count(2)
    let other = try my.file.open(clock: clock)
    for round in 1...5 {
      let calls = spy.log.entries.count { $0 == "extend 2" }
      #expect(calls == round - 1)
      let before = spy.log.entries.count
      clock.advance(by: .seconds(20))
      await spy.log.count(before + 1)
      #expect(try await other.claim(demand()).jobs.isEmpty)
    }
    gate.open()
    #expect(try await summary.completed == 2)
  }

  @Test func aRenewalThatFailsIsTriedAgain() async throws {
    let spy = SpyDriver(base: driver)
    let gate = Gate()
    _ = try await driver.insert([job()])
    let worker = try Worker(Queue(spy), handlers: [stubborn(gate)], options: my.options())
    async let summary = worker.workUntilEmpty()
    await log.count(1)
    spy.fail("extend", [QudoError(.diskFull, "full"), QudoError(.busy, "busy")])
    for (step, entry) in [
      (Duration.seconds(20), "extend fails"), (.milliseconds(100), "extend fails"),
      (.milliseconds(200), "extend 1"),
    ] {
      // The engine reads the clock for its next try after the call has failed.
      while (clock.nextWake ?? .max) > clock.sinceBoot() + step.wholeMicroseconds { await Task.yield() }
      let before = spy.log.entries.count
      clock.advance(by: step)
      await spy.log.count(before + 1)
      #expect(spy.log.entries.last == entry)
    }
    gate.open()
    #expect(try await summary.completed == 1)
  }

  @Test func aLostLeaseCancelsItsRunAndChangesNothing() async throws {
    _ = try await driver.insert([job()])
    let worker = try my.worker([endless()])
    async let summary = worker.workUntilEmpty()
    await log.count(1)
    await clock.sleepers(atLeast: 1)
    let other = try my.file.open(clock: clock)
    // The worker is slow: by the time it renews, another worker has taken the job over.
    clock.advanceWithoutWaking(by: .seconds(61))
    let jobs = try await other.claim(demand()).jobs
    #expect(jobs.count == 1)
    clock.advance(by: .zero)
    await log.count(2)
    _ = try await other.settle(jobs.map { Settlement($0.lease, .completed()) }, claiming: nil)
    #expect(try await summary.leaseLost == 1)
    #expect(log.entries == ["started", "cancelled"])
  }

  @Test("An idle worker sleeps exactly until the next job is due")
  func idleWorkerSleepsUntilTheNextDueTime() async throws {
    _ = try await driver.insert([job(due: .after(.seconds(1)))])
    let worker = try my.worker([JobHandler("a") { [log] _ in log.add("ran") }]) {
      $0.pollInterval = .seconds(3600)
    }
    async let summary = worker.workUntilEmpty()
    await clock.sleepers(atLeast: 1)
    #expect(clock.nextWake == clock.sinceBoot() + 1_000_000)
    clock.advance(by: .seconds(1))
    #expect(try await summary.completed == 1)
  }

  @Test func aWorkerTakesOverWhenAnothersLeaseEnds() async throws {
    _ = try await driver.insert([job()])
    _ = try await driver.claim(demand(leaseDuration: .seconds(9)))
    let worker = try my.worker([JobHandler("a") { [log] _ in log.add("ran") }]) {
      $0.pollInterval = .seconds(3600)
    }
    async let summary = worker.workUntilEmpty()
    await clock.sleepers(atLeast: 1)
    #expect(clock.nextWake == clock.sinceBoot() + 9_000_000)
    clock.advance(by: .seconds(9))
    #expect(try await summary.completed == 1)
  }

  @Test func aReleasedJobOfAnotherWorkerIsTakenAtOnce() async throws {
    _ = try await driver.insert([job()])
    let lease = try await driver.claim(demand()).jobs[0].lease
    let worker = try my.worker([JobHandler("a") { _ in }]) { $0.pollInterval = .seconds(3600) }
    async let summary = worker.workUntilEmpty()
    await clock.sleepers(atLeast: 1)
    try await driver.release([lease])
    #expect(try await summary.completed == 1)
  }

  @Test func anEnqueueWakesAnIdleWorkerInTheSameProcess() async throws {
    let worker = try my.worker([JobHandler("a") { [log] _ in log.add("ran") }])
    let work = Task { try await worker.work() }
    await clock.sleepers(atLeast: 1)
    for round in 1...20 {
      _ = try await driver.insert([job()])
      await log.count(round)
    }
    work.cancel()
    #expect(try await work.value.completed == 20)
  }

  /// Through the file: the other connection shares nothing with the worker's. The clock stands still, so that no
  /// poll helps.
  @Test("An enqueue on another connection wakes an idle worker")
  func enqueueElsewhereWakesAnIdleWorker() async throws {
    let worker = try my.worker([JobHandler("a") { [log] _ in log.add("ran") }])
    let other = try my.file.open(clock: clock)
    let work = Task { try await worker.work() }
    await clock.sleepers(atLeast: 1)
    for round in 1...20 {
      _ = try await other.insert([job()])
      await log.count(round)
    }
    work.cancel()
    #expect(try await work.value.completed == 20)
  }

  @Test("The worker waits until a database error is over, and no outcome is lost")
  func databaseErrorLosesNoOutcome() async throws {
    let spy = SpyDriver(base: driver)
    _ = try await driver.insert((0..<10).map { job("\($0)") })
    spy.fail("settle", [QudoError(.diskFull, "full"), QudoError(.ioError, "io"), QudoError(.busy, "busy")])
    spy.fail("claim", [QudoError(.busy, "busy")])
    let worker = try Worker(
      Queue(spy), handlers: [JobHandler("a") { [log] in log.add($0.text) }],
      options: my.options { $0.outageTimeout = .seconds(60) })
    let summary = try await clock.passingSleeps(upTo: .seconds(1)) { try await worker.workUntilEmpty() }
    #expect(summary.completed == 10 && spy.failed.entries.count == 4)
    #expect(log.sorted == (0..<10).map { "\($0)" })
  }

  @Test func troubleThatDoesNotPassEndsTheWork() async throws {
    let spy = SpyDriver(base: driver)
    spy.fail("claim", [QudoError(.corrupt, "damaged")])
    let worker = try Worker(Queue(spy), handlers: [JobHandler("a") { _ in }], options: my.options())
    await #expect { try await worker.work() } throws: { ($0 as? QudoError)?.code == .corrupt }
  }

  @Test("settles what has finished though a row beside it is damaged, which waits again") func damagedRow()
    async throws
  {
    _ = try await driver.insert([job("1"), job("2", due: .after(.seconds(3600)))])
    let file = my.file
    let handler = JobHandler("a") { _ in try file.execute("UPDATE qudo_delayed SET due = 'soon'") }
    let summary = try await my.worker([handler]).workUntilEmpty(skipDelayed: true)
    #expect(summary.completed == 1)
    #expect(try await driver.count() == [JobCount("a", delayed: 1)])
  }

  @Test("settles alone once more when it is given up beside a claim") func settlesAlone() async throws {
    let spy = SpyDriver(base: driver)
    _ = try await driver.insert([job()])
    spy.fail("settle", [QudoError(.corrupt, "damaged")])
    let worker = try Worker(Queue(spy), handlers: [JobHandler("a") { _ in }], options: my.options())
    await #expect { try await worker.work() } throws: { ($0 as? QudoError)?.code == .corrupt }
    #expect(spy.log.entries.last == "settle 1, claimed 0 of 0")
    #expect(try await driver.count() == [])
  }

  @Test func patienceEnds() async throws {
    let spy = SpyDriver(base: driver)
    spy.fail("claim", Array(repeating: QudoError(.busy, "busy"), count: 10_000))
    let worker = try Worker(Queue(spy), handlers: [JobHandler("a") { _ in }], options: my.options())
    let error = await #expect(throws: QudoError.self) {
      try await clock.passingSleeps(upTo: .seconds(5)) { try await worker.workOnce() }
    }
    #expect(error?.code == .busy)
  }
}
