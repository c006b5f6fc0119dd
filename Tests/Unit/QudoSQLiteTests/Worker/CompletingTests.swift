import CSQLite
import Foundation
import Logging
import Qudo
@testable import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// Completing a job in the application's own transaction; and workers that the application's commits wake.
@Suite struct CompletingTests {
  let my: Harness
  let app: App
  let log = Log()
  var driver: SQLiteDriver { my.driver }
  var clock: ManualClock { my.clock }

  /// The handle is used by one job or by the test, never by both at once.
  final class App: @unchecked Sendable {  // reason: see above
    let connection: AppConnection
    init(_ path: String) throws {
      connection = try AppConnection(path)
      try connection.run("CREATE TABLE done(text TEXT); PRAGMA busy_timeout = 30000")
    }
    var done: [String] { get throws { try connection.rows("SELECT text FROM done ORDER BY rowid") } }
  }

  init() throws {
    my = try Harness()
    app = try App(my.file.path)
  }

  /// Writes the job's text and completes it, and then whatever `end` is.
  private func completing(
    _ policy: JobPolicy = JobPolicy(), before: @escaping @Sendable (JobContext) -> Void = { _ in },
    _ end: @escaping @Sendable (AppConnection, JobContext) async throws -> Void
  ) -> JobHandler {
    JobHandler("a", policy: policy) { [app] context in
      before(context)
      try app.connection.run("BEGIN IMMEDIATE; INSERT INTO done VALUES('\(context.text)')")
      try context.complete(in: app.connection.handle)
      try await end(app.connection, context)
    }
  }

  private func quiet(_ options: inout WorkerOptions) {
    options.logger = Logger(label: "test") { [log] _ in LogOfLogs(log: log) }
  }

  @Test func theJobIsCompletedWithTheApplicationsCommit() async throws {
    _ = try await driver.insert([job("x"), job("y")])
    let worker = try my.worker([completing { app, _ in try app.run("COMMIT") }], quiet)
    let summary = try await worker.workUntilEmpty()
    #expect(summary.completed == 2 && summary.leaseLost == 0 && summary.failed == 0)
    #expect(try app.done == ["x", "y"])
    #expect(try await driver.count() == [])
    #expect(log.entries == [])
  }

  @Test("Replacements and the status are written in the same transaction")
  func replacementsShareTheTransaction() async throws {
    _ = try await driver.insert([job("x", unique: UniqueKey("k"))])
    let before = { @Sendable [clock] (context: JobContext) in
      context.replace(with: [job("next", kind: "b", unique: UniqueKey("k"))])
      clock.advanceWithoutWaking(by: .seconds(3))
    }
    let handler = completing(policy { $0.recordsStatus = true }, before: before) {
      [log, driver, clock] app, context in
      log.add("\(try await driver.count())")
      clock.advanceWithoutWaking(by: .seconds(1))
      try app.run("COMMIT")
      log.add("\(try await driver.count())")
    }
    _ = try await my.worker([handler], quiet).workOnce()
    #expect(log.entries == ["\([JobCount("a", running: 1)])", "\([JobCount("b", ready: 1)])"])
    let status = try #require(try await driver.statuses(LogQuery()).first)
    #expect(status.status == .replaced)
    #expect(status.endedAt.microseconds - status.startedAt.microseconds == 3_000_000)
    #expect(try await driver.jobs(matching: JobQuery()).map(\.uniqueKey) == ["k"])
  }

  @Test("A job that rolled back its completion and returned is completed as usual")
  func rollbackThenReturnCompletesAsUsual() async throws {
    _ = try await driver.insert([job("x")])
    let handler = completing { [log, driver] app, _ in
      try app.run("ROLLBACK")
      log.add("\(try await driver.count())")
    }
    #expect(try await my.worker([handler], quiet).workUntilEmpty().completed == 1)
    #expect(log.entries == ["\([JobCount("a", running: 1)])"])
    #expect(try app.done == [])
    #expect(try await driver.count() == [])
  }

  @Test func rolledBackAndThrownItIsTriedAgain() async throws {
    _ = try await driver.insert([job("x")])
    let handler = completing(policy { $0.maxRetries = 1 }) { app, context in
      try app.run(context.attempt == 1 ? "ROLLBACK" : "COMMIT")
      if context.attempt == 1 { throw Broken() }
    }
    let summary = try await my.worker([handler]).workUntilEmpty()
    #expect(summary.completed == 1 && summary.retried == 1)
    #expect(try app.done == ["x"])
    #expect(try await driver.failures(LogQuery()).map(\.attempt) == [1])
  }

  @Test func committedAndThrownItIsCompleted() async throws {
    _ = try await driver.insert([job("x")])
    let handler = completing { app, _ in
      try app.run("COMMIT")
      throw Broken()
    }
    #expect(try await my.worker([handler]).workUntilEmpty().completed == 1)
    #expect(try await driver.failures(LogQuery()) == [])
    #expect(try await driver.count() == [])
  }

  @Test(
    "hooks hear of the commit as a completed run, whatever the run did then",
    arguments: [(true, false), (true, true), (false, false), (false, true)])
  func settledRuns(commits: Bool, throwing: Bool) async throws {
    let spy = SpyHook()
    let queue = Queue(driver) { spy }
    try await queue.enqueue(job("x"))
    let before = { @Sendable (context: JobContext) in context.enqueueOnCompletion([job(kind: "b")]) }
    let handler = completing(before: before) { app, _ in
      try app.run(commits ? "COMMIT" : "ROLLBACK")
      if throwing { throw Broken() }
    }
    _ = try await Worker(queue, handlers: [handler], options: my.options()).workOnce()
    let told: SpySettlement =
      switch (commits, throwing) {
      case (true, _): .settled(.completed(replacements: 0))
      case (false, false): .settled(.completed(replacements: 1), replacements: [2])
      case (false, true): .settled(.failed)
      }
    #expect(spy.events.filter { $0.name == "didSettle" } == [.didSettle("a", job: 1, told)])
  }

