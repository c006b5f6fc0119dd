import ForwardingDriver
import Foundation
import Logging
import Qudo
import QudoTesting
import TestSupport
import Testing

@testable import QudoSQLite

/// Real files, of which some are missing, damaged or held up.
@Suite struct SeveralFilesTests {
  private let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
    "qudo-test-\(UUID().uuidString)")
  private let clock = ManualClock()

  init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false) }

  private func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

  private func source(_ name: String) -> Databases.Source {
    let (path, clock) = (path(name), clock)
    return Databases.Source(name) { () async throws(QudoError) in
      try SQLiteDriver(path: path, durability: .normal, clock: clock)
    }
  }

  private func databases(_ names: String...) throws -> Databases {
    var options = DatabaseOptions()
    options.order = .ordered
    options.clock = clock
    options.logger.logLevel = .critical
    return try Databases(names.map(source), options: options)
  }

  struct Greeting: Job {
    static let kind: Kind = "greet"
    var name: String
    func perform(_ context: JobContext) async throws {}
  }

  @Test func theArticleOnSeveralDatabases() async throws {
    defer { clear() }
    let (local, other) = (path("gone/local.db"), path("other.db"))
    var options = DatabaseOptions()
    options.order = .ordered
    // So that a busy machine does not make a database unavailable.
    options.clock = clock
    let sources = [
      Databases.Source("local") { () async throws(QudoError) in try SQLiteDriver(path: local) },
      Databases.Source("other") { () async throws(QudoError) in try SQLiteDriver(path: other) },
    ]
    let databases = try Databases(sources, options: options)
    let queue = Queue(databases)
    try await queue.enqueue(Greeting(name: "Ada"))
    try await queue.withTimeout(.seconds(2)).enqueue(Greeting(name: "Ada"))
    #expect(try await databases.count()[1].result.get() == [JobCount("greet", ready: 2)])
    await queue.close()
    #expect(
      try ArticleText.untested("Sources/Qudo/Qudo.docc/SeveralDatabases.md", by: #filePath, but: "\0") == [])
  }

  @Test(
    "finds the free database while as many as there are cores keep their openings waiting",
    .timeLimit(.minutes(10)))
  func openingsThatBlock() async throws {
    defer { clear() }
    let held = (0...ProcessInfo.processInfo.activeProcessorCount).map { "held\($0).db" }
    // As long as they are open, the WAL whose lock is held is the one that others open.
    let holders = try held.map { try SQLiteDriver(path: path($0)) }
    let turns = try held.map { try WriteLock(path: path($0)) }
    for writeLock in turns { try writeLock.take() }
    // A worker of the same process, which must go on renewing its leases meanwhile.
    let busy = SpyDriver(base: try SQLiteDriver(path: path("busy.db")))
    _ = try await busy.insert([job()])
    let (begun, gate) = (Log(), Gate())
    let handler = JobHandler("a", policy: policy { $0.leaseDuration = .seconds(3) }) { _ in
      begun.add("begun")
      await gate.pass()
    }
    let worker = try Worker(Queue(busy), handlers: [handler], concurrency: 1)
    let work = Task { try await worker.work() }
    await begun.count(1)

    var options = DatabaseOptions()
    options.order = .ordered
    options.clock = clock
    options.logger.logLevel = .critical
    let databases = try Databases(
      (held + ["free.db"]).map { name in
        let path = path(name)
        return Databases.Source(name) { () async throws(QudoError) in
          try SQLiteDriver(path: path, busyTimeout: .seconds(300))
        }
      }, options: options)
    let beginning = ContinuousClock.now
    let enqueue = Task { try await Queue(databases).enqueue(job("x")) }
    let share = options.callTimeout / (held.count + 1)
    for number in held.indices {
      // Those of the openings before, this one's, and the enqueue's.
      await clock.sleepers(atLeast: number + 2)
      clock.advance(by: share)
    }
    #expect(try await enqueue.value.id == JobID(database: "free", number: 1))
    #expect(ContinuousClock.now - beginning < .seconds(120), "it waited for those that are held")
    // The openings go on.
    let renewals = busy.log.entries.count { $0 == "extend 1" }
    while busy.log.entries.count(where: { $0 == "extend 1" }) < renewals + 2 {
      try await Task.sleep(for: .milliseconds(10))
    }
    gate.open()
    work.cancel()
    _ = try await work.value
    for writeLock in turns { writeLock.giveBack() }
    for holder in holders { await holder.close() }
    await databases.close()
  }

  private func clear() { try? FileManager.default.removeItem(at: folder) }

  @Test func brokenFilesArePassedOverAndNamed() async throws {
    defer { clear() }
    try Data("no database".utf8).write(to: folder.appendingPathComponent("text.db"))
    let queue = Queue(try databases("missing/a.db", "text.db", "good.db"))
    #expect(try await queue.enqueue(job("x")).id == JobID(database: "good", number: 1))
    #expect(queue.databases.states.map(\.status) == [.unavailable, .unavailable, .live])
    #expect(queue.databases.states.map(\.failure?.code) == [.cannotOpen, .notADatabase, nil])
    await queue.close()
    let broken = Queue(try databases("missing/a.db", "text.db"))
    let error = await #expect(throws: QudoError.self) { try await broken.enqueue(job("x")) }
    #expect(
      (error?.cause as? AllDatabasesUnavailable)?.failures.map(\.error.code) == [.cannotOpen, .notADatabase])
  }

  @Test func aFileThatAppearsIsUsedAfterTheRetryTime() async throws {
    defer { clear() }
    let queue = Queue(try databases("late/a.db", "b.db"))
    #expect(try await queue.enqueue(job("1")).id.database == "b")
    try FileManager.default.createDirectory(atPath: path("late"), withIntermediateDirectories: false)
    clock.advance(by: .seconds(30))
    _ = await queue.databases.count()  // Its answer is waited for.
    #expect(try await queue.enqueue(job("2")).id.database == "a")
    await queue.close()
  }

  @Test func aFileThatCannotBeWrittenIsSetAside() async throws {
    defer { clear() }
    // Through a link that leads nowhere any more: the file cannot be made.
    try FileManager.default.createSymbolicLink(
      atPath: path("link.db"), withDestinationPath: path("gone/x.db"))
    let queue = Queue(try databases("link.db", "b.db"))
    #expect(try await queue.enqueue(job("1")).id.database == "b")
    await queue.close()
  }

  @Test func aWorkerRunsTheJobsOfAllFiles() async throws {
    defer { clear() }
    for name in ["a.db", "b.db"] {
      let queue = Queue(try databases(name))
      for number in 0..<50 { try await queue.enqueue(job("\(name)\(number)")) }
      await queue.close()
    }
    let ran = Locked<Set<String>>([])
    let queue = Queue(try databases("a.db", "b.db"))
    var options = WorkerOptions()
    options.concurrency = 4
    let handler = JobHandler("a") { context in ran.withLock { _ = $0.insert(context.text) } }
    let summary = try await Worker(queue, handlers: [handler], options: options).workUntilEmpty()
    #expect(summary.completed == 100 && ran.withLock { $0.count } == 100)
    await queue.close()
  }

  @Test("With several files, a job can be enqueued in the application's transaction in one of them")
  func transactionInOneOfSeveralFiles() async throws {
    defer { clear() }
    let other = PlainDriver(base: MemoryDriver(clock: clock))
    let queue = Queue(try Databases([source("a.db"), .init(other)], options: quiet()))
    #expect(throws: QudoError.self, "the file is not open yet") { try queue.enqueue(job("x"), in: nil) }
    _ = await queue.databases.count()
    let connection = try AppConnection(path("a.db"))
    try connection.run("BEGIN IMMEDIATE")
    #expect(try queue.enqueue(job("mine"), in: connection.handle).id.database == "a")
    try connection.run("COMMIT")
    #expect(try await queue.databases.count()[0].result.get() == [JobCount("a", ready: 1)])
    await queue.close()
  }

  private func quiet() -> DatabaseOptions {
    var options = DatabaseOptions()
    options.clock = clock
    return options
  }
}
