import CSQLite
import Foundation
import Qudo
import QudoSQLite
import QudoTesting
import TestSupport
import Testing

struct Quota: Hook {
  static let points: HookPoints = [.willEnqueue]

  func willEnqueue(_ job: inout NewJob) throws {
    if job.payload.bytes.count > 10_000 { throw TooLarge(kind: job.kind) }
  }
}

struct TooLarge: Error {
  let kind: Kind
}

struct Chronicle: Hook {
  static let points: HookPoints = [.around, .didWork, .didFail]
  let log: Log

  func around<Result: Sendable, Failure: Error>(
    _ context: JobContext, _ body: () async throws(Failure) -> Result
  ) async throws(Failure) -> Result {
    log.add("\(context.id) begins")
    return try await body()
  }

  func didWork(_ run: borrowing FinishedRun) async {
    if case .completed = run.outcome { log.add("\(run.context.id) is done") }
  }

  func didFail(_ run: borrowing FinishedRun, error failure: any Error) async {
    log.add("\(run.context.id) failed: \(failure)")
  }
}

struct Sealing: Hook {
  static let points: HookPoints = [.serialize, .deserialize]
  let seal: @Sendable ([UInt8]) throws -> [UInt8]
  let open: @Sendable ([UInt8]) throws -> [UInt8]

  func serialize(_ job: inout NewJob) throws {
    job.payload.bytes = try seal(job.payload.bytes)
  }

  func deserialize(_ job: inout ClaimedJob) throws {
    job.payload.bytes = try open(job.payload.bytes)
  }
}

/// What the articles on hooks and errors show, and some of what they say.
@Suite struct ArticleTests {
  let my: Harness
  let log = Log()
  var driver: SQLiteDriver { my.driver }

  init() throws { my = try Harness() }

  @Test func theHooksOfTheArticleWork() async throws {
    let isVerbose = true
    let queue = Queue(driver) {
      Quota()
      if isVerbose { Chronicle(log: log) }
      Sealing(seal: { $0.reversed() }, open: { $0.reversed() })
    }
    await #expect(throws: TooLarge.self) {
      try await queue.enqueue(job(String(repeating: "x", count: 10_001)))
    }
    try await queue.enqueue(job("abc"))
    #expect(try await driver.jobs(matching: JobQuery()).map(\.payload) == [Payload("cba")])
    let handler = JobHandler("a", policy: policy { $0.maxRetries = 1 }) { [log] context in
      log.add(context.text)
      if context.attempt == 1 { throw Broken() }
    }
    try await Worker(queue, handlers: [handler], options: my.options()).workUntilEmpty()
    #expect(
      log.entries == [
        "jobs/1 begins", "abc", "jobs/1 failed: Broken()", "jobs/1 begins", "abc", "jobs/1 is done",
      ])
  }

  @Test func aReplayPassesThroughNoHook() async throws {
    let queue = Queue(driver) { Sealing(seal: { $0.reversed() }, open: { $0.reversed() }) }
    try await queue.enqueue(job("abc"))
    let handler = JobHandler("a") { [log] context in
      log.add(context.text)
      throw Broken()
    }
    let worker = try Worker(queue, handlers: [handler], options: my.options())
    _ = try await worker.workUntilEmpty()
    #expect(try await driver.failures(LogQuery()).map(\.payload) == [Payload("cba")])
    _ = try await driver.replay([1])
    _ = try await worker.workUntilEmpty()
    #expect(log.entries == ["abc", "abc"])
  }

  @Test("A run that returns in spite of its cancellation is completed")
  func cancelledRunThatReturnsIsCompleted() async throws {
    _ = try await driver.insert([job()])
    let handler = JobHandler("a", policy: policy { $0.timeLimit = .seconds(5) }) { [log] _ in
      log.add("started")
      try? await forever()
    }
    async let summary = my.worker([handler]).workUntilEmpty()
    await log.count(1)
    my.clock.advance(by: .seconds(5))
    #expect(try await summary.completed == 1)
  }

  @Test func lostLeasesLeaveTheAttemptAsItWas() async throws {
    _ = try await driver.insert([job()])
    for _ in 0..<2 {
      #expect(try await driver.claim(demand()).jobs.map(\.attempt) == [1])
      my.clock.advance(by: .seconds(60))
    }
    #expect(try await driver.failures(LogQuery()) == [])
  }

  /// As the shell's `.backup` does, and as `VACUUM INTO` does.
  @Test func aBackupIsAQueue() async throws {
    _ = try await driver.insert([job()])
    var (live, copy): (OpaquePointer?, OpaquePointer?)
    try #require(
      sqlite3_open(my.file.path, &live) == SQLITE_OK
        && sqlite3_open(my.file.path + ".backup", &copy) == SQLITE_OK)
    let backup = sqlite3_backup_init(copy, "main", live, "main")
    try #require(sqlite3_backup_step(backup, -1) == SQLITE_DONE && sqlite3_backup_finish(backup) == SQLITE_OK)
    try #require(sqlite3_exec(live, "VACUUM INTO '\(my.file.path).vacuum'", nil, nil, nil) == SQLITE_OK)
    try #require(sqlite3_close(copy) == SQLITE_OK && sqlite3_close(live) == SQLITE_OK)

    #expect(try await SQLiteDriver(path: my.file.path + ".backup").count() == [JobCount("a", ready: 1)])
    try #require(sqlite3_open(my.file.path + ".vacuum", &copy) == SQLITE_OK)
    try #require(
      sqlite3_exec(copy, "PRAGMA journal_mode = WAL", nil, nil, nil) == SQLITE_OK
        && sqlite3_close(copy) == SQLITE_OK)
    #expect(try await SQLiteDriver(path: my.file.path + ".vacuum").count() == [JobCount("a", ready: 1)])
  }

  @Test func errorsAreToldApartByCode() async throws {
    do throws(QudoError) {
      _ = try await driver.insert([NewJob("page.fetch", payload: Payload("https://example.org"))])
    } catch {
      switch error.code {
      case .invalidArgument: print("this job will never be taken:", error)
      case .busy, .diskFull: print("not now:", error)
      case .outcomeUnknown: print("done, or not done:", error)
      default: print(error)
      }
    }
    #expect(try await driver.count() == [JobCount("page.fetch", ready: 1)])
  }

  @Test(arguments: ["Hooks", "Errors"]) func theSwiftIsTheArticles(article: String) throws {
    #expect(
      try ArticleText.untested(
        "Sources/Qudo/Qudo.docc/\(article).md", by: #filePath, but: "SQLiteDriver(path:") == [])
  }

  /// What "Delivery promises" names in code voice where it says what shows a promise.
  @Test func theTestsThatThePromisesNameAreThere() throws {
    let named = try ArticleText.read("Sources/Qudo/Qudo.docc/Promises.md").components(separatedBy: "\n\n")
      .filter { $0.hasPrefix("Shown by") }
      .flatMap {
        $0.split(separator: "`").enumerated().filter { $0.offset % 2 == 1 }.map { String($0.element) }
      }
    #expect(named.count > 40)
    #expect(try ArticleText.absent(named) == [])
  }
}
