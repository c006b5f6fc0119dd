import Qudo
import QudoSQLite
import QudoTesting
import Testing

@Suite("Perl: job_count(funcs?, db?)")
struct CountParityTests {
  let my: Harness

  init() throws { my = try Harness() }

  @Test func jobsAreCountedAllTogetherOrByKind() async throws {
    #expect(try await my.driver.count() == [])
    try await my.queue.enqueue([NewJob("a"), NewJob("b"), NewJob("b", due: .after(.seconds(1)))])
    #expect(try await my.driver.count() == [JobCount("a", ready: 1), JobCount("b", ready: 1, delayed: 1)])
    #expect(try await my.driver.count(["a"]) == [JobCount("a", ready: 1)])
    #expect(try await my.driver.count(["b", "a", "none"]).map(\.kind).sorted() == ["a", "b"])
    #expect(try await my.driver.count(["none"]) == [])
  }

  @Test func runningJobsAreCountedAndFinishedOnesAreNot() async throws {
    let log = Log()
    try await my.queue.enqueue([NewJob("a"), NewJob("a")])
    let driver = my.driver
    let worker = try my.worker([handler("a", log) { [log] _ in log.add("\(try await driver.count())") }])
    #expect(try await worker.workOnce())
    #expect(log.entries.last == "\([JobCount("a", ready: 1, running: 1)])")
    #expect(try await my.driver.count() == [JobCount("a", ready: 1)])
  }
}
