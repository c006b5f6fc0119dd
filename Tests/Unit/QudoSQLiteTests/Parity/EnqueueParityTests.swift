import Qudo
import QudoSQLite
import QudoTesting
import Testing

@Suite("Perl: enqueue(funcname, {arg, uniqkey, run_after, priority}); suppress_job")
struct EnqueueParityTests {
  let my: Harness
  let log = Log()

  init() throws { my = try Harness() }

  @Test func anEnqueueAnswersWithTheIdAlone() async throws {
    let result = try await my.queue.enqueue(
      NewJob("a", payload: Payload("arg"), unique: UniqueKey("uniqkey")))
    #expect(result == .inserted(JobID(database: "jobs", number: 1)))
  }

  @Test func theWholeJobIsThereOnRequest() async throws {
    let result = try await my.queue.enqueue(
      NewJob(
        "a", payload: Payload("arg"), unique: UniqueKey("uniqkey"), priority: 7, due: .after(.seconds(5))))
    let job = try #require(try await my.queue.job(result.id))
    #expect(
      job.id == 1 && job.kind == "a" && job.payload == Payload("arg") && job.uniqueKey == "uniqkey"
        && job.priority == 7)
    #expect(
      job.enqueuedAt == my.clock.now().wall && job.dueAt == my.clock.now().wall.advanced(by: .seconds(5))
        && job.state == .delayed)
    #expect(try await my.queue.job(JobID(database: "jobs", number: 2)) == nil)
    #expect(try await my.queue.job(JobID(database: "other", number: 1)) == nil)
  }

  @Test func allThatIsGivenReachesTheRun() async throws {
    try await my.queue.enqueue(Note(text: "arg"), unique: UniqueKey("uniqkey"), priority: 3)
    let handler = JobHandler(Note.self) { [log] note, context in
      log.add("\(context.id) \(note.text) \(context.uniqueKey ?? "-") \(context.priority)")
    }
    #expect(try await my.worker([handler]).workOnce())
    #expect(log.entries == ["jobs/1 arg uniqkey 3"])
  }

  @Test func aJobWithoutArgumentHasAnEmptyOne() async throws {
    try await my.queue.enqueue(NewJob("a"))
    #expect(try await my.worker([handler("a", log)]).workOnce())
    #expect(log.entries == ["a "])
  }

  @Test func aJobDoesNotRunBeforeItsTime() async throws {
    try await my.queue.enqueue(NewJob("a", due: .after(.seconds(5))))
    let worker = try my.worker([handler("a", log)])
    #expect(try await worker.workOnce() == false)
    my.clock.advance(by: .milliseconds(4999))
    #expect(try await worker.workOnce() == false)
    my.clock.advance(by: .milliseconds(1))
    #expect(try await worker.workOnce())
  }

  @Test func aUniqueKeyIsUniquePerKind() async throws {
    for (kind, number) in [("a", 1), ("b", 2)] as [(Kind, Int64)] {
      #expect(try await my.queue.enqueue(NewJob(kind, unique: UniqueKey("k"))).number == number)
    }
    #expect(
      try await my.queue.enqueue(NewJob("a", unique: UniqueKey("k")))
        == .conflict(JobID(database: "jobs", number: 1)))
    #expect(try await my.driver.count() == [JobCount("a", ready: 1), JobCount("b", ready: 1)])
  }

  @Test func jobsWithoutAKeyAreNeverTheSame() async throws {
    for number in 1...3 as ClosedRange<Int64> {
      #expect(try await my.queue.enqueue(NewJob("a")).number == number)
    }
  }
}
