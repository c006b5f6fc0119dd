import Qudo
import QudoSQLite
import QudoTesting
import Testing

@Suite("Perl: enqueue_from_failed_job")
struct ReplayParityTests {
  let my: Harness
  let log = Log()

  init() throws { my = try Harness() }

  private func fail() async throws -> Int64 {
    try await my.queue.enqueue(
      NewJob("a", payload: Payload("arg"), unique: UniqueKey("uniqkey"), priority: 7))
    #expect(try await my.worker([handler("a", log) { _ in throw Broken() }]).workOnce())
    return try #require(try await my.driver.failures(LogQuery(limit: 1)).first).id
  }

  @Test func aFailedJobIsEnqueuedAgainAsItWas() async throws {
    let failure = try await fail()
    #expect(try await my.driver.failures(LogQuery()).map(\.replayedAs) == [nil])
    #expect(try await my.driver.replay([failure]) == [.replayed(2)])
    let job = try #require(try await my.queue.job(JobID(database: "jobs", number: 2)))
    #expect(
      job.payload == Payload("arg") && job.uniqueKey == "uniqkey" && job.attempt == 1 && job.state == .ready)
    #expect(job.priority == 7, "the original forgets it")
    #expect(try await my.driver.failures(LogQuery()).map(\.replayedAs) == [2])
  }

  @Test func aSecondTimeIsRefused() async throws {
    let failure = try await fail()
    #expect(try await my.driver.replay([failure]) == [.replayed(2)])
    #expect(try await my.driver.replay([failure]) == [.alreadyReplayed(2)])
    #expect(try await my.driver.count() == [JobCount("a", ready: 1)])
    #expect(try await my.worker([handler("a", log)]).workOnce())
    #expect(try await my.driver.replay([failure]) == [.alreadyReplayed(2)], "not even when that one is done")
  }

  @Test func whatFailsAgainIsAnotherFailureToReplay() async throws {
    let first = try await fail()
    #expect(try await my.driver.replay([first]) == [.replayed(2)])
    #expect(try await my.worker([handler("a", log) { _ in throw Broken() }]).workOnce())
    let second = try #require(try await my.driver.failures(LogQuery(limit: 1)).first)
    #expect(second.job == 2)
    #expect(try await my.driver.replay([second.id]) == [.replayed(3)])
  }

  /// In the original the row is marked although nothing was enqueued.
  @Test func aFailureWhoseKeyIsTakenStaysReplayable() async throws {
    let failure = try await fail()
    try await my.queue.enqueue(NewJob("a", unique: UniqueKey("uniqkey")))
    #expect(try await my.driver.replay([failure]) == [.conflict(2)])
    #expect(try await my.driver.failures(LogQuery()).map(\.replayedAs) == [nil])
    #expect(try await my.worker([handler("a", log)]).workOnce())
    #expect(try await my.driver.replay([failure]) == [.replayed(3)])
  }
}