  @Test func aLeaseThatIsLostWritesNothing() async throws {
    _ = try await driver.insert([job("x")])
    let other = try my.file.open(clock: clock)
    let handler = JobHandler("a") { [app, log, clock, driver] context in
      // Somebody else takes the job over.
      clock.advanceWithoutWaking(by: .seconds(61))
      let theirs = try await other.claim(demand())
      try app.connection.run("BEGIN IMMEDIATE; INSERT INTO done VALUES('\(context.text)')")
      context.replace(with: [job("next", kind: "b")])
      do {
        try context.complete(in: app.connection.handle)
      } catch let error as QudoError {
        log.add("\(error.code)")
        try app.connection.run("ROLLBACK")
        _ = try await driver.settle(theirs.jobs.map { Settlement($0.lease, .completed()) }, claiming: nil)
        throw error
      }
    }
    let summary = try await my.worker([handler]).workUntilEmpty()
    #expect(summary.leaseLost == 1 && summary.completed == 0)
    #expect(log.entries == ["leaseLost"])
    #expect(try app.done == [])
    #expect(try await driver.count() == [])
  }

  @Test func aSecondCompletionIsRefused() async throws {
    _ = try await driver.insert([job("x")])
    let handler = completing { [log] app, context in
      do { try context.complete(in: app.handle) } catch let error as QudoError { log.add("\(error.code)") }
      try app.run("COMMIT")
    }
    #expect(try await my.worker([handler]).workUntilEmpty().completed == 1)
    #expect(log.entries == ["leaseLost"])
  }

  @Test func anExtendedLeaseCompletes() async throws {
    _ = try await driver.insert([job("x")])
    let handler = JobHandler("a") { [app, log, gate] context in
      log.add("started")
      await gate.pass()
      try app.connection.run("BEGIN IMMEDIATE; INSERT INTO done VALUES('x')")
      try context.complete(in: app.connection.handle)
      try app.connection.run("COMMIT")
    }
    async let summary = Worker(my.queue, handlers: [handler], options: my.options()).workUntilEmpty()
    await log.count(1)
    for _ in 1...4 {
      await clock.sleepers(atLeast: 1)
      clock.advance(by: .seconds(20))
    }
    gate.open()
    #expect(try await summary.completed == 1)
    #expect(try app.done == ["x"])
  }

  /// The renewal finds no lease any more; the job is not taken for lost.
  @Test func aRunMayGoOnAfterTheCommit() async throws {
    _ = try await driver.insert([job("x")])
    let handler = completing { [log, gate] app, _ in
      try app.run("COMMIT")
      log.add("committed")
      await withTaskCancellationHandler {
        await gate.pass()
      } onCancel: {
        log.add("cancelled")
      }
    }
    let worker = try my.worker([handler]) {
      $0.concurrency = 2
      quiet(&$0)
    }
    async let summary = worker.workUntilEmpty()
    await log.count(1)
    // The worker waits for more jobs; when it waits again, it has tried to renew.
    await clock.sleepers(atLeast: 1)
    clock.advance(by: .seconds(20))
    await clock.sleepers(atLeast: 1)
    gate.open()
    #expect(try await summary.completed == 1)
    #expect(log.entries == ["committed"])
  }

  @Test func aRunThatIsGivenUpAfterTheCommitIsCompleted() async throws {
    _ = try await driver.insert([job("x")])
    defer { gate.open() }
    let handler = completing(policy { $0.timeLimit = .seconds(5) }) { [log, gate] app, _ in
      try app.run("COMMIT")
      log.add("committed")
      await withTaskCancellationHandler {
        await gate.pass()
      } onCancel: {
        log.add("cancelled")
      }
    }
    let worker = try my.worker([handler]) {
      $0.cancellationGracePeriod = .seconds(2)
      quiet(&$0)
    }
    async let summary = worker.workUntilEmpty()
    await log.count(1)
    await clock.sleepers(atLeast: 1)
    clock.advance(by: .seconds(5))
    await log.count(2)
    await clock.sleepers(atLeast: 1)
    clock.advance(by: .seconds(2))
    #expect(try await summary.completed == 1)
    #expect(log.entries == ["committed", "cancelled"])
  }

  private let gate = Gate()

  @Test func completionNeedsNoTransaction() async throws {
    _ = try await driver.insert([job("x")])
    let handler = JobHandler("a") { [app] context in try context.complete(in: app.connection.handle) }
    #expect(try await my.worker([handler], quiet).workUntilEmpty().completed == 1)
    #expect(try await driver.count() == [])
    #expect(log.entries == [])
  }

  /// The clock stands still, so that no poll helps.
  @Test func theApplicationsCommitWakesAnIdleWorker() async throws {
    let worker = try my.worker([JobHandler("a") { [log] in log.add($0.text) }])
    let work = Task { try await worker.work() }
    await clock.sleepers(atLeast: 1)
    for round in 1...20 {
      try app.connection.run("BEGIN")
      try my.queue.enqueue(job("\(round)"), in: app.connection.handle)
      log.add("commit")
      try app.connection.run("COMMIT")
      await log.count(2 * round)
    }
    work.cancel()
    #expect(try await work.value.completed == 20)
    #expect(log.entries == (1...20).flatMap { ["commit", "\($0)"] })
  }
}

/// Warnings and errors.
struct LogOfLogs: LogHandler {
  let log: Log
  var metadata: Logger.Metadata = [:]
  var logLevel: Logger.Level = .warning
  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }
  func log(event: LogEvent) { log.add("\(event.message)") }
}
