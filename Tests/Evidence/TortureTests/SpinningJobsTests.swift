import CSQLite
import Foundation
import ProcessSupport
import Qudo
import QudoSQLite
import QudoTesting
import Testing

/// Another process whose jobs keep each thread of Swift's pool busy without suspending.
@Suite(.serialized, .timeLimit(.minutes(5))) struct SpinningJobsTests {
  private let folder: URL
  private var database: String { folder.appendingPathComponent("spin.db").path }
  private let count = ProcessInfo.processInfo.activeProcessorCount

  init() throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("qudo-spin-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
  }

  private func start(_ role: String) throws -> ChildProcess {
    try ChildProcess(
      try built("TortureProcess").path,
      [role, database, folder.appendingPathComponent("\(role).log").path, "1"])
  }

  private func lines(_ role: String) -> [String] {
    let text = try? String(contentsOf: folder.appendingPathComponent("\(role).log"), encoding: .utf8)
    return (text ?? "").split(separator: "\n").map(String.init)
  }

  private func until(_ condition: () async throws -> Bool) async throws {
    let end = ContinuousClock.now + .seconds(120)
    while try await !condition() {
      try #require(ContinuousClock.now < end, "it did not come to that within two minutes")
      try await Task.sleep(for: .milliseconds(5))
    }
  }

  @Test(
    "renews leases while each thread of Swift's pool computes",
    .enabled(
      if: ProcessInfo.processInfo.environment["QUDO_TORTURE_SECONDS"] != nil,
      "keeps all cores busy for 10 s: set QUDO_TORTURE_SECONDS=3 to run it"))
  func renewalsGoOn() async throws {
    let driver = try SQLiteDriver(path: database)
    _ = try await driver.insert((0..<count).map { NewJob("spin", payload: Payload("\($0)")) })
    let process = try start("spin")
    defer {
      process.kill(SIGKILL)
      _ = process.end(within: 60)
      try? FileManager.default.removeItem(at: folder)
    }
    try await until { lines("spin").count { $0.hasPrefix("begin") } == count }
    let stolen = Locked(0)
    let thief = JobHandler(
      "spin", policy: JobPolicy(leaseDuration: .seconds(3), maxExpiredLeases: 100)
    ) { _ in stolen.withLock { $0 += 1 } }
    let worker = try Worker(Queue(driver), handlers: [thief], concurrency: count)
    let work = Task { try await worker.work() }
    let watch = LeaseWatch(database)
    try await until { try await driver.jobs(matching: JobQuery()).isEmpty }
    let (looks, behind) = try watch.end()
    work.cancel()
    _ = try await work.value
    #expect(stolen.withLock { $0 } == 0, "an idle worker got jobs that run")
    try await until { lines("spin").count { $0.hasPrefix("end") } == count }
    #expect(lines("spin").count { $0.hasPrefix("begin") } == count)
    #expect(looks > 100 && behind == 0, "a lease was behind the clock at \(behind) of \(looks) looks")
    await driver.close()
  }

  @Test("settles jobs over their time limit while each thread of Swift's pool computes") func timeLimitsGoOn()
    async throws
  {
    let driver = try SQLiteDriver(path: database)
    _ = try await driver.insert((0..<count).map { NewJob("spin", payload: Payload("\($0)")) })
    let process = try start("spin-limited")
    defer {
      process.kill(SIGKILL)
      _ = process.end(within: 60)
      try? FileManager.default.removeItem(at: folder)
    }
    try await until { lines("spin-limited").count { $0.hasPrefix("begin") } == count }
    try await until { try await driver.failures(LogQuery()).count == count }
    #expect(try await driver.count() == [])
    #expect(lines("spin-limited").allSatisfy { $0.hasPrefix("begin") }, "the jobs still run")
    await driver.close()
  }
}

/// Looks at the leases from a thread that is not of Swift's pool.
private final class LeaseWatch: Sendable {
  private let state = Locked((looks: 0, behind: 0, isOver: false, error: Int32?.none))
  private let ended = DispatchSemaphore(value: 0)

  init(_ path: String) {
    Thread.detachNewThread { [state, ended] in
      let code = Self.watch(path, state)
      state.withLock { $0.error = code == SQLITE_OK ? nil : code }
      ended.signal()
    }
  }

  func end() throws -> (looks: Int, behind: Int) {
    state.withLock { $0.isOver = true }
    try #require(ended.wait(timeout: .now() + 60) == .success)
    let seen = state.withLock { $0 }
    try #require(seen.error == nil, "SQLite said \(seen.error ?? 0)")
    return (seen.looks, seen.behind)
  }

  private static func watch(
    _ path: String, _ state: Locked<(looks: Int, behind: Int, isOver: Bool, error: Int32?)>
  ) -> Int32 {
    var handle: OpaquePointer?
    var statement: OpaquePointer?
    defer {
      sqlite3_finalize(statement)
      sqlite3_close(handle)
    }
    let code = sqlite3_open_v2(path, &handle, SQLITE_OPEN_READWRITE, nil)
    guard code == SQLITE_OK else { return code }
    sqlite3_busy_timeout(handle, 60000)
    let prepared = sqlite3_prepare_v2(handle, "SELECT min(ends) FROM qudo_running", -1, &statement, nil)
    guard prepared == SQLITE_OK else { return prepared }
    let clock = SystemClock()
    while !state.withLock({ $0.isOver }) {
      // Before the look: what is renewed after this moment was ahead at this moment.
      let now = clock.sinceBoot()
      guard sqlite3_step(statement) == SQLITE_ROW else { return sqlite3_reset(statement) }
      let isBehind =
        sqlite3_column_type(statement, 0) != SQLITE_NULL && sqlite3_column_int64(statement, 0) <= now
      sqlite3_reset(statement)
      state.withLock { state in
        state.looks += 1
        if isBehind { state.behind += 1 }
      }
      usleep(2000)
    }
    return SQLITE_OK
  }
}
