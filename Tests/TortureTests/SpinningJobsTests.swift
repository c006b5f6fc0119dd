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
    try ChildProcess(try built("TortureProcess").path, [role, database, folder.appendingPathComponent("\(role).log").path, "1"])
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

  @Test("renews leases while each thread of Swift's pool computes") func renewalsGoOn() async throws {
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
    let thief = Ability("spin", policy: JobPolicy(lease: .milliseconds(300), lostLimit: 100)) { _ in stolen.withLock { $0 += 1 } }
    let worker = try Worker(Queue(driver), [thief], concurrency: count)
    let work = Task { try await worker.work() }
    var looks = 0
    try await until {
      let jobs = try await driver.find(JobQuery())
      looks += 1
      for job in jobs where stolen.withLock({ $0 }) == 0 { #expect(job.state == .running, "the lease of \(job.id) is behind the clock") }
      return jobs.isEmpty
    }
    work.cancel()
    _ = try await work.value
    #expect(stolen.withLock { $0 } == 0, "an idle worker got jobs that run")
    try await until { lines("spin").count { $0.hasPrefix("end") } == count }
    #expect(lines("spin").count { $0.hasPrefix("begin") } == count)
    #expect(looks > 10)
    await driver.close()
  }

  @Test("settles jobs over their time limit while each thread of Swift's pool computes") func timeLimitsGoOn() async throws {
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
