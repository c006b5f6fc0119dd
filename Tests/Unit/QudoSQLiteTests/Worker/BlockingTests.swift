import Foundation
import Qudo
import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// Jobs that block their thread.
@Suite struct BlockingTests {
  let my: Harness

  init() throws { my = try Harness() }

  @Test(
    "runs as many blocking jobs at once as the worker runs, beside jobs that await", .timeLimit(.minutes(5)))
  func atOnce() async throws {
    let count = 64
    _ = try await my.driver.insert((0..<count).map { job("\($0)", kind: "block") })
    let (arrived, go) = (Log(), DispatchSemaphore(value: 0))
    let blocking = JobHandler("block", policy: JobPolicy(execution: .blocking)) { context in
      arrived.add(context.text)
      go.wait(for: .forever)
    }
    let awaiting = JobHandler("await") { _ in
      try await Task.sleep(for: .milliseconds(1))
      for _ in 0..<count { go.signal() }
    }
    let worker = try my.worker([blocking, awaiting]) { $0.concurrency = count + 1 }
    async let summary = worker.workUntilEmpty()
    await arrived.count(count)
    _ = try await my.driver.insert([job(kind: "await")])
    #expect(try await summary.completed == count + 1)
    #expect(arrived.sorted == (0..<count).map { "\($0)" }.sorted())
  }

  @Test("settles a blocking job that throws, and one that is over its time limit", .timeLimit(.minutes(5)))
  func outcomes() async throws {
    _ = try await my.driver.insert(["throws", "blocks"].map { job($0) })
    let (begun, go) = (Log(), DispatchSemaphore(value: 0))
    let handler = JobHandler("a", policy: JobPolicy(timeLimit: .seconds(10), execution: .blocking)) {
      context in
      begun.add(context.text)
      guard context.text == "blocks" else { throw Broken() }
      go.wait(for: .forever)
    }
    let worker = try my.worker([handler]) { $0.concurrency = 2 }
    let work = Task { try await worker.workUntilEmpty() }
    await begun.count(2)
    // The time limit, and then the grace.
    while try await my.driver.failures(LogQuery()).count < 2 {
      my.clock.advance(by: .seconds(10))
      await Task.yield()
    }
    go.signal()
    #expect(try await work.value.failed == 2)
  }
}

extension DispatchSemaphore {
  enum Patience { case forever }

  /// As a synchronous client waits.
  func wait(for patience: Patience) { wait() }
}
